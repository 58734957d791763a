"""Which tenures are kept alive, for whom, and what becomes of each: kept on, lost, or released.

Callers, the alarm, the manager and the keeper come here, each on a thread of its own. Whether a
tenure is renewed or lost is decided under one lock, once: what is lost is never renewed back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.attributed import Attribution
from lease_actors.actors.kept import CONFIRMING, Entry, Kept, Renewal, Share, Slot, trusted
from lease_actors.actors.losing import Losses, error_of, lost
from lease_actors.actors.mailbox import Mailbox
from lease_actors.actors.releases import Releases
from lease_actors.actors.reply import Reply
from lease_actors.clock import Clock
from lease_actors.core.decision import Ended
from lease_actors.core.model import ClaimId, Instant, Key, Micros
from lease_actors.errors import ManagerStopped


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
        self._clock, self._alarm, self._mailbox = clock, alarm, mailbox
        self._lock = threading.RLock()  # to settle a reply may lead back in here
        self._releases = Releases(self._lock, errands, self._released)
        self._losses = Losses(self._lock, clock, alarm, mailbox, self._releases.send)
        self._slots: dict[tuple[Key, str], Slot] = {}
        self._alive: set[Kept] = set()
        self._entering: set[Entry] = set()
        self._on_empty: Callable[[], object] | None = None
        self._running: set[Share] = set()
        self._stopped = False
        self._pid = os.getpid()

    def __len__(self) -> int:
        """How many tenures are kept alive."""
        return len(self._alive)

    def unheld(self) -> list[tuple[Key, str]]:
        """The leases that are lost while blocks that were to hold them still run; for whom."""
        with self._lock:
            lost = [s.kept for s in self._running if s.lost.is_set() and not s.kept.alive]
            return sorted({(kept.slot.key, kept.slot.holder) for kept in lost})

    # -- a block begins ------------------------------------------------------------------

    def enter(self, entry: Entry, key: Key, holder: str) -> None:
        """A hold is about to claim. Until ``entered`` what it may come to share is not released."""
        with self._lock:
            try:
                slot = self._slots.setdefault((key, holder), Slot(key, holder))
            except TypeError:  # not even hashable; the secretary says what is wrong with it
                slot = Slot(key, holder, listed=False)
            entry.slot = slot
            slot.entries.add(entry)
            self._entering.add(entry)

    def claiming(self, entry: Entry) -> None:
        """It claims now: behind every release that is on its way, but who knows how far."""
        with self._lock:
            assert entry.slot is not None
            entry.over = max(entry.slot.releases.values(), default=0)

    def entered(self, entry: Entry) -> None:
        """It knows what it has, or has given up."""
        slot = entry.slot
        if slot is None or self._pid != os.getpid():
            return
        with self._lock:
            slot.entries.discard(entry)
            self._entering.discard(entry)
            kept = slot.kept
            if kept is not None and not kept.shares and not slot.entries:
                self._finish(kept)  # its last hold has ended meanwhile
            self._tidy(slot)

    def keep(self, entry: Entry, attribution: Attribution, duration: Micros) -> Share | None:
        """A share in the tenure that was attributed, kept alive from now on.

        None: that tenure is being released, so claim again. Raises ``ManagerStopped``.
        """
        slot = entry.slot
        assert slot is not None
        with self._lock:
            if self._stopped:
                raise ManagerStopped(
                    f"cannot hold lease {slot.key.lease!r} for holder {slot.holder!r}:"
                    " the manager is stopping or has stopped (open a new one)",
                    key=slot.key,
                )
            released = attribution.tenure.term <= entry.over
            kept = None if released else self._kept(slot, attribution, duration)
            if attribution.offer is not None and (kept is None or kept.offer is None):
                # Another claim of this holder has confirmed it: this one is queued no more.
                self._releases.decline(slot.key, attribution.offer)
            if kept is None:
                return None
            entry.share = Share(kept, entry.on_lost, entry.on_endangered, kept.deadline)
            kept.shares.append(entry.share)
            self._running.add(entry.share)
            for share in kept.shares:
                self._allow(share)
            if kept.endangered:
                self._losses.warn(entry.share)
            return entry.share

    def _kept(self, slot: Slot, attribution: Attribution, duration: Micros) -> Kept | None:
        kept, term, since = slot.kept, attribution.tenure.term, attribution.since
        if kept is not None and term < kept.term:
            return None
        deadline = since + trusted(duration) if attribution.offer is None else attribution.until
        if kept is None or term > kept.term:
            if kept is not None:  # its tenure is over; to renew it will tell why
                kept.due = since
                self._mailbox.put(kept)
            kept = Kept(slot, term, duration, since, deadline)
            slot.kept = kept
            self._alive.add(kept)
            kept.due = since + duration // 3
            kept.handle = self._alarm.at(kept.endangered_at, partial(self._rung, kept))
            if attribution.offer is None:
                self._mailbox.put(kept)
            else:
                self._confirm(kept, attribution.offer)
        else:
            kept.deadline = max(kept.deadline, deadline)
            if duration >= kept.duration:  # as good as a renewal
                kept.duration, kept.sent = duration, max(kept.sent, since)
                kept.endangered = self._clock.steady() >= kept.endangered_at
        return kept

    def _confirm(self, kept: Kept, offer: ClaimId) -> None:
        """From here, and not by the keeper: so whatever is asked in the block comes after it."""
        kept.offer, kept.settled = offer, threading.Event()
        kept.renewal = Renewal(kept, self._clock.steady(), self._answered)
        self._mailbox.put(CONFIRMING)
        self._releases.send(kept.renewal)

    # -- a block ends --------------------------------------------------------------------

    def leave(self, share: Share, at: Instant | None = None) -> Reply[Any] | None:
        """The block has ended; with the last of its tenure's it is released, at ``at`` or now.

        Returns the release, if there is one. Twice is once; cut short by an exception, it can be
        called again.
        """
        if self._pid != os.getpid():
            return None  # the parent's: nothing of it is touched
        with self._lock:
            kept = share.kept
            self._look(kept)
            self._running.discard(share)
            if share.left:
                return None
            share.limit = 0
            release = None
            if kept.alive:
                if share in kept.shares:
                    kept.shares.remove(share)
                if at is not None:
                    kept.ends_at = at if kept.ends_at is None else max(kept.ends_at, at)
                if not kept.shares and not kept.slot.entries:
                    release = self._finish(kept)
            share.left = True  # last: until here it may be cut short, and called again
            return release

    def _finish(self, kept: Kept) -> Reply[Any]:
        try:
            return self._end(kept)
        except BaseException:  # Ctrl-C just here: each step may be done twice, none left out
            self._end(kept)
            raise

    def _end(self, kept: Kept) -> Reply[Any]:
        self._retire(kept)
        reply = self._releases.release(kept, kept.ends_at)
        self._tidy(kept.slot)
        return reply

    def _retire(self, kept: Kept) -> None:
        """Renew it no more, for whatever reason."""
        kept.alive = False
        self._alive.discard(kept)
        self._mailbox.put(None)  # the keeper counts anew
        if kept.slot.kept is kept:
            kept.slot.kept = None
        if kept.settled is not None:
            kept.settled.set()
        if kept.handle is not None:
            kept.handle.cancel()
        if kept.renewal is not None and kept.offer is None:
            # Settled, it is dropped on the way, unless it may have been applied already. (Not a
            # confirmation: the release that follows it ends, or lets stand, what it makes.)
            kept.renewal.fail(lost(kept, "unknown"))

    def _released(self, slot: Slot, reply: Reply[Any]) -> None:
        slot.releases.pop(reply, None)
        self._tidy(slot)

    def _tidy(self, slot: Slot) -> None:
        if slot.listed and not slot.entries and not slot.releases and slot.kept is None:
            self._slots.pop((slot.key, slot.holder), None)
        if self._on_empty is not None and not self._entering and not self._alive:
            on_empty, self._on_empty = self._on_empty, None
            on_empty()

    # -- it is renewed, or not -----------------------------------------------------------

    def _answered(self, reply: Reply[Any], error: BaseException | None) -> None:
        """On whichever thread."""
        self._mailbox.put(reply)

    def renewed(self, kept: Kept, sent: int, duration: Micros) -> bool:
        """A renewal sent at that instant has succeeded; False: too late, it is lost."""
        with self._lock:
            self._look(kept)
            if not kept.alive:
                return False
            kept.offer = None
            if kept.settled is not None:
                kept.settled.set()
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
                self._losses.tell(kept, reason)
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
            self._expire(kept, now)
        elif not kept.endangered:
            self._losses.endanger(kept)

    # -- it is lost ----------------------------------------------------------------------

    def _expire(self, kept: Kept, now: int) -> None:
        suspended = kept.was_suspended(now)
        self._retire(kept)
        if suspended:  # perhaps another has it by now
            self._losses.ask(kept)
        else:
            self._losses.tell(kept, "expired")
        self._releases.release(kept)  # should it stand still: nobody relies on it any more
        self._tidy(kept.slot)

    def confirm(self, share: Share) -> None:
        """Return when the tenure has been confirmed, or is lost."""
        if share.kept.settled is not None and self._pid == os.getpid():
            share.kept.settled.wait()

    def keeps(self, share: Share) -> bool:
        """Is it renewed on? So it is in a stop, too, though its holder is told that it is lost."""
        if self._pid != os.getpid():
            return False
        with self._lock:
            self._look(share.kept)
            return share.kept.alive

    def verify(self, share: Share) -> None:
        """Raise ``LeaseLost`` unless its holder may still rely on the lease."""
        if not self.keeps(share) or share.limit <= self._clock.steady():
            raise error_of(share)

    # -- the manager stops ---------------------------------------------------------------

    def stop(self, on_empty: Callable[[], object]) -> None:
        """All are told that they have lost; they are renewed until their blocks have ended.

        ``on_empty`` is called when the last has, and nobody is about to begin one.
        """
        with self._lock:
            self._stopped = True
            for kept in list(self._alive):
                self._losses.tell(kept, "stopped")
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
                self._losses.tell(kept, "stopped")
            self._releases.give_up()

    def forked(self) -> None:
        """In a forked child every hold is lost, and nothing of the parent's is touched."""
        self._lock = threading.RLock()
        for kept in list(self._alive):
            for share in list(kept.shares):
                share.reason, share.limit = share.reason or "stopped", 0
                # Another thread may have held its lock at the fork.
                share.lost._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
                share.lost.set()
