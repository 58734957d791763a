"""Holds in real processes: suspended, forked, forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from acceptance.support import PATIENCE
from support.processes import freeze

from lease_actors import Manager

_KEEPER = """
import sys, threading
from lease_actors import LeaseLost, Manager

told = []
with Manager.open(sys.argv[1]) as manager:
    try:
        with manager.claimer("ns").hold("app", "child", 4, on_lost=told.append) as held:
            print("held", held.term, flush=True)
            if sys.argv[2] == "wait":
                held.lost.wait(60)
            else:
                while True:
                    held.check()
                    held.lost.wait(0.01)
            try:
                held.check()
            except LeaseLost as error:
                print("check", error.reason, flush=True)
    except LeaseLost as error:
        print("lost", error.reason, held.lost.is_set(), flush=True)
    ticks = threading.Event()
    while not told:
        ticks.wait(0.01)
    print("told", *told, flush=True)
"""

_FORK = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from lease_actors import LeaseLost, Manager

url, locked = sys.argv[1], sys.argv[2] == "locked"
manager = Manager.open(url)
told = []
with manager.claimer("ns").hold("app", "parent", 3, on_lost=told.append) as held:
    if locked:
        manager._crew.keeping._lock.acquire()
        held.lost._cond.acquire()
    child = os.fork()
    if child == 0:
        code = 9
        try:
            assert held.lost.is_set() and held.lost.wait()
            assert held.remaining().total_seconds() == 0
            try:
                held.check()
            except LeaseLost as error:
                assert error.reason == "stopped", error.reason
                code = 0
            held.release()
        finally:
            os._exit(code)
    if locked:
        held.lost._cond.release()
        manager._crew.keeping._lock.release()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert not held.lost.wait(4)
    held.check()

    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        held.check()
        manager.checker("ns").token("app", "parent").check()
    else:
        # The child goes on to the end of the block, which raises there, and ends nothing here.
        import atexit
        sys.excepthook = lambda kind, error, traceback: os._exit(7 if kind is LeaseLost else 8)
assert manager.reader("ns").leases() == {}
assert told == []
manager.kill()
manager.wait(20)
print("fine")
"""

_EXIT = """
import sys, threading
from lease_actors import Manager

manager = Manager.open(sys.argv[1])
held = threading.Event()

def work():
    with manager.claimer("ns").hold("app", "child", 3600):
        held.set()
        threading.Event().wait()

threading.Thread(target=work, daemon=True).start()
held.wait(20)
print("fine")
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'leases.db'}"


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def line(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout is not None
    return child.stdout.readline().split()


@pytest.mark.parametrize("how", ["wait", "check"])
def test_taken_while_the_process_was_stopped_for_longer_than_the_duration(
    url: str, how: str
) -> None:
    with Manager.open(url) as manager, running(_KEEPER, url, how) as child:
        assert line(child) == ["held", "1"]
        freeze(child.pid)
        taken = manager.claimer("ns").claim("app", "parent", 3600, wait=PATIENCE)
        assert taken.term == 2
        child.send_signal(signal.SIGCONT)
        if how == "wait":
            assert line(child) == ["check", "taken"]
        assert line(child) == ["lost", "taken", "True"]
        assert line(child) == ["told", "taken"]
        assert child.wait(PATIENCE) == 0
        assert manager.reader("ns").leases() == {"app": "parent"}


def test_expired_while_the_process_was_stopped_it_is_not_revived(url: str) -> None:
    with Manager.open(url) as manager, running(_KEEPER, url, "wait") as child:
        assert line(child) == ["held", "1"]
        freeze(child.pid)
        manager.claimer("ns").wait_until_expired("app", timeout=PATIENCE)
        child.send_signal(signal.SIGCONT)
        assert line(child) == ["check", "expired"]
        assert line(child) == ["lost", "expired", "True"]
        assert line(child) == ["told", "expired"]
        assert child.wait(PATIENCE) == 0
        assert manager.claimer("ns").claim("app", "parent", 60).term == 2


def test_revoked_while_the_process_was_stopped(url: str) -> None:
    with Manager.open(url) as manager, running(_KEEPER, url, "wait") as child:
        assert line(child) == ["held", "1"]
        freeze(child.pid)
        manager.revoker("ns").revoke("app", "child")
        child.send_signal(signal.SIGCONT)
        assert line(child) == ["check", "revoked"]
        assert line(child) == ["lost", "revoked", "True"]
        assert line(child) == ["told", "revoked"]


def test_a_short_stop_is_survived(url: str) -> None:
    with Manager.open(url) as manager, running(_KEEPER, url, "check") as child:
        assert line(child) == ["held", "1"]
        freeze(child.pid)
        assert manager.reader("ns").leases() == {"app": "child"}
        child.send_signal(signal.SIGCONT)
        with pytest.raises(TimeoutError):
            manager.claimer("ns").wait_until_expired("app", timeout=6)
        assert child.poll() is None
        manager.checker("ns").token("app", "child").check()


@pytest.mark.parametrize("locks", ["free", "locked"])
def test_in_a_forked_child_it_is_lost_and_nothing_of_the_parents_is_released(
    url: str, locks: str
) -> None:
    with running(_FORK, url, locks) as child:
        out, err = child.communicate(timeout=40)
        assert (child.returncode, out.strip()) == (0, "fine"), err


def test_at_the_interpreters_exit_a_block_that_runs_is_left_to_expire(url: str) -> None:
    with running(_EXIT, url) as child:
        out, err = child.communicate(timeout=20)
        assert (child.returncode, out.strip()) == (0, "fine"), err
    with Manager.open(url) as manager:
        assert manager.reader("ns").leases() == {"app": "child"}
