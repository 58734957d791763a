"""The dependency engine, as its users see it."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from lease_actors.clock import Clock, SystemClock, from_instant, micros
from lease_actors.durations import Duration, as_timedelta, as_timeout
from lease_actors.errors import ManagerStopped, NotValid, WaitTimeout
from lease_actors.manifold.foreman import Foreman
from lease_actors.manifold.roster import Place
from lease_actors.manifold.worker import Manifold, NotRunning

__all__ = ["DependencyEngine"]

T = TypeVar("T")


class DependencyEngine:
    """Keeps workers running: starts each when its inputs are up, restarts what died.

    It runs when its constructor returns, and is itself a worker. The constructor raises
    ``NotValid`` for inputs that are unknown or go round in a circle.

    - A worker that died, or could not be started, is started again after ``backoff`` (seconds,
      or a ``timedelta``). Each time it fails again, the longest delay doubles, up to a minute,
      and the delay is drawn at random between ``backoff`` and that. After a minute of running,
      the next failure counts as the first.
    - Those that depend on it, directly or not, are killed meanwhile, each after its own
      dependents have stopped, and are started again with their new inputs.
    - One that is slow to start, hangs, or raises whatever it likes, harms neither the engine
      nor a worker that does not depend on it: it is waited for, or reported, alone.

    Every method may be called from any thread, a worker's too (but for ``wait``). In a forked
    child there is nothing of it: workers are not running, and ``wait`` raises
    ``ManagerStopped``.
    """

    def __init__(
        self,
        manifolds: Mapping[str, Manifold],
        *,
        backoff: Duration = 1.0,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = SystemClock() if clock is None else clock
        self._foreman = Foreman(
            dict(manifolds),
            backoff=_micros(backoff),
            clock=self._clock,
            logger=logging.getLogger("lease_actors") if logger is None else logger,
            rng=random.Random() if rng is None else rng,
        )

    def get(self, name: str, type: type[T]) -> T:
        """The output of that worker, which was up a moment ago. Never waits.

        Raises ``NotRunning`` if it is not up, and ``NotValid`` if there is no such worker or
        its output is not of that type.
        """
        place = self._places().get(name)
        if place is None:
            raise NotValid(f"cannot get the output of worker {name!r}: there is no such worker")
        if self._foreman.inherited:
            raise NotRunning(f"worker {name!r} runs in the parent of this forked process")
        if place.state != "started":
            raise NotRunning(
                f"worker {name!r} is not up: {self._state(name, place)}{_because(place)}"
            )
        output = place.output
        if not isinstance(output, type):
            raise NotValid(f"the output of worker {name!r} is {output!r}, not a {type.__name__}")
        return output

    def report(self) -> dict[str, dict[str, Any]]:
        """What each worker is doing, in the order in which they start. Never waits.

        ``state``: ``waiting for …``, ``starting``, ``started``, ``stopping``, ``restarting in
        …s``, ``stopped``. ``since``: when it came into that state (UTC). ``error``: what it
        last failed of, None when it is up or never failed. ``starts``: how often it was
        started. ``inputs``: their names.
        """
        return {name: self._entry(name, place) for name, place in self._places().items()}

    def kill(self) -> None:
        """Begin to stop, and return at once: each worker is killed after its dependents."""
        if not self._foreman.inherited:
            self._foreman.stop()

    def wait(self, timeout: Duration | None = None) -> None:
        """Return when everything has stopped; raise what stopped it, if not ``kill()``.

        A ``start`` under way is waited for, and what it returns is killed. A worker whose
        ``kill`` raised is not waited for. ``WaitTimeout``: not over within ``timeout``.
        """
        limit = as_timeout(timeout, "wait for the engine's end")
        if self._foreman.inherited:
            raise ManagerStopped("the dependency engine belongs to the parent of this process")
        if not self._foreman.over.wait(limit):
            left = ", ".join(n for n, p in self._places().items() if p.state != "stopped")
            raise WaitTimeout(f"the engine has not stopped within {limit:g} s; still there: {left}")
        self._foreman.join(1.0)
        if self._foreman.failure is not None:
            raise self._foreman.failure

    def _places(self) -> Mapping[str, Place]:
        return self._foreman.roster.places

    def _entry(self, name: str, place: Place) -> dict[str, Any]:
        return {
            "state": self._state(name, place),
            "since": from_instant(place.since),
            "error": None if place.error is None else _words(place.error),
            "starts": place.starts,
            "inputs": place.inputs,
        }

    def _state(self, name: str, place: Place) -> str:
        if place.state == "waiting":
            # None is missing for the short while until it is started.
            return f"waiting for {', '.join(self._foreman.roster.missing(name)) or 'nobody'}"
        if place.state == "restarting":
            left = max(0, place.due - self._clock.steady())
            return f"restarting in {left / 1e6:.2f}s"
        return place.state


def _because(place: Place) -> str:
    return "" if place.error is None else f" (it failed: {_words(place.error)})"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _micros(backoff: Duration) -> int:
    delay = as_timedelta(backoff)
    if delay is None or not timedelta(0) < delay <= timedelta(minutes=1):
        raise NotValid(f"a wrong backoff: {backoff!r} is not over zero and at most a minute")
    return micros(delay)
