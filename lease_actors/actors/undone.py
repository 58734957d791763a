"""What must be done though the store has refused it: it gives back what nobody here wants any more.

Lives in the ManagerActor and is touched by its thread alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.core.model import Key
from lease_actors.core.operations import Cancel, Claim, Release
from lease_actors.observability.events import StoreRetried

_MOST = 4096
"""So many cancellations are kept: one that is dropped costs an offer that nobody takes, while each
claim that fails may leave one, for as long as the store fails."""
_PAUSE = 2.0
"""Seconds, at most, between two attempts; all go together, whatever has been refused."""


class TryUndone:
    """The pause is over."""


def must_be_done(reply: Reply[Any]) -> bool:
    """Left undone, others would wait for what nobody has."""
    return isinstance(reply.operation, Cancel | Release)


class Undone:
    """Keeps releases and cancellations until they can be tried again.

    A claim must not overtake the release of its own holder, which would end what the claim was
    answered with: see ``before``. To everything else their order does not matter.
    """

    def __init__(self, runtime: Runtime, tell: Callable[[object], object]) -> None:
        self._runtime, self._tell = runtime, tell
        self._releases: dict[tuple[Key, str], list[Reply[Any]]] = {}
        self._cancels: deque[Reply[Any]] = deque(maxlen=_MOST)
        self._pausing = False

    def keep(self, number: int, errands: Iterable[Reply[Any]], error: BaseException) -> None:
        """That batch has been refused, and these were in it."""
        for errand in errands:
            op = errand.operation
            if isinstance(op, Release):
                self._releases.setdefault((op.key, op.holder), []).append(errand)
            else:
                self._cancels.append(errand)
            errand.signal.set()  # the end of a block waits for it no longer: it may take an hour
        if not self._pausing:
            self._pause(number, error)

    def before(self, claim: Claim) -> list[Reply[Any]]:
        """What has to go in front of that claim."""
        return self._releases.pop((claim.key, claim.holder), [])

    def holds_back(self, reply: Reply[Any]) -> bool:
        """Is it such a claim?"""
        op = reply.operation
        return isinstance(op, Claim) and (op.key, op.holder) in self._releases

    def take(self) -> list[Reply[Any]]:
        """All of them."""
        releases, self._releases = self._releases, {}
        errands = [errand for errands in releases.values() for errand in errands]
        errands += self._cancels
        self._cancels.clear()
        return errands

    def pause_over(self) -> list[Reply[Any]]:
        """All of them; the next that is refused begins a pause anew."""
        self._pausing = False
        return self.take()

    def _pause(self, number: int, error: BaseException) -> None:
        self._pausing = True
        runtime = self._runtime
        pause = runtime.rng.uniform(_PAUSE / 2, _PAUSE)
        runtime.figures.retries += 1
        runtime.emit(StoreRetried(number, 1, pause, error))
        instant = runtime.clock.steady() + round(pause * 1e6)
        runtime.alarm.at(instant, lambda: self._tell(TryUndone()))
