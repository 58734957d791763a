"""The rules of a dependency engine: who may start, who must go, and in which order.

::

            inputs up             start returned
    waiting ────────▶ starting ─────────────────▶ started
       ▲                 │ │                       │ │
       │    an input went│ │ failed           died │ │ an input went
       │   ◀─────────────┘ └────▶ restarting ◀─────┘ ▼
       │                              │          stopping
       │◀─────────────────────────────┘ delay over   │
       └─────────────────────────────────────────────┘ ended

- A worker is started when all its inputs are *started*, and none of its own lives is left.
- One that dies takes with it, transitively, those that were started with its output. They are
  *stopping* at once (their output is not given out any more), and each is killed when none of
  its dependents is left. Whoever was killed like this is started again as soon as its inputs
  are up; whoever died, or could not be started, only after a delay.
- When the engine stops, everyone is *stopping*, in the same order, and is then *stopped*.

There are no threads here and no waiting: the methods are called by one thread at a time, and
every ``Place`` is an immutable value, so that anybody may read the places at any moment.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

from lease_actors.clock import Clock
from lease_actors.manifold.life import Life
from lease_actors.manifold.worker import Manifold, in_order
from lease_actors.observability.logging import SafeLog

__all__ = ["Hands", "Place", "Roster"]

State: TypeAlias = Literal["waiting", "starting", "started", "stopping", "restarting", "stopped"]

_MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one worker."""

    inputs: tuple[str, ...]
    state: State
    since: int
    """Wall time at which it entered this state."""
    error: BaseException | None = None
    """What it last died of; None again when it is up."""
    starts: int = 0
    failures: int = 0
    """In a row, without a minute of running in between."""
    life: Life | None = None
    useless: bool = False
    """Its ``output`` raised, and that is why it is stopping."""
    stuck: bool = False
    """Its ``kill`` raised."""
    output: Any = None
    up_at: int | None = None
    """Steady time at which this life was up."""
    due: int = 0
    """Steady time at which to try again."""


class Hands(Protocol):
    """What a roster has done for it."""

    def begin(self, name: str, inputs: Mapping[str, Any]) -> Life:
        """Begin a life of that worker; what becomes of it is told later, never during the call."""
        ...

    def remind(self, name: str, due: int) -> None:
        """See to it that ``due`` is called at that steady time."""
        ...


class Roster:
    """The places of all workers, and what happens to them."""

    def __init__(
        self,
        manifolds: Mapping[str, Manifold],
        hands: Hands,
        *,
        backoff: int,
        clock: Clock,
        logger: logging.Logger | logging.LoggerAdapter[Any],
        rng: random.Random,
    ) -> None:
        self.order = in_order(manifolds)
        self.stopping = False
        self._hands = hands
        self._backoff = backoff
        self._clock = clock
        self._logger = SafeLog(logger)
        self._rng = rng
        now = clock.wall()
        self.places = {name: Place(manifolds[name].inputs, "waiting", now) for name in self.order}
        self._dependents = {
            name: tuple(other for other in self.order if name in manifolds[other].inputs)
            for name in self.order
        }

    @property
    def finished(self) -> bool:
        """Told to stop, and nobody is left."""
        return self.stopping and not any(map(self._lives, self.order))

    # what happens

    def open(self) -> None:
        """Start those that need nobody."""
        for name in self.order:
            self._settle(name)

    def up(self, life: Life, output: Any) -> None:
        """A start has succeeded; it counts only if it is still wanted."""
        place = self.places[life.name]
        if place.life is not life or place.state != "starting":
            return  # it was told to go meanwhile, and is being killed
        self._enter(life.name, "started", output=output, error=None, up_at=self._clock.steady())
        self._log(logging.DEBUG, life.name, "worker-started", "is up")
        for other in self._dependents[life.name]:
            self._settle(other)

    def useless(self, life: Life, error: BaseException) -> None:
        """It was started in vain, and is being killed; that counts as a failed start."""
        place = self.places[life.name]
        if place.life is life and place.state == "starting":
            self._enter(life.name, "stopping", error=error, useless=True)

    def ended(self, life: Life, error: BaseException | None) -> None:
        """A life is over: it died, could not be started, or had been told to go."""
        name, place = life.name, self.places[life.name]
        if place.life is not life:
            return
        # However this life has ended, a minute of running counts.
        failures = 0 if self._ran_well(place) else place.failures
        self.places[name] = replace(
            place, life=None, output=None, useless=False, stuck=False, failures=failures
        )
        if self.stopping or (place.state == "stopping" and not place.useless):
            self._was_stopped(name, error)
        else:
            self._died(name, place.error if place.useless else error)
        self._press()

    def unkillable(self, life: Life, error: BaseException) -> None:
        """Its ``kill`` raised. Nobody waits for it in a stop; but two of it never run at once."""
        if self.places[life.name].life is not life:
            return
        self.places[life.name] = replace(self.places[life.name], stuck=True, error=error)
        self._log(logging.ERROR, life.name, "worker-unkillable", "could not be killed", error)
        if self.stopping:
            self._enter(life.name, "stopped")
        self._press()

    def due(self, name: str, due: int) -> None:
        """A delay is over."""
        place = self.places[name]
        if place.state == "restarting" and place.due == due:
            self._enter(name, "waiting")
            self._settle(name)

    def stop(self) -> None:
        """Stop everyone, each after those that depend on it. Asked twice: once."""
        if self.stopping:
            return
        self.stopping = True
        for name, place in self.places.items():
            gone = place.life is None or place.stuck
            self._enter(name, "stopped" if gone else "stopping", output=None)
        self._press()

    def abandon(self) -> None:
        """The last resort: have everyone killed, in no order, and wait for nobody."""
        self.stopping = True
        for name, place in self.places.items():
            if place.life is not None:
                place.life.end()
            self.places[name] = replace(place, state="stopped", life=None, output=None)

    def missing(self, name: str) -> list[str]:
        """The inputs of that worker that are not up."""
        return [one for one in self.places[name].inputs if self.places[one].state != "started"]

    # what follows from it

    def _settle(self, name: str) -> None:
        """Start it if it waits, and needs to wait no longer."""
        if self.places[name].state == "waiting" and not self.missing(name):
            self._start(name)

    def _start(self, name: str) -> None:
        place = self.places[name]
        inputs = {one: self.places[one].output for one in place.inputs}
        life = self._hands.begin(name, inputs)
        self._enter(name, "starting", starts=place.starts + 1, life=life, up_at=None)

    def _was_stopped(self, name: str, error: BaseException | None) -> None:
        level = logging.DEBUG if error is None else logging.WARNING
        if error is not None:
            self.places[name] = replace(self.places[name], error=error)
        self._enter(name, "stopped" if self.stopping else "waiting")
        self._log(level, name, "worker-stopped", "was stopped", error)
        self._settle(name)

    def _died(self, name: str, error: BaseException | None) -> None:
        place = self.places[name]
        now = self._clock.steady()
        failures = place.failures + 1
        delay = self._delay(failures)
        died_of = error or RuntimeError("it ended by itself, without an error")
        self._enter(name, "restarting", error=died_of, failures=failures, due=now + delay)
        self._hands.remind(name, now + delay)
        what = "could not be started" if place.up_at is None else "died"
        again = f"{what}; starts again in {delay / 1e6:.2f}s"
        self._log(logging.WARNING, name, "worker-died", again, error)
        self._bounce_dependents(name)

    def _ran_well(self, place: Place) -> bool:
        return place.up_at is not None and self._clock.steady() - place.up_at >= _MINUTE

    def _delay(self, failures: int) -> int:
        """Never less than the backoff, which is the first; then at random up to its doublings."""
        longest = self._backoff << min(failures - 1, 32)
        return self._rng.randint(self._backoff, max(self._backoff, min(longest, _MINUTE)))

    def _bounce_dependents(self, name: str) -> None:
        for other in self._dependents[name]:
            if self.places[other].state in ("starting", "started"):
                self._enter(other, "stopping", output=None)
                self._bounce_dependents(other)

    def _press(self) -> None:
        """Kill those that have to go and on whom nobody depends any more."""
        for name in reversed(self.order):
            life = self.places[name].life
            if life is None or self.places[name].state != "stopping":
                continue
            if not any(map(self._lives, self._dependents[name])):
                life.end()

    def _lives(self, name: str) -> bool:
        place = self.places[name]
        return place.life is not None and not (self.stopping and place.stuck)

    def _enter(self, name: str, state: State, **changes: Any) -> None:
        place = self.places[name]
        since = place.since if place.state == state else self._clock.wall()
        self.places[name] = replace(place, state=state, since=since, **changes)

    def _log(
        self, level: int, name: str, action: str, what: str, error: BaseException | None = None
    ) -> None:
        why = "" if error is None else f" ({type(error).__name__}: {error})"
        extra = {"action": action, "worker": name}
        self._logger.log(level, "worker %r %s%s", name, what, why, extra=extra)
