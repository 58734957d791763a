"""Signals that ask the program to end, as exceptions: so a claim that waits is withdrawn first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["FORWARDED", "Terminated", "handling", "terminate"]

FORWARDED = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH),
)
"""What ``run`` passes on to its command."""


class Terminated(BaseException):
    """A signal asked the program to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(
            "interrupted" if signum == signal.SIGINT else f"ended by {signal.Signals(signum).name}"
        )
        self.signum = signum


def terminate(signum: int) -> None:
    """The handler that raises."""
    raise Terminated(signum)


@contextmanager
def handling(signals: Iterable[int], handle: Callable[[int], None]) -> Iterator[None]:
    """Handle the signals while the block runs. What is ignored (nohup) stays ignored."""

    def handler(signum: int, frame: FrameType | None) -> None:
        handle(signum)

    before: dict[int, Any] = {}
    try:
        for signum in signals:
            if signal.getsignal(signum) != signal.SIG_IGN:
                before[signum] = signal.signal(signum, handler)
        yield
    finally:
        for signum, previous in before.items():
            signal.signal(signum, previous)
