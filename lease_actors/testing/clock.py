"""A clock that stands still until it is told to move."""

from __future__ import annotations

import threading
import uuid
import weakref
from datetime import datetime, timezone
from typing import Any

from lease_actors.clock import Waitable, to_instant

_START = datetime(2020, 2, 29, 12, 34, 56, 789012, tzinfo=timezone.utc)
_PATIENCE = 10.0
"""Real seconds after which ``advance`` gives up on a thread that does not come back."""


class _Sleeper:
    """One thread in ``wait``."""

    def __init__(self, signal: Waitable, until: int | None) -> None:
        self.signal = signal
        self.until = until


class FakeClock:
    """Wall and steady time that only :meth:`advance` moves.

    It drives a manager, its alarms, the memory store and SQLite. Against a database server,
    which has a clock of its own, it drives only the local deadlines.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._wall = to_instant(start)
        self._steady = 1_000_000_000
        self._boot_id = f"fake-{uuid.uuid4()}"
        self._changed = threading.Condition()
        self._sleepers: list[_Sleeper] = []
        self._bells: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def wall(self) -> int:
        return self._wall

    def steady(self) -> int:
        return self._steady

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock to another time, as an administrator would; nothing else moves."""
        self._wall += round(seconds * 1e6)

    def wait(self, signal: Waitable, until: int | None) -> None:
        """Return when the signal is set or the time has been advanced to ``until``."""
        with self._changed:
            if getattr(signal, "returns", False):
                self._bells.add(signal)
            if until is not None and until <= self._steady:
                return
            sleeper = _Sleeper(signal, until)
            self._sleepers.append(sleeper)
            self._changed.notify_all()
        try:
            signal.wait()
        finally:
            with self._changed:
                self._sleepers.remove(sleeper)
                self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Move on, and return when every alarm that fell due has been delivered.

        The time stops at each instant for which somebody sleeps, in order, and wakes them.
        """
        with self._changed:
            target = self._steady + round(seconds * 1e6)
            self._changed.wait_for(self._alarms_sleep, _PATIENCE)
            while self._step_towards(target):
                pass

    def wait_for_sleepers(self, count: int = 1) -> None:
        """Return when at least so many threads sleep until some instant: a signal for tests."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._timed() >= count, _PATIENCE):
                raise TimeoutError(f"fewer than {count} threads sleep on this clock")

    def _step_towards(self, target: int) -> bool:
        """Move to the next instant somebody sleeps for; False when the target was reached."""
        instants = [s.until for s in self._sleepers if s.until is not None and s.until <= target]
        instant = max(self._steady, min(instants, default=target))
        self._wall += instant - self._steady
        self._steady = instant
        woken = [s for s in self._sleepers if s.until is not None and s.until <= instant]
        for sleeper in woken:
            sleeper.signal.set()
        self._changed.wait_for(lambda: self._have_left(woken) and self._alarms_sleep(), _PATIENCE)
        return bool(woken) or instant < target

    def _have_left(self, woken: list[_Sleeper]) -> bool:
        return not any(sleeper in self._sleepers for sleeper in woken)

    def _alarms_sleep(self) -> bool:
        """An alarm comes back to the same bell: then its callbacks have been called."""
        asleep = {id(s.signal) for s in self._sleepers}
        return all(
            id(bell) in asleep and not bell.is_set() for bell in self._bells if bell.returns
        )

    def _timed(self) -> int:
        return sum(s.until is not None for s in self._sleepers)
