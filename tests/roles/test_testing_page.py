"""docs/testing.md: the tests that it shows to users pass, by pytest, with the plugin as installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.pages import blocks
from support.programs import Program

pytestmark = pytest.mark.timeout(180)  # interpreters start slowly on a busy machine


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    shown = blocks("testing.md", "python")
    tests = [block for block in shown if "def test_" in block]
    count = sum(block.count("def test_") for block in tests)
    assert count >= 7
    (tmp_path / "test_page.py").write_text("\n".join(tests), encoding="utf-8")
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", "--timeout", "60")
    with Program(sys.executable, "-m", "pytest", *options, "test_page.py", cwd=tmp_path) as run:
        assert run.status() == 0, "\n".join(run.said)
        assert run.said[-1].startswith(f"{count} passed"), "\n".join(run.said)
