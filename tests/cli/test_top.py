"""``top``: what is on the screen, what the keys do, and that the terminal is left as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from cli.command import Command
from rich.console import Console

from lease_actors import Key, Manager
from lease_actors.cli.top_view import Screen, Snapshot, chosen, draw, press, scrolled
from lease_actors.overview import LeaseView


def view(lease: str, holder: str | None = "me", left: float = 30, **fields: object) -> LeaseView:
    plain = LeaseView(
        key=Key("ns", "", lease),
        state="free" if holder is None else "held",
        holder=holder,
        term=1,
        granted_at=None,
        expiry=None,
        duration=timedelta(seconds=60),
        remaining=None if holder is None else timedelta(seconds=left),
        pins=(),
        waiting=0,
        ended=None,
        ended_term=0,
        ended_at=None,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def text_of(screen: Screen, snapshot: Snapshot, width: int = 80, height: int = 12) -> str:
    out = StringIO()
    Console(file=out, width=width, height=height).print(
        draw(screen, snapshot, "a database", width, height)
    )
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal_whatever_the_names(width: int) -> None:
    names = ["short", "a-very-long-name-" * 9, "\u7f50\u982d" * 40, "[red]\x1b[31m"]
    views = [view(n, holder=n, pins=(n,) if n == "short" else (), waiting=12345) for n in names]
    lines = text_of(Screen(), Snapshot(views=views * 9), width).splitlines()
    assert len(lines) <= 12
    assert [line for line in lines if len(line.rstrip()) > width] == []
    assert "\x1b" not in "".join(lines)
    assert "1-7 of 36 (arrows)" in lines[-1]


def test_a_long_place_leaves_room_for_the_counts() -> None:
    out = StringIO()
    snapshot = Snapshot(views=[view("x"), view("y", pins=("up",))])
    Console(file=out, width=60).print(draw(Screen(), snapshot, "/a/long/path" * 9, 60, 12))
    head = out.getvalue().splitlines()[0].rstrip()
    assert head.startswith("/a/long/path")
    assert head.endswith("…  2 held, 1 pinned, 0 waiting")


def test_the_time_left_is_a_bar_that_runs_on_between_reads() -> None:
    views = [view("x", left=30)]
    at_once = text_of(Screen(), Snapshot(views=views))
    later = text_of(Screen(), Snapshot(views=views, age=timedelta(seconds=18)))
    over = text_of(Screen(), Snapshot(views=views, age=timedelta(seconds=99)))
    assert "█████░░░░░    30s" in at_once
    assert "██░░░░░░░░    12s" in later
    assert "░░░░░░░░░░   0.0s" in over
    plain = draw(Screen(), Snapshot(views=views), "", 80, 12, ascii=True)
    out = StringIO()
    Console(file=out, width=80).print(plain)
    assert out.getvalue().isascii()


def test_pinned_and_free_leases_have_no_bar() -> None:
    shown = text_of(Screen(), Snapshot(views=[view("a", pins=("up",)), view("b", holder=None)]))
    assert "pinned" in shown
    assert "free" in shown
    assert "█" not in shown


def test_a_store_that_fails_is_said_above_what_was_read_last() -> None:
    shown = text_of(Screen(), Snapshot(views=[view("x")], error="the store failed"))
    assert shown.startswith("the store failed")
    assert "x" in shown.splitlines()[3]


def test_keys_sort_and_reverse() -> None:
    views = [view("a", "z", 50), view("b", "y", 10, waiting=3), view("c", "x", 30, term=9)]

    def order(keys: str) -> str:
        screen = Screen()
        for key in keys:
            screen = press(screen, key)
        return "".join(v.key.lease for v in chosen(screen, views))

    assert order("") == "abc"
    assert order("r") == "cba"
    assert order("s") == "cba"  # by holder
    assert order("ss") == "cab"  # the highest term first
    assert order("sss") == "bca"  # what ends first
    assert order("ssss") == "bac"  # where most wait
    assert order("S") == "bac"
    assert order("sssss") == "abc"


def test_the_filter_is_typed_and_cleared() -> None:
    views = [view("alpha"), view("beta", "quentin"), view("gamma")]
    screen = Screen()
    for key in ("/", "Q", "x", "\x7f", "u"):
        screen = press(screen, key)
    assert (screen.typing, screen.filter, screen.done) == (True, "Qu", False)
    assert [v.key.lease for v in chosen(screen, views)] == ["beta"]
    screen = press(screen, "\n")
    assert (screen.typing, screen.filter) == (False, "Qu")
    assert press(screen, "escape").filter == ""
    assert press(screen, "q").done
    assert press(screen, "a").everywhere


def test_the_arrows_scroll_as_far_as_there_is_something() -> None:
    snapshot = Snapshot(views=[view(f"lease-{i:02}") for i in range(1, 31)])

    def after(*keys: str) -> tuple[str, str, int]:
        screen = Screen()
        for key in keys:
            screen = scrolled(press(screen, key), snapshot, 12)
        lines = text_of(screen, snapshot).splitlines()
        return lines[3].split()[0], lines[-1].split(" (")[0], len(lines)

    assert after() == ("lease-01", "1-7 of 30", 11)
    assert after("down") == ("lease-02", "2-8 of 30", 11)
    assert after("page down", "down", "up") == ("lease-11", "11-17 of 30", 11)
    assert after("up", "page up") == ("lease-01", "1-7 of 30", 11)
    assert after(*["page down"] * 9, "down") == ("lease-24", "24-30 of 30", 11)
    assert after(*["page down"] * 9, "up") == ("lease-23", "23-29 of 30", 11)


def test_what_scrolled_is_seen_whole_again_when_it_fits() -> None:
    screen = replace(Screen(), above=9)
    few = Snapshot(views=[view("a"), view("b")])
    assert scrolled(screen, few, 12).above == 0
    assert "of" not in text_of(Screen(), few).splitlines()[-1].split()


class Terminal:
    """``top`` in a terminal of 80 columns."""

    def __init__(self, command: Command) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(LEASE_ACTORS_URL=command.url, TERM="xterm", COLUMNS="80", LINES="12")
            arguments = ["-m", "lease_actors", "top", "--interval", "100ms"]
            os.execv(sys.executable, [sys.executable, *arguments])
        self.before = termios.tcgetattr(self.fd)
        self.seen = b""
        self.status: int | None = None

    def until(self, wanted: str) -> None:
        end = time.monotonic() + 30
        while wanted.encode() not in self.seen:
            assert time.monotonic() < end, self.seen
            self._read()
        self.seen = self.seen.partition(wanted.encode())[2]

    def key(self, key: str) -> None:
        os.write(self.fd, key.encode())

    def ended(self) -> int:
        """Its status; the terminal is as it was."""
        while self._read():
            pass
        _, result = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(result)
        return self.status

    def _read(self) -> bytes:
        if not select.select([self.fd], [], [], 1)[0]:
            return b" "
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # it has ended
            data = b""
        self.seen += data
        return data


@pytest.fixture
def terminal(command: Command, manager: Manager) -> Iterator[Terminal]:
    manager.claimer("default").claim("nightly", "worker-1", 60)
    terminal = Terminal(command)
    yield terminal
    if terminal.status is None:
        os.kill(terminal.pid, signal.SIGKILL)
        os.waitpid(terminal.pid, 0)
    os.close(terminal.fd)


@pytest.mark.parametrize(("how", "status"), [("q", 0), ("\x03", 130)], ids=["q", "Ctrl-C"])
def test_live_in_a_terminal(terminal: Terminal, manager: Manager, how: str, status: int) -> None:
    terminal.until("nightly")
    terminal.until("worker-1")
    manager.claimer("default").claim("weekly", "worker-2", 60)
    terminal.until("weekly")
    terminal.key("/")
    terminal.until("filter:")
    terminal.key("\x1b")
    terminal.until("q quit")
    terminal.key(how)
    assert terminal.ended() == status
    assert b"\x1b[?1049l" in terminal.seen  # the screen from before is shown again
    assert b"Traceback" not in terminal.seen


def test_keys_that_come_at_once_are_told_apart(terminal: Terminal, manager: Manager) -> None:
    for number in range(12):
        manager.claimer("default").claim(f"weekly-{number:02}", "worker-2", 60)
    terminal.until("1-7 of 13")
    terminal.key("\x1b[B\x1bOB\x1b[15~\x1b[6~")  # F5 among them, which means nothing
    terminal.until("7-13 of 13")
    terminal.key("\x1b[5~\x1bOB\x1b[A\x1bOB\x1b[B")
    terminal.until("3-9 of 13")
    terminal.key("/\x1b[Bnightly")
    terminal.until(" 1 held")
    terminal.key("\x1b")
    terminal.until("q quit")
    terminal.key("q")
    assert terminal.ended() == 0
