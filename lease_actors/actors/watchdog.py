"""Notices what takes too long. One alarm for all, since nearly everything ends in time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lease_actors.actors.alarm import Alarm
from lease_actors.clock import Clock


class Watched:
    """Something under way; ``over`` is set by whoever does it."""

    __slots__ = ("instant", "over", "overdue")

    def __init__(self, instant: int, overdue: Callable[[], object]) -> None:
        self.instant = instant
        """Steady: it is overdue then."""
        self.overdue = overdue
        self.over = False


class Watchdog:
    """Watches what was begun last, and tells if that is not over within ``limit`` microseconds.

    Its alarm is not set anew for everything that begins, but when it has rung: thousands begin
    before that.
    """

    def __init__(self, clock: Clock, alarm: Alarm, limit: int) -> None:
        self._clock, self._alarm, self._limit = clock, alarm, limit
        self._lock = threading.Lock()
        self._last: Watched | None = None
        self._is_set = False
        """The alarm will ring, at the latest when the last is overdue."""

    def begin(self, overdue: Callable[[], object]) -> Watched:
        """Something begins; ``overdue`` is called on the alarm's thread."""
        watched = Watched(self._clock.steady() + self._limit, overdue)
        with self._lock:
            self._last = watched
            was_set, self._is_set = self._is_set, True
        if not was_set:
            self._alarm.at(watched.instant, self._ring)
        return watched

    def _ring(self) -> None:
        with self._lock:
            last = self._last
            assert last is not None
            early = self._clock.steady() < last.instant
            self._is_set = early and not last.over
            again = self._is_set
        if again:
            self._alarm.at(last.instant, self._ring)
        elif not last.over:
            last.overdue()
