"""``run``: a command lives only while its lease does, and nothing of it outlives the lease."""

from __future__ import annotations

import os
import pty
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.command import Command, Running, alive, eventually

from lease_actors import Manager

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux keeps what has left its group"
)

SLEEP = "sleep 600"


def test_the_child_has_the_lease_and_knows_it(command: Command, manager: Manager) -> None:
    script = (
        "echo $LEASE_ACTORS_LEASE; echo $LEASE_ACTORS_TERM; echo $LEASE_ACTORS_DEADLINE; read x"
    )
    before = time.time()
    reader, writer = os.pipe()
    running = command.start(
        "run", "--lease", "x", "--holder", "me", "sh", "-c", script, stdin=reader
    )
    os.close(reader)
    assert running.line() == "x"
    lease = manager.reader("default").get("x")
    assert lease is not None
    assert (running.line(), lease.holder) == (str(lease.term), "me")
    assert before + 28 <= int(running.line()) <= time.time() + 30
    os.close(writer)
    assert running.done().status == 1  # read has found the end
    assert manager.reader("default").get("x") is None


def test_the_status_is_the_childs(command: Command) -> None:
    done = command.all(
        ("run", "--lease", "a", "true"),
        ("run", "--lease", "b", "--", "sh", "-c", "exit 7"),
        ("run", "--lease", "c", "sh", "-c", "kill -9 $$"),
        ("run", "--lease", "d", "no-such-command"),
        ("run", "--lease", "e", "/etc/passwd"),
    )
    assert [d.status for d in done] == [0, 7, 137, 127, 126]
    assert [d.err for d in done[:3]] == ["", "", ""]
    assert all(d.is_one_line(d.status) for d in done[3:])


def test_the_status_of_a_lease_not_to_be_had_can_be_chosen(
    command: Command, manager: Manager
) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    assert command("run", "--lease", "x", "--no-wait", "-E", "9", "true").is_one_line(9)


def test_of_a_conflict_that_is_a_success_nothing_is_said(
    command: Command, manager: Manager
) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    started = ("run", "--lease", "x", "-E", "0")
    done = command.all(
        (*started, "--no-wait", "echo", "never"), (*started, "--wait", "0.1", "echo", "never")
    )
    assert done == [(0, "", ""), (0, "", "")]


def test_it_waits_its_turn(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "somebody", 2)
    running = command.start("run", "--lease", "x", "echo", "now")
    assert running.done() == (0, "now\n", "")


def test_ended_while_it_waits_it_leaves_the_queue(command: Command, manager: Manager) -> None:
    manager.claimer("default").claim("x", "somebody", 60)
    running = command.start("run", "--lease", "x", "echo", "never")
    eventually(lambda: len(manager.reader("default").waiting("x")) == 1)
    running.signal(signal.SIGTERM)
    done = running.done()
    assert done.is_one_line(143)
    assert done.out == ""
    assert manager.reader("default").waiting("x") == []


def test_the_child_leads_a_process_group_of_its_own(command: Command) -> None:
    code = "import os; print(os.getpid(), os.getpgrp(), os.getppid())"
    running = command.start("run", "--lease", "x", sys.executable, "-c", code)
    pid, group, parent = map(int, running.line().split())
    assert pid == group
    assert parent != running.pid  # a helper stands between
    assert running.done().status == 0


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(command: Command, signum: int) -> None:
    script = f"trap 'echo heard; exit 3' {signum}; echo ready; while :; do sleep 0.05; done"
    running = command.start("run", "--lease", "x", "sh", "-c", script)
    assert running.line() == "ready"
    running.signal(signum)
    assert running.done()[:2] == (3, "heard\n")  # the shell may speak of its child on stderr


def test_a_revoked_lease_ends_the_child(command: Command, manager: Manager) -> None:
    script = "trap 'echo term; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    arguments = ("run", "--lease", "x", "--holder", "me", "--duration", "3", "sh", "-c", script)
    running = command.start(*arguments)
    assert running.line() == "ready"
    manager.revoker("default").revoke("x", "me")
    done = running.done()
    assert (done.status, done.out) == (74, "term\n")
    assert "it was revoked" in done.err.splitlines()[-1]


CLOCK = """
import os, signal, time
def say(line):  # in one piece: print may write it in several, and a signal come between
    os.write(1, line.encode() + b"\\n")
signal.signal(signal.SIGTERM, lambda *_: say(f"term {time.time()}"))
say("ready")
while True:
    say(f"at {time.time()}")
    time.sleep(0.005)
"""


@pytest.fixture
def stubborn(command: Command) -> Running:
    """A command that does not end when it is asked to, and says at what time it still runs."""
    arguments = ("run", "--lease", "x", "--duration", "3", sys.executable, "-c", CLOCK)
    running = command.start(*arguments)
    assert running.line() == "ready"
    return running


def _died_in_time(running: Running, since: float) -> None:
    """It was asked to end, then killed, before a lease of three seconds could have run out."""
    lines = running.done().out.splitlines()
    asked = [float(line.split()[1]) for line in lines if line.startswith("term")]
    last = float(lines[-1].split()[1])
    assert len(asked) == 1
    assert asked[0] < last
    assert last < since + 3


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_lease_that_cannot_be_renewed_ends_the_child_before_the_deadline(
    stubborn: Running, url: str
) -> None:
    writer = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")  # from now on nothing is renewed
    try:
        _died_in_time(stubborn, time.time())
    finally:
        writer.close()
    assert stubborn.process.returncode == 74


@linux
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_signal_after_the_childs_end_cuts_the_wait_for_the_release_short(
    command: Command, url: str
) -> None:
    code = "import os; print(os.getppid(), flush=True); input(); os._exit(7)"
    reader, writer = os.pipe()
    running = command.start("run", "--lease", "x", sys.executable, "-c", code, stdin=reader)
    os.close(reader)
    helper = int(running.line())
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # nothing is released
    try:
        os.write(writer, b"\n")
        eventually(lambda: not os.path.exists(f"/proc/{helper}"), "the end of the tree")
        since = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.done() == (7, "", "")
        assert time.monotonic() - since < 7  # it takes 4 s, and without the signal 10 s
    finally:
        other.close()
        os.close(writer)


def test_a_wrapper_that_is_stopped_costs_the_child_its_life_in_time(stubborn: Running) -> None:
    stubborn.signal(signal.SIGSTOP)
    since = time.time()
    # Its output ends when the last of the tree is gone; the wrapper keeps only its own.
    last = ""
    while time.time() < since + 10:
        line = stubborn.line_if(0.5)
        if line is None:
            break
        last = line
    assert float(last.split()[1]) < since + 3
    stubborn.signal(signal.SIGCONT)
    assert stubborn.done().status == 74


@pytest.fixture
def tree(
    request: pytest.FixtureRequest, command: Command, tmp_path: Path
) -> Iterator[tuple[Running, list[int]]]:
    """A command with a child, a child that ignores TERM, and one that has left the group."""
    code = (
        f"echo $$ > 1; {SLEEP} & echo $! > 2; (trap '' TERM; echo ready; exec {SLEEP}) & echo $! > 3;"
        f" setsid sh -c 'echo $$ > 4; exec {SLEEP}' & echo ready; wait"
    )
    script = f"cd {tmp_path}; {code}"
    times = ("--duration", getattr(request, "param", "6"), "--grace", "0.5")
    running = command.start("run", "--lease", "x", *times, "sh", "-c", script)
    assert [running.line(), running.line()] == ["ready", "ready"]
    eventually(lambda: (tmp_path / "4").exists() and (tmp_path / "4").read_text().strip())
    pids = [int((tmp_path / str(n)).read_text()) for n in (1, 2, 3, 4)]
    assert all(map(alive, pids))
    yield running, pids
    for pid in filter(alive, pids):
        os.kill(pid, signal.SIGKILL)


@linux
@pytest.mark.parametrize(
    ("tree", "end"),
    # With a long duration it is not the deadline that ends the tree; but of a revocation
    # elsewhere the wrapper hears with the next renewal only.
    [("5m", "kill -9"), ("5m", "TERM"), ("6", "revoke")],
    indirect=["tree"],
)
def test_nothing_is_orphaned(tree: tuple[Running, list[int]], manager: Manager, end: str) -> None:
    running, pids = tree
    if end == "revoke":
        lease = manager.reader("default").get("x")
        assert lease is not None
        manager.revoker("default").revoke("x", lease.holder)
    else:
        running.signal(signal.SIGKILL if end == "kill -9" else signal.SIGTERM)
    eventually(lambda: not any(map(alive, pids)), "the end of the tree")
    assert running.done().status == {"kill -9": -9, "TERM": 143, "revoke": 74}[end]


def test_what_the_command_leaves_behind_ends_with_it(command: Command) -> None:
    running = command.start("run", "--lease", "x", "sh", "-c", f"{SLEEP} & echo $!")
    left_behind = int(running.line())
    assert running.done().status == 0
    assert not alive(left_behind)


def test_a_helper_that_is_killed_leaves_no_command(command: Command) -> None:
    code = "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)"
    running = command.start("run", "--lease", "x", sys.executable, "-c", code)
    child, helper = map(int, running.line().split())
    os.kill(helper, signal.SIGKILL)
    assert running.done().status == 137
    eventually(lambda: not alive(child))


def test_the_command_has_the_terminal(command: Command) -> None:
    """It reads there, and Ctrl-C goes to it and not to the wrapper."""
    script = "trap 'echo interrupted; exit 5' INT; read line; echo got $line; read line"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["LEASE_ACTORS_URL"] = command.url
        arguments = ["-m", "lease_actors", "run", "--lease", "x", "sh", "-c", script]
        os.execv(sys.executable, [sys.executable, *arguments])
    try:
        os.write(terminal, b"something\n")
        _read_until(terminal, b"got something")
        os.write(terminal, b"\x1a")  # who holds a lease is not laid aside
        os.write(terminal, b"\x03")
        _read_until(terminal, b"interrupted")
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 5


def _read_until(terminal: int, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        assert select.select([terminal], [], [], 30)[0], seen
        seen += os.read(terminal, 1024)


def test_the_command_line_is_the_commands_own(command: Command) -> None:
    done = command("run", "--lease", "x", "echo", "--lease", "-n", "--", "y")
    assert done == (0, "--lease -n -- y\n", "")
