"""What gives a kept tenure back: sent as errands of the manager's own, and answered in any case."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lease_actors.actors.failures import stopped
from lease_actors.actors.kept import Kept, Slot
from lease_actors.actors.reply import Reply
from lease_actors.core.model import ClaimId, Instant, Key
from lease_actors.core.operations import Cancel, Release


class Releases:
    """The releases on their way. ``done`` is called, under the ``lock``, when one has been answered.

    ``errands`` puts operations into the manager's line; False: it has ended.
    """

    def __init__(
        self,
        lock: threading.RLock,
        errands: Callable[[Sequence[Reply[Any]]], bool],
        done: Callable[[Slot, Reply[Any]], None],
    ) -> None:
        self._lock, self._errands, self._done = lock, errands, done
        self._replies: set[Reply[Any]] = set()

    def __len__(self) -> int:
        return len(self._replies)

    def release(self, kept: Kept, at: Instant | None = None) -> Reply[Any]:
        """End the tenure, now or at that instant."""
        slot = kept.slot
        for entry in slot.entries:
            entry.over = max(entry.over, kept.term)
        if kept.offer is not None:  # should it not have been confirmed by then
            self.decline(slot.key, kept.offer)
        operation = Release(slot.key, slot.holder, kept.term, at=at)
        reply: Reply[Any] = Reply(operation, settled=partial(self._answered, slot))
        slot.releases[reply] = kept.term
        self._replies.add(reply)
        self.send(reply)
        return reply

    def decline(self, key: Key, claim: ClaimId) -> None:
        """That claim wants the lease no more: it leaves the queue, and what it is offered goes on."""
        self.send(Reply(Cancel(key, claim)))

    def send(self, reply: Reply[Any]) -> None:
        """An errand of whatever kind."""
        if not self._errands([reply]):
            reply.fail(stopped(reply))

    def give_up(self) -> None:
        """The manager has ended."""
        for reply in list(self._replies):
            reply.fail(stopped(reply))

    def _answered(self, slot: Slot, reply: Reply[Any], error: BaseException | None) -> None:
        with self._lock:
            self._replies.discard(reply)
            self._done(slot, reply)
