"""The documentation's pages as programs: what a page shows is what a test runs."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# ([\w./-]+\.\w+)\n")


def blocks(page: str, language: str) -> list[str]:
    """The page's blocks in that language, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [block for found, block in _BLOCK.findall(text) if found == language]


def write_files(page: str, folder: Path) -> list[str]:
    """Write the page's programs into the folder; their names.

    A block of Python begins with the name of its file, as a comment. One that names a file which
    is there already is added to it.
    """
    names = []
    for block in blocks(page, "python"):
        name = _NAME.match(block)
        assert name is not None, f"{page} has a block that does not name its file:\n{block}"
        file = folder / name[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(block)
        names.append(name[1])
    return names


def command(page: str, beginning: str) -> list[str]:
    """The words of the command in one of the page's console blocks that begins so."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    [found] = [line for line in lines if line.startswith(beginning)]
    return found.split()
