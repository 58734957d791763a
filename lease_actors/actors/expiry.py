"""The ExpiryActor: sleeps until the manager must look, at most ``max_sleep``, and tells it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lease_actors.actors.alarm import Alarm, Handle
from lease_actors.actors.base import Gone, LeaseActor, tell
from lease_actors.clock import Clock


@dataclass(frozen=True, slots=True)
class WakeAt:
    """The manager must look at that instant (steady microseconds); None: when it has slept enough."""

    instant: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """Something that must not be done where it is asked for; this thread never waits for long."""

    job: Callable[[], object]


class _Ring:
    """The alarm has come."""


RING = _Ring()


class ExpiryActor(LeaseActor):
    """Sends a tick at the earliest instant it was told, and ``max_sleep`` after the last at most.

    Every tick schedules the next by itself: even if the manager never answers one, no waiter is
    left without an alarm.
    """

    def __init__(
        self,
        clock: Clock,
        alarm: Alarm,
        max_sleep: int,
        tick: Callable[[int], object],
        gone: Gone,
    ) -> None:
        super().__init__(gone)
        self._clock = clock
        self._alarm = alarm
        self._max_sleep = max_sleep
        self._tick = tick
        self._next: int | None = None
        self._latest = 0
        self._handle: Handle | None = None

    @property
    def next_tick(self) -> int | None:
        """When the next tick comes (steady microseconds)."""
        return self._next

    def on_start(self) -> None:
        self._sleep_again()

    def handle(self, message: object) -> None:
        match message:
            case WakeAt(instant):
                self._sleep_until(self._latest if instant is None else min(instant, self._latest))
            case Run(job):
                job()
            case _Ring():
                # The manager answers a tick with WakeAt, so an instant lost here is said again.
                late = 0 if self._next is None else self._clock.steady() - self._next
                self._sleep_again()
                self._tick(max(0, late))

    def on_gone(self) -> None:
        super().on_gone()
        if self._handle is not None:
            self._handle.cancel()

    def _sleep_again(self) -> None:
        self._latest = self._clock.steady() + self._max_sleep
        self._next = None
        self._sleep_until(self._latest)

    def _sleep_until(self, instant: int) -> None:
        if instant == self._next:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._next = instant
        self._handle = self._alarm.at(instant, lambda: tell(self.actor_ref, RING))
