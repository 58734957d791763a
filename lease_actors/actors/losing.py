"""A tenure is lost, or about to be: each of its holds is told, once, and with the reason."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.failures import stopped
from lease_actors.actors.kept import Kept, Share
from lease_actors.actors.mailbox import Mailbox
from lease_actors.actors.reply import Reply
from lease_actors.clock import Clock
from lease_actors.core.operations import Renew
from lease_actors.errors import LeaseLost
from lease_actors.observability.events import HoldEndangered, HoldLost

_PATIENCE = 1_000_000
"""So long (microseconds) the store's word about a loss is worth waiting for."""
_NOTHING = timedelta(0)

_WHY = {
    "expired": "no renewal of it succeeded in time",
    "revoked": "it was revoked",
    "taken": "another tenure of it stands",
    "stopped": "the manager is stopping, has stopped, or belongs to the parent of a fork",
    "unknown": "its tenure is over",
}


class Losses:
    """Tells the holds of a tenure. Callbacks and events go into the mailbox: whoever finds out
    must not be delayed by those who want to know. Called under the ``lock`` that decides.
    """

    def __init__(
        self,
        lock: threading.RLock,
        clock: Clock,
        alarm: Alarm,
        mailbox: Mailbox,
        send: Callable[[Reply[Any]], object],
    ) -> None:
        self._lock, self._clock, self._alarm, self._mailbox = lock, clock, alarm, mailbox
        self._send = send

    def endanger(self, kept: Kept) -> None:
        """Two thirds have passed without a renewal."""
        kept.endangered = True
        slot = kept.slot
        self._mailbox.put(HoldEndangered(slot.key, slot.holder, kept.term))
        for share in kept.shares:
            self.warn(share)

    def warn(self, share: Share) -> None:
        """Tell one of its holds so."""
        if share.on_endangered is not None and share.reason is None:
            self._mailbox.put((share.calls, share.on_endangered))

    def tell(self, kept: Kept, reason: str) -> None:
        """It is lost; who knows already is not told again."""
        told = False
        for share in kept.shares:
            if share.reason is None:
                told = True
                share.reason, share.limit = reason, 0
                share.lost.set()
                if share.on_lost is not None:
                    self._mailbox.put((share.calls, partial(share.on_lost, reason)))
        if told:
            slot = kept.slot
            self._mailbox.put(HoldLost(slot.key, slot.holder, kept.term, reason))

    def ask(self, kept: Kept) -> None:
        """It is lost, and the store may know more than that its time has run out here."""
        known = threading.Event()
        for share in kept.shares:
            if share.reason is None:
                share.known, share.limit = known, 0
                share.lost.set()

        def answered(reply: Reply[Any], error: BaseException | None) -> None:
            reason = error.reason if isinstance(error, LeaseLost) else ""
            with self._lock:
                self.tell(kept, reason if reason in ("taken", "revoked") else "expired")
            known.set()

        slot = kept.slot
        question = Renew(slot.key, slot.holder, kept.term, _NOTHING)
        reply: Reply[Any] = Reply(question, settled=answered)
        self._alarm.at(self._clock.steady() + _PATIENCE, lambda: reply.fail(stopped(reply)))
        self._send(reply)


def error_of(share: Share) -> LeaseLost:
    """Why it may not rely on the lease any more. Real time may pass until that is known."""
    if share.known is not None:
        share.known.wait(_PATIENCE / 1e6)
    if share.reason is None and share.known is None:
        return lost(share.kept, "unknown", "it was released")
    return lost(share.kept, share.reason or "expired")


def lost(kept: Kept, reason: str, why: str | None = None) -> LeaseLost:
    """The loss in words."""
    slot = kept.slot
    return LeaseLost(
        f"cannot keep lease {slot.key.lease!r} for holder {slot.holder!r}, term {kept.term}:"
        f" {why or _WHY[reason]} (stop what relies on it)",
        key=slot.key,
        reason=reason,
    )
