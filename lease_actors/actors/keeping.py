"""Which tenures are kept alive, for whom, and what becomes of each: kept on, lost, or released.

Callers, the alarm, the manager and the keeper come here, each on a thread of its own. Whether a
tenure is renewed or lost is decided under one lock, once: what is lost is never renewed back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.answers import Attribution
from lease_actors.actors.failures import stopped
from lease_actors.actors.kept import Kept, OnEndangered, OnLost, Share, Slot, trusted
from lease_actors.actors.mailbox import Mailbox
from lease_actors.actors.reply import Reply
from lease_actors.clock import Clock
from lease_actors.core.decide import Ended
from lease_actors.core.model import Instant, Key, Micros
from lease_actors.core.operations import Release, Renew
from lease_actors.errors import LeaseLost, ManagerStopped
from lease_actors.observability.events import HoldEndangered, HoldLost

_LATE = 100_000
"""An alarm so late (microseconds) means that this process was suspended: the store is asked what
has become of the lease meanwhile, and for so long an answer is worth waiting for:"""
_ASK_PATIENCE = 1_000_000

_NOTHING = timedelta(0)

_WHY = {
    "expired": "no renewal of it succeeded in time",
    "revoked": "it was revoked",
    "taken": "another tenure of it stands",
    "stopped": "the manager is stopping, has stopped, or belongs to the parent of a fork",
    "unknown": "its tenure is over",
}


class Keeping:
    """All that is kept alive by one manager.

    ``errands`` puts operations of the manager's own into its line; False: it has ended.
    """

    def __init__(
        self,
        clock: Clock,
        alarm: Alarm,
        mailbox: Mailbox,
        errands: Callable[[Sequence[Reply[Any]]], bool],
    ) -> None:
        self._clock, self._alarm, self._mailbox, self._errands = clock, alarm, mailbox, errands
        self._lock = threading.RLock()  # to settle a reply may lead back in here
        self._slots: dict[tuple[Key, str], Slot] = {}
        self._alive: set[Kept] = set()
        self._entering = 0
        self._on_empty: Callable[[], object] | None = None
        self._releases: set[Reply[Any]] = set()
        self._unheld: set[Share] = set()
        """Lost, and their blocks still run."""
        self._stopped = False
        self._pid = os.getpid()

    def __len__(self) -> int:
        """How many tenures are kept alive."""
        return len(self._alive)

    def unheld(self) -> list[tuple[Key, str]]:
        """The leases that are lost while blocks that were to hold them still run; for whom."""
        with self._lock:
            slots = {share.kept.slot for share in self._unheld}
            return sorted((slot.key, slot.holder) for slot in slots)

    # -- a block begins ------------------------------------------------------------------

    def enter(self, key: Key, holder: str) -> Slot:
        """A hold is about to claim. Until ``entered`` what it may come to share is not released."""
        with self._lock:
            try:
                slot = self._slots.setdefault((key, holder), Slot(key, holder))
            except TypeError:  # not even hashable; the secretary says what is wrong with it
                slot = Slot(key, holder)
            slot.entering += 1
            self._entering += 1
            return slot

    def entered(self, slot: Slot) -> None:
        """It knows what it has."""
        if self._pid != os.getpid():
            return
        with self._lock:
            slot.entering -= 1
            self._entering -= 1
            kept = slot.kept
            if kept is not None and kept.alive and not kept.shares and not slot.entering:
                self._finish(kept)  # its last hold has ended meanwhile
            self._tidy(slot)

    def keep(
        self,
        slot: Slot,
        attribution: Attribution,
        duration: Micros,
        on_lost: OnLost | None,
        on_endangered: OnEndangered | None,
    ) -> Share | None:
        """A share in the tenure that was attributed, kept alive from now on.

        None: that tenure is about to be released, so claim again. Raises ``ManagerStopped``.
        """
        with self._lock:
            if self._stopped:
                raise ManagerStopped(
                    f"cannot hold lease {slot.key.lease!r} for holder {slot.holder!r}:"
                    " the manager is stopping or has stopped (open a new one)",
                    key=slot.key,
                )
            kept = self._kept(slot, attribution, duration)
            if kept is None:
                return None
            share = Share(kept, on_lost, on_endangered, kept.deadline)
            kept.shares.append(share)
            for other in kept.shares:
                self._allow(other)
            return share

    def _kept(self, slot: Slot, attribution: Attribution, duration: Micros) -> Kept | None:
        kept, term, since = slot.kept, attribution.tenure.term, attribution.since
        if term <= slot.over or (kept is not None and term < kept.term):
            return None
        deadline = since + trusted(duration)
        if kept is None or term > kept.term:
            if kept is not None:  # its tenure is over; to renew it will tell why
                kept.due = since
                self._mailbox.put(kept)
            kept = Kept(slot, term, duration, since, deadline)
            slot.kept = kept
            self._alive.add(kept)
            kept.due = since + duration // 3
            kept.handle = self._alarm.at(kept.endangered_at, partial(self._rung, kept))
            self._mailbox.put(kept)
        elif duration > kept.duration:
            kept.duration, kept.sent = duration, max(kept.sent, since)
            kept.deadline = max(kept.deadline, deadline)
        return kept

    # -- a block ends --------------------------------------------------------------------

    def leave(self, share: Share, at: Instant | None = None) -> Reply[Any] | None:
        """The block has ended; with the last of its tenure's it is released, at ``at`` or now.

        Returns the release, if there is one. Twice is once.
        """
        if self._pid != os.getpid():
            return None  # the parent's: nothing of it is touched
        with self._lock:
            kept = share.kept
            self._look(kept)
            self._unheld.discard(share)
            if share.left:
                return None
            share.left, share.limit = True, 0
            if not kept.alive:
                return None
            kept.shares.remove(share)
            if at is not None:
                kept.ends_at = at if kept.ends_at is None else max(kept.ends_at, at)
            if kept.shares or kept.slot.entering:
                return None
            return self._finish(kept)

    def _finish(self, kept: Kept) -> Reply[Any]:
        self._retire(kept)
        reply = self._release(kept, kept.ends_at)
        self._tidy(kept.slot)
        return reply

    def _retire(self, kept: Kept) -> None:
        """Renew it no more, for whatever reason."""
        kept.alive = False
        self._alive.discard(kept)
        if kept.slot.kept is kept:
            kept.slot.kept = None
        if kept.handle is not None:
            kept.handle.cancel()
        if kept.renewal is not None:
            # Settled, it is dropped on the way, unless it may have been applied already.
            kept.renewal.fail(self._error(kept, "unknown"))

    def _release(self, kept: Kept, at: Instant | None = None) -> Reply[Any]:
        slot = kept.slot
        slot.over = max(slot.over, kept.term)
        slot.releasing += 1
        operation = Release(slot.key, slot.holder, kept.term, at=at)
        reply: Reply[Any] = Reply(operation, settled=partial(self._released, slot))
        self._releases.add(reply)
        self._send(reply)
        return reply

    def _released(self, slot: Slot, reply: Reply[Any], error: BaseException | None) -> None:
        with self._lock:
            self._releases.discard(reply)
            slot.releasing -= 1
            self._tidy(slot)

    def _send(self, *replies: Reply[Any]) -> None:
        if not self._errands(replies):
            for reply in replies:
                reply.fail(stopped(reply))

    def _tidy(self, slot: Slot) -> None:
        if not slot.entering and not slot.releasing and slot.kept is None:
            self._slots.pop((slot.key, slot.holder), None)
        if self._on_empty is not None and not self._entering and not self._alive:
            on_empty, self._on_empty = self._on_empty, None
            on_empty()

    # -- it is renewed, or not -----------------------------------------------------------

    def renewed(self, kept: Kept, sent: int, duration: Micros) -> bool:
        """A renewal sent at that instant has succeeded; False: too late, it is lost."""
        with self._lock:
            self._look(kept)
            if not kept.alive:
                return False
            kept.sent = max(kept.sent, sent)
            kept.deadline = max(kept.deadline, sent + trusted(duration))
            kept.endangered = False
            for share in kept.shares:
                self._allow(share)
            return True

    def over(self, kept: Kept, reason: str) -> None:
        """The store says that the tenure is over."""
        with self._lock:
            if kept.alive:
                self._retire(kept)
                self._lose(kept, reason)
                self._tidy(kept.slot)

    def ended(self, effect: Ended) -> None:
        """This manager has seen a tenure end: no need to wait for a renewal to find out."""
        with self._lock:
            slot = self._slots.get((effect.key, effect.tenure.holder))
            kept = None if slot is None else slot.kept
            if kept is not None and kept.term == effect.tenure.term:
                self.over(kept, effect.how if effect.how in ("expired", "revoked") else "unknown")

    @staticmethod
    def _allow(share: Share) -> None:
        if not share.left and share.reason is None and share.known is None:
            share.limit = share.kept.deadline

    def _rung(self, kept: Kept) -> None:
        """The alarm rings for it. It is not set anew with each renewal, but when it has rung."""
        with self._lock:
            self._look(kept)
            if kept.alive:
                instant = kept.deadline if kept.endangered else kept.endangered_at
                kept.handle = self._alarm.at(instant, partial(self._rung, kept))

    def _look(self, kept: Kept) -> None:
        """Has its time run out, or is it about to?"""
        now = self._clock.steady()
        if not kept.alive or now < kept.endangered_at:
            return
        if now >= kept.deadline:
            self._expire(kept, now - kept.deadline)
        elif not kept.endangered:
            kept.endangered = True
            self._mailbox.put(HoldEndangered(kept.slot.key, kept.slot.holder, kept.term))
            for share in kept.shares:
                if share.on_endangered is not None:
                    self._mailbox.put((share.calls, share.on_endangered))

    # -- it is lost ----------------------------------------------------------------------

    def _expire(self, kept: Kept, late: int) -> None:
        self._retire(kept)
        if late < _LATE:
            self._lose(kept, "expired")
        else:
            self._ask(kept)
        self._release(kept)  # should it stand still: nobody relies on it any more
        self._tidy(kept.slot)

    def _ask(self, kept: Kept) -> None:
        """It has run out while this process was suspended: ask the store what has become of it."""
        known = threading.Event()
        for share in kept.shares:
            if share.reason is None:
                share.known, share.limit = known, 0
                share.lost.set()
                self._unheld.add(share)
        slot = kept.slot
        question = Renew(slot.key, slot.holder, kept.term, _NOTHING)

        def answered(reply: Reply[Any], error: BaseException | None) -> None:
            reason = error.reason if isinstance(error, LeaseLost) else ""
            self._lose(kept, reason if reason in ("taken", "revoked") else "expired")
            known.set()

        reply: Reply[Any] = Reply(question, settled=answered)
        self._alarm.at(self._clock.steady() + _ASK_PATIENCE, lambda: reply.fail(stopped(reply)))
        self._send(reply)

    def _lose(self, kept: Kept, reason: str) -> None:
        """Tell each of its holds, once."""
        with self._lock:
            told = False
            for share in kept.shares:
                if share.reason is None:
                    told = True
                    share.reason, share.limit = reason, 0
                    share.lost.set()
                    if not share.left and reason != "stopped":  # then it is renewed on
                        self._unheld.add(share)
                    if share.on_lost is not None:
                        self._mailbox.put((share.calls, partial(share.on_lost, reason)))
            if told:
                slot = kept.slot
                self._mailbox.put(HoldLost(slot.key, slot.holder, kept.term, reason))

    def verify(self, share: Share) -> None:
        """Raise ``LeaseLost`` unless its holder may still rely on the lease."""
        if self._pid == os.getpid():
            with self._lock:
                self._look(share.kept)
        if share.limit <= self._clock.steady():
            raise self.error(share)

    def error(self, share: Share) -> LeaseLost:
        """Why it is lost, as an error."""
        if share.known is not None:  # real time: in a moment it will be known
            share.known.wait(_ASK_PATIENCE / 1e6)
        reason = share.reason or "unknown"
        why = "it was released" if share.left and share.reason is None else None
        return self._error(share.kept, reason, why)

    @staticmethod
    def _error(kept: Kept, reason: str, why: str | None = None) -> LeaseLost:
        slot = kept.slot
        return LeaseLost(
            f"cannot keep lease {slot.key.lease!r} for holder {slot.holder!r}, term {kept.term}:"
            f" {why or _WHY[reason]} (stop what relies on it)",
            key=slot.key,
            reason=reason,
        )

    # -- the manager stops ---------------------------------------------------------------

    def stop(self, on_empty: Callable[[], object]) -> None:
        """All are told that they have lost; they are renewed until their blocks have ended.

        ``on_empty`` is called when the last has, and nobody is about to begin one.
        """
        with self._lock:
            self._stopped = True
            for kept in list(self._alive):
                self._lose(kept, "stopped")
            if self._entering or self._alive:
                self._on_empty = on_empty
            else:
                on_empty()

    def clear(self) -> None:
        """The manager has ended: what is still kept is left to expire."""
        with self._lock:
            self._stopped, self._on_empty = True, None
            for kept in list(self._alive):
                self._retire(kept)
                self._lose(kept, "stopped")
            for reply in list(self._releases):
                reply.fail(stopped(reply))

    def forked(self) -> None:
        """In a forked child every hold is lost, and nothing of the parent's is touched."""
        self._lock = threading.RLock()
        for kept in list(self._alive):
            for share in list(kept.shares):
                share.reason, share.limit = share.reason or "stopped", 0
                # Another thread may have held its lock at the fork.
                share.lost._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
                share.lost.set()
