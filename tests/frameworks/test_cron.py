"""docs/frameworks/cron.md: a script that several machines have in their crontab."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.pages import write_files
from support.programs import Program, outputs

pytestmark = pytest.mark.timeout(180)  # interpreters start slowly on a busy machine


WRITTEN, NOT_WRITTEN = ["the report is written"], ["another machine has written it"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    assert write_files("frameworks/cron.md", tmp_path) == ["nightly_report.py"]
    return f"sqlite:///{tmp_path / 'leases.db'}"


def script(folder: Path, url: str) -> Program:
    return Program(sys.executable, folder / "nightly_report.py", env={"LEASES_URL": url})


def test_of_scripts_that_start_together_one_does_the_job(tmp_path: Path, url: str) -> None:
    with script(tmp_path, url) as a, script(tmp_path, url) as b, script(tmp_path, url) as c:
        said = sorted(outputs([a, b, c]))
    assert said == [NOT_WRITTEN, NOT_WRITTEN, WRITTEN]


def test_one_that_comes_a_little_later_does_not_do_it_again(tmp_path: Path, url: str) -> None:
    with script(tmp_path, url) as first:
        assert outputs([first]) == [WRITTEN]
    with script(tmp_path, url) as second:
        assert outputs([second]) == [NOT_WRITTEN]
