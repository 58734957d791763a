"""docs/frameworks/apscheduler.md: a job that runs once among several schedulers."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from support.pages import write_files
from support.programs import Program, outputs

pytestmark = pytest.mark.timeout(180)  # interpreters start slowly on a busy machine


_IT_IS_THREE = """
import os, threading
from datetime import datetime, timezone
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.schedulers.background import BackgroundScheduler
from lease_actors import Manager
from schedule import add_jobs

has_run = threading.Event()

def ended(event):
    print("ran:", event.retval if event.exception is None else repr(event.exception))
    has_run.set()

with Manager.open(os.environ["LEASES_URL"]) as manager:
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_listener(ended, EVENT_JOB_ERROR | EVENT_JOB_EXECUTED)
    add_jobs(scheduler, manager)
    [job] = scheduler.get_jobs()
    now = datetime.now(timezone.utc)
    scheduler.add_job(job.func, "date", run_date=now, misfire_grace_time=60, id="now")
    scheduler.start()
    has_run.wait()
    while scheduler.get_job("now"):  # a shutdown just as the scheduler puts it away trips that
        threading.Event().wait(0.005)
    scheduler.shutdown()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert write_files("frameworks/apscheduler.md", tmp_path) == ["schedule.py"]
    return tmp_path


def env(folder: Path) -> dict[str, str]:
    return {"LEASES_URL": f"sqlite:///{folder / 'leases.db'}"}


def at_three(folder: Path) -> Program:
    return Program(sys.executable, "-c", _IT_IS_THREE, cwd=folder, env=env(folder))


def test_of_several_schedulers_one_runs_the_job(folder: Path) -> None:
    with at_three(folder) as a, at_three(folder) as b, at_three(folder) as c:
        said = sorted(outputs([a, b, c]))
    assert said == [["ran: None"], ["ran: None"], ["ran: the report is written"]]


def test_the_program_of_the_page_runs_until_it_is_asked_to_end(folder: Path) -> None:
    with Program(sys.executable, "schedule.py", cwd=folder, env=env(folder)) as program:
        program.line("on schedule")
        program.kill(signal.SIGTERM)
        assert program.status() == 0
        assert program.said == ["on schedule"]
