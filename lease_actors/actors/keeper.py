"""The KeeperActor: renews all tenures that are kept, those due together in one batch."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from lease_actors.actors.alarm import Handle
from lease_actors.actors.base import Gone, LeaseActor
from lease_actors.actors.callbacks import Callbacks
from lease_actors.actors.keeping import Keeping
from lease_actors.actors.kept import Confirming, Kept, Renewal
from lease_actors.actors.losing import lost
from lease_actors.actors.mailbox import Mailbox
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.actors.work import MOST
from lease_actors.core.model import Micros
from lease_actors.errors import LeaseLost
from lease_actors.observability.events import KeptLeases, Renewed


class _Ring:
    """The alarm has come."""


class _Look:
    """There are letters."""


_PAUSE = 250_000
"""Microseconds before a confirmation that failed is tried again, at most."""

RING = _Ring()
LOOK = _Look()


def slack(duration: Micros) -> Micros:
    """So much earlier than due a tenure may be renewed, to share a transaction with others."""
    return duration // 30


class KeeperActor(LeaseActor):
    """Sleeps until the next renewal is due, and sends it with all others that may go now.

    A transaction has room for 256. What is due leaves with what will be due soon, until the last
    transaction is full; those stay together from then on, since all are due again at once.
    """

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        mailbox: Mailbox,
        callbacks: Callbacks,
        errands: Callable[[Sequence[Reply[Any]]], bool],
        gone: Gone,
    ) -> None:
        super().__init__(gone)
        self._runtime, self._keeping, self._mailbox = runtime, keeping, mailbox
        self._callbacks, self._errands = callbacks, errands
        self._heap: list[tuple[int, int, Kept]] = []
        self._order = itertools.count()
        self._rings_at: int | None = None
        self._handle: Handle | None = None
        self._counted = 0
        self._on_its_way = 0
        self._at_work = False
        runtime.alarm.owed(self._owes)

    def handle(self, message: object) -> None:
        """Whatever the message: it says that there are letters."""
        self._at_work = True
        self._read()
        self._renew()
        self._sleep()
        self._count()
        self._at_work = False

    def _read(self) -> None:
        renewed = 0
        for letter in self._mailbox.take():
            match letter:
                case Renewal():
                    renewed += self._settled(letter)
                case Kept():
                    self._schedule(letter, letter.due)
                case Confirming():
                    self._on_its_way += 1
                case None:
                    pass
                case _Ring():
                    self._rings_at = None
                case (calls, callback):
                    self._callbacks.call(calls, callback)
                case event:
                    self._runtime.emit(event)
        if renewed:
            self._runtime.emit(Renewed(renewed))

    def on_gone(self) -> None:
        super().on_gone()
        if self._handle is not None:
            self._handle.cancel()

    # -- renewing ------------------------------------------------------------------------

    def _schedule(self, kept: Kept, instant: int) -> None:
        kept.due = instant
        heapq.heappush(self._heap, (instant, next(self._order), kept))
        if len(self._heap) > 64 + 2 * len(self._keeping):  # mostly tenures that are over
            self._heap = [entry for entry in self._heap if _is_current(entry)]
            heapq.heapify(self._heap)

    def _renew(self) -> None:
        now = self._runtime.clock.steady()
        renewals: list[Renewal] = []
        while self._heap:
            instant, _, kept = self._heap[0]
            soon = len(renewals) % MOST and instant - slack(kept.duration) <= now
            if instant > now and not soon:
                break
            entry = heapq.heappop(self._heap)
            if _is_current(entry) and kept.renewal is None:
                kept.renewal = Renewal(kept, now, self._answered)
                renewals.append(kept.renewal)
                if not kept.alive:  # meanwhile, by a thread that saw no renewal to stop
                    kept.renewal.fail(lost(kept, "unknown"))
        if renewals:
            self._on_its_way += len(renewals)
            self._errands(renewals)

    def _answered(self, reply: Reply[Any], error: BaseException | None) -> None:
        """On whichever thread."""
        self._mailbox.put(reply)

    def _settled(self, renewal: Renewal) -> bool:
        """It has been answered; did it succeed?"""
        kept, sent, error = renewal.kept, renewal.value, renewal.error
        kept.renewal = None
        self._on_its_way -= 1
        if sent is not None:
            if self._keeping.renewed(kept, sent, renewal.duration):
                self._schedule(kept, sent + kept.duration // 3)
            return True
        if isinstance(error, LeaseLost):
            self._keeping.over(kept, error.reason)
        elif kept.alive:  # the store has failed; there is time to try again
            pause = kept.duration // 12
            if kept.offer is not None:  # there is less time
                pause = min(pause, _PAUSE)
            self._schedule(kept, self._runtime.clock.steady() + pause)
        return False

    # -- sleeping ------------------------------------------------------------------------

    def _sleep(self) -> None:
        instant = self._heap[0][0] if self._heap else None
        if instant == self._rings_at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._rings_at = instant
        if instant is not None:
            self._handle = self._runtime.alarm.at(instant, lambda: self._mailbox.put(RING))

    def _count(self) -> None:
        count = len(self._keeping)
        if count != self._counted:
            self._counted = count
            self._runtime.emit(KeptLeases(count))

    def _owes(self) -> int:
        """For a fake clock: is a renewal under way that needs no more time to pass? Then how
        many batches there have been: while the store hangs, the clock waits for it only once.
        """
        if self.actor_stopped.is_set():
            return 0
        figures = self._runtime.figures
        under_way = self._on_its_way and not figures.pausing
        return figures.batches + 1 if under_way or self._at_work or self._mailbox else 0


def _is_current(entry: tuple[int, int, Kept]) -> bool:
    return entry[2].alive and entry[2].due == entry[0]
