"""Operations on leases that the store keeps from us for now: they wait apart from the line.

Somebody else keeps their rows locked; or it refuses what must be done all the same.

Lives in the ManagerActor and is touched by its thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lease_actors.actors import retry
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.core.model import Key
from lease_actors.core.operations import Cancel, Release
from lease_actors.observability.events import StoreRetried
from lease_actors.stores.base import StorePassing


@dataclass(frozen=True, slots=True)
class PutBack:
    """The pause is over: try that lease once more."""

    key: Key


class Aside:
    """Sets operations aside, and says when they are to be tried again.

    All that is asked of such a lease meanwhile joins them, so that its operations stay in order.
    """

    def __init__(self, runtime: Runtime, tell: Callable[[object], object]) -> None:
        self._runtime = runtime
        self._tell = tell
        self._waiting: dict[Key, list[Reply[Any]]] = {}
        self._attempts: dict[Key, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, reply: Reply[Any]) -> bool:
        """Join those that wait for the same lease, if there are any."""
        waiting = self._waiting.get(reply.operation.key) if reply.operation else None
        if waiting is None:
            return False
        waiting.append(reply)
        return True

    def set(self, number: int, replies: Iterable[Reply[Any]]) -> list[Reply[Any]]:
        """Set these aside, whose rows are locked; returns those that have been tried often enough."""
        tried: list[Reply[Any]] = []
        for reply in replies:
            assert reply.operation is not None
            key = reply.operation.key
            if self._attempts.get(key, 0) >= retry.MOST:
                tried.append(reply)
            else:
                self._put(number, reply, key, locked(key))
        for reply in tried:
            assert reply.operation is not None
            self._attempts.pop(reply.operation.key, None)
        return tried

    def keep(self, number: int, errand: Reply[Any], error: BaseException) -> None:
        """Set aside what the store has refused, for as long as it takes: see :func:`must_be_done`."""
        assert errand.operation is not None
        self._put(number, errand, errand.operation.key, error)

    def _put(self, number: int, reply: Reply[Any], key: Key, error: BaseException) -> None:
        if not self.join(reply):
            self._waiting[key] = [reply]
            self._pause(number, key, error)

    def _pause(self, number: int, key: Key, error: BaseException) -> None:
        runtime, attempt = self._runtime, min(self._attempts.get(key, 0), retry.MOST) + 1
        self._attempts[key] = attempt
        pause = retry.delay(attempt, runtime.rng)
        runtime.figures.retries += 1
        runtime.emit(StoreRetried(number, attempt, pause, error))
        instant = runtime.clock.steady() + round(pause * 1e6)
        runtime.alarm.at(instant, lambda: self._tell(PutBack(key)))

    def take(self, key: Key) -> list[Reply[Any]]:
        """Those that waited for it, in order; they go to the front of the line."""
        return self._waiting.pop(key, [])

    def take_all(self) -> list[Reply[Any]]:
        """Everybody, those of one lease in order."""
        waiting, self._waiting = self._waiting, {}
        return [reply for replies in waiting.values() for reply in replies]

    def reached(self, keys: Iterable[Key]) -> None:
        """These leases were not locked: the next time counts from the beginning."""
        if self._attempts:
            for key in keys:
                self._attempts.pop(key, None)


def must_be_done(reply: Reply[Any]) -> bool:
    """It gives back what nobody here wants any more: left undone, others would wait for it."""
    return isinstance(reply.operation, Cancel | Release)


def locked(key: Key) -> StorePassing:
    """Why nothing was decided for that lease."""
    return StorePassing(f"somebody else keeps the row of lease {key.lease!r} locked")
