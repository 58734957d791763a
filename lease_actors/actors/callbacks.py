"""The callbacks of holds: those of one hold one at a time, and none in anybody else's way."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from lease_actors.actors.alarm import Alarm
from lease_actors.clock import Clock
from lease_actors.observability.logging import ManagerLog

_AGAIN = 1_000_000
"""Microseconds after which another thread is asked for, if the machine had none to give."""


class Calls:
    """What is still to be called for one hold, in order."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], object]] = deque()
        self.running = False


class Callbacks:
    """A thread for each hold that has something to call, for as long as it has.

    What a callback raises is logged. A callback that never returns keeps its own hold's others
    waiting, and nothing else.
    """

    def __init__(self, clock: Clock, alarm: Alarm, log: ManagerLog, label: str) -> None:
        self._clock, self._alarm, self._log = clock, alarm, log
        self._name = f"lease callback {label}"
        self._lock = threading.Lock()

    def call(self, calls: Calls, callback: Callable[[], object]) -> None:
        """Call back, after all that was asked for this hold before."""
        with self._lock:
            calls.waiting.append(callback)
            if calls.running:
                return
            calls.running = True
        self._start(calls)

    def rest(self, letters: Iterable[Any]) -> None:
        """Nobody is left who would read the letters: what is to be called among them is."""
        for letter in letters:
            match letter:
                case (Calls() as calls, callback):
                    self.call(calls, callback)

    def _start(self, calls: Calls) -> None:
        try:
            thread = threading.Thread(target=self._run, args=(calls,), name=self._name, daemon=True)
            thread.start()
        except RuntimeError as error:  # too many threads; or the interpreter is about to end
            self._log.warning(
                "no thread for the callback of a hold: %s", error, extra={"action": "no_thread"}
            )
            self._alarm.at(self._clock.steady() + _AGAIN, partial(self._start, calls))

    def _run(self, calls: Calls) -> None:
        while True:
            with self._lock:
                if not calls.waiting:
                    calls.running = False
                    return
                callback = calls.waiting.popleft()
            try:
                callback()
            except BaseException as error:  # SystemExit, too: it is the callback that ends
                self._log.error(
                    "a callback of a hold failed: %r",
                    error,
                    exc_info=error,
                    extra={"action": "callback_failed"},
                )
