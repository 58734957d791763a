"""A clock that stands still until it is told to move."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from lease_actors.clock import Waitable, to_instant

_START = datetime(2020, 2, 29, 12, 34, 56, 789012, tzinfo=timezone.utc)
_PATIENCE = 10.0
"""Real seconds after which ``advance`` gives up on a thread that does not come back."""
_ERRAND = 3.0
"""Real seconds after which ``advance`` gives up on what an alarm has set off: the store hangs."""
_POLL = 0.0005
"""Real seconds between two looks at whether it has been done."""
_GLANCE = 0.005
"""Real seconds after which a thread whose signal says nothing any more looks by itself."""


class _Sleeper:
    """One thread in ``wait``."""

    def __init__(self, signal: Waitable, until: int | None) -> None:
        self.signal = signal
        self.until = until
        self.woken = False


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
        self._despaired: dict[int, int] = {}
        self._spent: dict[int, Waitable] = {}
        """Signals that this clock has set because their time had come: whoever waits on one
        again cannot be woken by it, and must not be kept awake by it either."""

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
        sleeper = _Sleeper(signal, until)
        try:
            if self._fall_asleep(sleeper):
                signal.wait()
        finally:
            with self._changed:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)
                    self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Move on, and return when every alarm that fell due has been delivered.

        The time stops at each instant for which somebody sleeps, in order, and wakes them.
        """
        with self._changed:
            target = self._steady + round(seconds * 1e6)
            self._await(self._alarms_sleep)
            while self._step_towards(target):
                pass

    def wait_for_sleepers(self, count: int = 1) -> None:
        """Return when at least so many threads sleep until some instant: a signal for tests."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._timed() >= count, _PATIENCE):
                raise TimeoutError(f"fewer than {count} threads sleep on this clock")

    def _fall_asleep(self, sleeper: _Sleeper) -> bool:
        """Write the thread down as asleep; False if its signal is not what it can wait on."""
        with self._changed:
            if _returns(sleeper.signal):
                self._bells.add(sleeper.signal)
            if sleeper.until is not None and sleeper.until <= self._steady:
                return False
            self._sleepers.append(sleeper)
            self._changed.notify_all()
            if id(sleeper.signal) not in self._spent:
                return True
            self._changed.wait_for(lambda: sleeper.woken, _GLANCE)
            return False

    def _step_towards(self, target: int) -> bool:
        """Move to the next instant somebody sleeps for; False when the target was reached."""
        instants = [s.until for s in self._sleepers if s.until is not None and s.until <= target]
        instant = max(self._steady, min(instants, default=target))
        self._wall += instant - self._steady
        self._steady = instant
        woken = [s for s in self._sleepers if s.until is not None and s.until <= instant]
        for sleeper in woken:
            sleeper.woken = True
            if not _returns(sleeper.signal):
                self._spent[id(sleeper.signal)] = sleeper.signal
            sleeper.signal.set()
        self._changed.notify_all()
        self._await(lambda: self._have_left(woken) and self._alarms_sleep())
        return bool(woken) or instant < target

    def _await(self, delivered: Callable[[], bool]) -> None:
        """Wait until the alarms have been delivered, and leases renewed that were due."""
        self._look_for(delivered, _PATIENCE)
        if not self._look_for(lambda: not any(map(self._owed, self._bells)), _ERRAND):
            self._despaired.update({id(bell): _owes(bell) for bell in self._bells})
        self._look_for(delivered, _PATIENCE)

    def _look_for(self, condition: Callable[[], bool], patience: float) -> bool:
        """Not everything that is waited for tells when it comes about: look again and again."""
        for _ in range(round(patience / _POLL)):
            if condition():
                return True
            self._changed.wait(_POLL)
        return False

    def _owed(self, bell: Any) -> bool:
        """Is something under way there, and not given up?"""
        return _owes(bell) not in (0, self._despaired.get(id(bell)))

    def _have_left(self, woken: list[_Sleeper]) -> bool:
        return not any(sleeper in self._sleepers for sleeper in woken)

    def _alarms_sleep(self) -> bool:
        """An alarm comes back to the same bell: then its callbacks have been called."""
        asleep = {id(s.signal) for s in self._sleepers}
        return all(id(bell) in asleep and not bell.is_set() for bell in self._bells if bell.returns)

    def _timed(self) -> int:
        return sum(s.until is not None for s in self._sleepers)


def _owes(signal: Any) -> int:
    """What it has set off and is still under way, as a number; 0 if nothing is."""
    owes: Callable[[], int] = getattr(signal, "owes", int)
    return owes()


def _returns(signal: Waitable) -> bool:
    """Does whoever waits on it clear it, and come back to wait again?"""
    return bool(getattr(signal, "returns", False))
