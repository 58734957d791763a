"""The roles between processes, through deaths that nobody tells of."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path

import pytest
from support.programs import Program, outputs

from lease_actors import Manager

pytestmark = pytest.mark.timeout(180)  # interpreters start slowly on a busy machine


_CANDIDATE = """
import signal, sys, threading
from lease_actors import Manager
from lease_actors.roles import Election

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())

def lead(term):
    print("leads", term.term)
    while not term.lost.wait(0.5):  # a signal just before a wait is heard only after it
        pass
    print("resigns", term.term)

with Manager.open(sys.argv[1]) as manager:
    print("stands")
    Election(manager.claimer("ns"), "leader", sys.argv[2], duration=5).run(lead, stop=stop)
print("over")
"""

_SHORT_TERMS = """
import os, sys, threading
from lease_actors import Manager
from lease_actors.roles import Election

url, me, mark = sys.argv[1:]
stop, terms = threading.Event(), []

def lead(term):
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))    # fails if another leads
    terms.append(term.term)
    print("term", term.term)
    os.unlink(mark)
    if len(terms) == 10:
        stop.set()

with Manager.open(url) as manager:
    Election(manager.claimer("ns"), "leader", me, duration=20).run(lead, stop=stop)
"""

_SCRIPT = """
import sys, threading
from lease_actors import Manager
from lease_actors.roles import only_one

with Manager.open(sys.argv[1]) as manager:

    @only_one(manager.claimer("ns"), "report", duration=30, at_least=float(sys.argv[2]))
    def report():
        print("runs")
        if sys.argv[3] == "hangs":
            threading.Event().wait()
        return "has run"

    print(report() or "was skipped")
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'leases.db'}"


def freeze(program: Program, path: str) -> None:
    """Stop the process, but not in the midst of a commit: that would stop everybody on SQLite."""
    while True:
        program.kill(signal.SIGSTOP)
        os.waitpid(program.pid, os.WUNTRACED)
        connection = sqlite3.connect(path, timeout=0.5, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            program.kill(signal.SIGCONT)
        finally:
            connection.close()


def test_when_the_leader_is_killed_another_leads(url: str) -> None:
    with Program.python(_CANDIDATE, url, "ann") as ann:
        assert ann.line("leads") == "1"
        with Program.python(_CANDIDATE, url, "bob") as bob:
            bob.line("stands")
            ann.kill(signal.SIGKILL)
            assert bob.line("leads") == "2"
            bob.kill(signal.SIGTERM)
            assert bob.status() == 0
            assert bob.said[-2:] == ["resigns 2", "over"]


def test_a_leader_that_is_asked_to_end_resigns(url: str) -> None:
    with Manager.open(url) as manager, Program.python(_CANDIDATE, url, "ann") as ann:
        assert ann.line("leads") == "1"
        ann.kill(signal.SIGTERM)
        assert ann.line("resigns") == "1"
        assert ann.status() == 0
        assert manager.reader("ns").get("leader") is None  # released, not left to expire


def test_a_candidate_that_is_asked_to_end_leaves_the_queue(url: str) -> None:
    with Manager.open(url) as manager, Program.python(_CANDIDATE, url, "ann") as ann:
        ann.line("leads")
        with Program.python(_CANDIDATE, url, "bob") as bob:
            bob.line("stands")
            pause = threading.Event()
            while not manager.reader("ns").waiting("leader"):
                pause.wait(0.01)
            bob.kill(signal.SIGTERM)
            assert bob.status() == 0
            assert bob.said == ["stands", "over"]
        assert manager.reader("ns").waiting("leader") == []


def test_a_leader_that_was_stopped_for_too_long_finds_another_one_leading(url: str) -> None:
    with Program.python(_CANDIDATE, url, "ann") as ann:
        assert ann.line("leads") == "1"
        freeze(ann, url.removeprefix("sqlite:///"))
        with Program.python(_CANDIDATE, url, "bob") as bob:
            assert bob.line("leads") == "2"
            ann.kill(signal.SIGCONT)
            assert ann.line("resigns") == "1"
            bob.kill(signal.SIGTERM)
            assert ann.line("leads") == "3"
            ann.kill(signal.SIGTERM)
            assert ann.status() == bob.status() == 0


def test_no_two_processes_lead_at_once(url: str, tmp_path: Path) -> None:
    mark = tmp_path / "somebody-leads"
    programs = [Program.python(_SHORT_TERMS, url, name, mark) for name in ("ann", "bob", "cid")]
    with programs[0], programs[1], programs[2]:
        said = outputs(programs)
    terms = [int(line.split()[1]) for lines in said for line in lines]
    assert len(terms) == len(set(terms)) == 30


def test_a_script_that_comes_a_little_later_does_not_run_the_job_again(url: str) -> None:
    with Program.python(_SCRIPT, url, "60", "quick") as first:
        assert outputs([first]) == [["runs", "has run"]]
    with Program.python(_SCRIPT, url, "60", "quick") as second:
        assert outputs([second]) == [["was skipped"]]


def test_a_script_runs_again_when_at_least_is_over(url: str) -> None:
    for _ in range(2):
        with Program.python(_SCRIPT, url, "0.05", "quick") as script:
            assert outputs([script]) == [["runs", "has run"]]


def test_of_scripts_that_start_together_one_runs_the_job(url: str) -> None:
    with Manager.open(url):
        pass  # the schema is there
    programs = [Program.python(_SCRIPT, url, "60", "quick") for _ in range(3)]
    with programs[0], programs[1], programs[2]:
        said = sorted(outputs(programs))
    assert said == [["runs", "has run"], ["was skipped"], ["was skipped"]]


def test_at_least_outlives_a_script_that_is_killed(url: str) -> None:
    with Program.python(_SCRIPT, url, "60", "hangs") as first:
        first.line("runs")
        first.kill(signal.SIGKILL)
        first.status()
    with Program.python(_SCRIPT, url, "60", "quick") as second:
        assert outputs([second]) == [["was skipped"]]
