"""The page of the documentation: what is generated goes between its marks, the rest is by hand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from benchmarks.harness.results import Results
from benchmarks.report.sections import sections

_BLOCK = "<!-- generated: {name} -->\n{text}\n<!-- end: {name} -->"


def write(results: Results, page: Path) -> None:
    """Renew what is between the marks, the plots, and the raw results beside them."""
    from benchmarks.report.plots import plot_all  # matplotlib is for this alone

    beside = page.with_suffix("")
    beside.mkdir(exist_ok=True)
    plots = plot_all(results, beside)
    text = page.read_text(encoding="utf-8")
    for name, section in sections(results).items():
        picture = f"![{plots[name]}](benchmarks/{name}.svg)\n\n" if name in plots else ""
        text = put(text, name, f"\n{picture}{section}\n")
    page.write_text(text, encoding="utf-8")
    kept = beside / "results.json"
    if results.path.resolve() != kept.resolve():
        shutil.copyfile(results.path, kept)


def put(page: str, name: str, text: str) -> str:
    """The page with that text between the marks of that name. ``ValueError`` if it has none."""
    marks = re.escape(_BLOCK).replace(r"\{name\}", re.escape(name)).replace(r"\{text\}", "(.*)")
    found = re.search(marks, page, re.DOTALL)
    if found is None:
        raise ValueError(
            f"the page has no place for {name!r}: {_BLOCK.format(name=name, text='…')}"
        )
    return page[: found.start(1)] + text + page[found.end(1) :]
