"""Every page about a framework is a program that is tested."""

from __future__ import annotations

from pathlib import Path

from support.pages import DOCS


def test_each_page_has_its_tests() -> None:
    pages = {page.stem for page in (DOCS / "frameworks").glob("*.md")}
    tested = {test.stem.removeprefix("test_") for test in Path(__file__).parent.glob("test_*.py")}
    assert pages == tested - {"pages"}
    assert pages
