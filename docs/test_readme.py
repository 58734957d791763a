"""The README's examples run, too: pytest collects a page only beside its own conftest."""

from __future__ import annotations

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.usefixtures("an_empty_directory")
def test_readme_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    sybil = Sybil(parsers=[PythonCodeBlockParser()], path=str(README.parent), pattern="README.md")
    examples = list(sybil.parse(README))
    assert examples
    for example in examples:
        example.evaluate()
    assert [line[-1] for line in capsys.readouterr().out.splitlines()] == ["1", "2", "3"]
