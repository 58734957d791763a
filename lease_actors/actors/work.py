"""A batch on its way through the store: its operations, its attempts, its decisions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lease_actors.actors.reply import Reply
from lease_actors.clock import Clock
from lease_actors.core.batch import Decided, decide_batch, needs
from lease_actors.core.decision import Context
from lease_actors.core.model import Instant, Key, LeaseState, Micros
from lease_actors.stores.base import Batch, Changes, StorePassing

MOST = 256
"""So many operations at most in one transaction."""


class Verdict(NamedTuple):
    """What one attempt decided: for whom, what, at which instant, and when it was sent."""

    replies: Sequence[Reply[Any]]
    decided: Decided
    now: Instant
    sent: int
    """Steady: before the request was sent."""
    read_at: int
    """Steady: when the store's ``now`` had just been read."""
    unseen: Sequence[Reply[Any]] = ()
    """For these nothing was decided: somebody else keeps the rows of their leases locked."""


class Decider:
    """What all batches of one start are decided with."""

    def __init__(self, start: str, offer_window: Micros, clock: Clock) -> None:
        self.start = start
        self.clock = clock
        self.offer_window = offer_window
        self.reached_since: Instant | None = None
        """Since when the store was reached without a gap; None: not at the last attempt."""
        self._interrupted = False

    def context(self, now: Instant) -> Context:
        since = now if self.reached_since is None else self.reached_since
        return Context(
            now,
            self.start,
            self.offer_window,
            reached_since=since,
            interrupted=self._interrupted,
        )

    def interrupt(self) -> None:
        """The store could not be reached."""
        self.reached_since, self._interrupted = None, True


class Work:
    """One batch: applied once, however many attempts that takes."""

    def __init__(self, number: int, replies: Sequence[Reply[Any]], decider: Decider) -> None:
        self.number = number
        self.replies = replies
        self.attempt = 0
        self.tries = 0
        """The attempts to apply it; once it is probed, those to find out."""
        self.pausing = False
        """The last attempt is known to have failed, or was left behind; the next is to come."""
        self.verdict: Verdict | None = None
        self.bug: BaseException | None = None
        self.probing: BaseException | None = None
        """Why it failed, once that will not pass: the attempts from then on only find out
        whether an earlier one was applied, and decide nothing new."""
        self.void = False
        """One of those has decided: none of the earlier ones was applied, or will be."""
        self._decider = decider
        self._lock = threading.Lock()

    @property
    def may_be_applied(self) -> bool:
        """An attempt has decided, and none after it has found that it was not applied."""
        return self.verdict is not None and not self.void

    def begin_attempt(self) -> int:
        """The number of the next attempt. Numbers never come again, or what is told of an old
        attempt could be taken for news of this one; and from now on no older attempt decides."""
        with self._lock:
            self.attempt += 1
            self.tries += 1
            return self.attempt

    def probe(self, error: BaseException) -> None:
        """It will not pass; but was it applied? The number tells."""
        self.probing, self.tries = error, 0

    def batch(self, attempt: int, sent: int) -> Batch:
        """The transaction of that attempt, sent at that steady instant."""
        replies = () if self.probing else self.replies
        operations = [r.operation for r in replies if r.operation is not None]

        def decide(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            return self._decide(attempt, states, now, sent)

        return Batch(self._decider.start, self.number, needs(operations), decide)

    def _decide(
        self, attempt: int, states: Mapping[Key, LeaseState], now: Instant, sent: int
    ) -> Changes:
        # Attempts decide in the order of their numbers, and one that decides has found that those
        # before it were not applied: so the last verdict is the one that stands. It is not enough
        # that each holds the lock on their start's row: a server may have ended the transaction of one
        # whose rows were long on the way, and it does not know that yet.
        if self.probing:
            self._conclude(attempt, None)
            return Changes(())
        try:
            # Whoever has left is dropped here, where it is certain that no earlier attempt counts.
            present = [r for r in self.replies if not r.is_settled]
            replies = [r for r in present if r.operation is not None and r.operation.key in states]
            unseen = () if len(replies) == len(present) else _without(present, replies)
            operations = [r.operation for r in replies if r.operation is not None]
            decided = decide_batch(states, operations, self._decider.context(now))
        except BaseException as error:
            self.bug = error
            raise
        read_at = self._decider.clock.steady()
        self._conclude(attempt, Verdict(replies, decided, now, sent, read_at, unseen))
        return Changes(decided.changed, decided.absent, decided.notices, decided.ended)

    def _conclude(self, attempt: int, verdict: Verdict | None) -> None:
        """What it comes to, if it is applied now; None: to nothing."""
        with self._lock:
            if attempt != self.attempt:
                raise StorePassing("the attempt was left behind before it had decided")
            self.verdict, self.void = verdict, verdict is None


def _without(all: Sequence[Reply[Any]], some: Sequence[Reply[Any]]) -> Sequence[Reply[Any]]:
    gone = set(some)
    return [reply for reply in all if reply not in gone]
