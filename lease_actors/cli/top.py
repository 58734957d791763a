"""``top``: the leases as they change, in a terminal."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from datetime import timedelta

import click
from rich.console import Console
from rich.live import Live

from lease_actors.cli.keys import Keys
from lease_actors.cli.options import SECONDS, Target, everywhere, on_leases
from lease_actors.cli.output import console
from lease_actors.cli.top_view import SORTS, Screen, Snapshot, draw, press, scrolled
from lease_actors.clock import Clock, SystemClock
from lease_actors.errors import LeaseError
from lease_actors.overview import LeaseView, Overview

__all__ = ["COMMANDS"]

_FRAME = 0.25
"""Seconds between two frames, if no key is pressed."""


@click.command()
@everywhere
@click.option("--sort", "-s", type=click.Choice(list(SORTS)), default="lease", show_default=True)
@click.option("--filter", "-f", "words", default="", help="Only leases that have these words.")
@click.option("--interval", type=SECONDS, default="1", show_default=True)
@on_leases
def top(target: Target, everywhere: bool, sort: str, words: str, interval: float) -> None:
    """Watch the leases live: holder, term, time left, queue, pins."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("top needs a terminal: use ls, or watch")
    screen = Screen(everywhere=everywhere, sort=sort, filter=words)
    clock = SystemClock()
    with target.open() as manager:
        reader = _Reader(manager.overview(), target.place, interval, clock, screen.everywhere)
        try:
            _show(screen, reader, target.describe(), console())
        finally:
            reader.close()


def _show(screen: Screen, reader: _Reader, place: str, printer: Console) -> None:
    ascii = not (printer.encoding or "").lower().startswith("utf")
    with Keys.reading() as keys, Live(console=printer, screen=True, auto_refresh=False) as live:
        while not screen.done:
            width, height = printer.size
            snapshot = reader.snapshot()
            screen = scrolled(screen, snapshot, height)
            live.update(draw(screen, snapshot, place, width, height, ascii=ascii), refresh=True)
            key = keys.next(_FRAME)
            if key is not None:
                screen = press(screen, key)
                reader.look(everywhere=screen.everywhere)


@dataclass(frozen=True)
class _Read:
    views: list[LeaseView]
    at: int


class _Reader:
    """Reads on a thread of its own, so that the screen lives on while the database hangs."""

    def __init__(
        self,
        overview: Overview,
        place: tuple[str, str],
        interval: float,
        clock: Clock,
        everywhere: bool,
    ) -> None:
        self._overview, self._place, self._interval = overview, place, interval
        self._clock, self._everywhere = clock, everywhere
        self._read: _Read | None = None
        self._error = ""
        self._closed = False
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease top reader", daemon=True)
        self._thread.start()

    def snapshot(self) -> Snapshot:
        """What was read last."""
        read = self._read
        if read is None:
            return Snapshot(error=self._error, loaded=False)
        age = timedelta(microseconds=self._clock.steady() - read.at)
        return Snapshot(views=read.views, age=age, error=self._error)

    def look(self, *, everywhere: bool) -> None:
        """Look at all namespaces, or at one; at once, if that is new."""
        if everywhere != self._everywhere:
            self._everywhere = everywhere
            self._again.set()

    def close(self) -> None:
        """Read no more; a read that hangs is left behind."""
        self._closed = True
        self._again.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closed:
            self._again.clear()
            sent = self._clock.steady()
            try:
                place = () if self._everywhere else self._place
                self._read = _Read(self._overview.leases(*place), sent)
                self._error = ""
            except LeaseError as error:
                self._error = str(error)
            self._again.wait(self._interval)


COMMANDS = (top,)
