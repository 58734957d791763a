"""Operations on leases whose rows somebody else keeps locked: they wait apart from the line.

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
        """Set these aside; returns those of them that have been tried often enough."""
        tried: list[Reply[Any]] = []
        for reply in replies:
            assert reply.operation is not None
            key = reply.operation.key
            if self._attempts.get(key, 0) >= retry.MOST:
                tried.append(reply)
            elif not self.join(reply):
                self._waiting[key] = [reply]
                self._pause(number, key)
        for reply in tried:
            assert reply.operation is not None
            self._attempts.pop(reply.operation.key, None)
        return tried

    def _pause(self, number: int, key: Key) -> None:
        runtime, attempt = self._runtime, self._attempts.get(key, 0) + 1
        self._attempts[key] = attempt
        pause = retry.delay(attempt, runtime.rng)
        runtime.figures.retries += 1
        runtime.emit(StoreRetried(number, attempt, pause, locked(key)))
        instant = runtime.clock.steady() + round(pause * 1e6)
        runtime.alarm.at(instant, lambda: self._tell(PutBack(key)))

    def take(self, key: Key) -> list[Reply[Any]]:
        """Those that waited for it, in order; they go to the front of the line."""
        return self._waiting.pop(key, [])

    def reached(self, keys: Iterable[Key]) -> None:
        """These leases were not locked: the next time counts from the beginning."""
        if self._attempts:
            for key in keys:
                self._attempts.pop(key, None)


def locked(key: Key) -> StorePassing:
    """Why nothing was decided for that lease."""
    return StorePassing(f"somebody else keeps the row of lease {key.lease!r} locked")
