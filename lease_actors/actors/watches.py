"""Who waits here, for which lease, and when that lease must be looked at next.

Only leases that somebody waits for here are watched: all others cost nothing, however many.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from lease_actors.actors.reply import Reply
from lease_actors.core.decide import due
from lease_actors.core.model import ClaimId, Instant, Key, LeaseState
from lease_actors.core.operations import Claim

_FIRST_LOOK = 50_000
_LAST_LOOK = 1_000_000


class Watch:
    """One lease that somebody waits for."""

    __slots__ = ("claims", "due", "ends", "pause", "seen", "term")

    def __init__(self) -> None:
        self.claims: dict[str, dict[ClaimId, Reply[Any]]] = {}
        """The blocked claims, by holder: all of a holder's are answered as soon as it has it."""
        self.ends: dict[Reply[Any], int] = {}
        """Who waits for the end of which term."""
        self.due: Instant | None = None
        self.pause = _FIRST_LOOK
        self.seen: int | None = None
        """Steady: before it was asked for how it stands."""
        self.term = 0
        """Its highest, then."""


class Watches:
    """All leases that somebody waits for here."""

    def __init__(self) -> None:
        self._watches: dict[Key, Watch] = {}
        self._by_claim: dict[ClaimId, Reply[Any]] = {}
        self._came: dict[Key, None] = {}
        self._went: dict[Key, None] = {}
        self._heap: list[tuple[Instant, int, Key]] = []
        self._order = itertools.count()
        self.ends = 0

    @property
    def claims(self) -> int:
        """How many claims are blocked."""
        return len(self._by_claim)

    def __contains__(self, key: Key) -> bool:
        return key in self._watches

    def add_claim(self, reply: Reply[Any], op: Claim) -> None:
        assert op.claim is not None
        self._watch(op.key).claims.setdefault(op.holder, {})[op.claim] = reply
        self._by_claim[op.claim] = reply

    def add_end(self, reply: Reply[Any], key: Key, term: int) -> None:
        ends = self._watch(key).ends
        self.ends += reply not in ends
        ends[reply] = term

    def remove_claim(self, op: Claim) -> Reply[Any] | None:
        """Forget the claim; None if it is not known."""
        watch = self._watches.get(op.key)
        claims = watch.claims.get(op.holder) if watch else None
        if not watch or not claims or op.claim not in claims:
            return None
        reply = claims.pop(op.claim)
        del self._by_claim[op.claim]
        if not claims:
            del watch.claims[op.holder]
        self._tidy(op.key, watch)
        return reply

    def remove_end(self, reply: Reply[Any], key: Key) -> None:
        watch = self._watches.get(key)
        if watch is not None and watch.ends.pop(reply, None) is not None:
            self.ends -= 1
            self._tidy(key, watch)

    def claim(self, claim: ClaimId) -> Reply[Any] | None:
        """That blocked claim, if it is known."""
        return self._by_claim.get(claim)

    def of_holder(self, key: Key, holder: str) -> list[Reply[Any]]:
        """The blocked claims of that holder."""
        watch = self._watches.get(key)
        return list(watch.claims.get(holder, {}).values()) if watch else []

    def claims_on(self, key: Key) -> list[Reply[Any]]:
        """The blocked claims on that lease."""
        watch = self._watches.get(key)
        return [r for claims in watch.claims.values() for r in claims.values()] if watch else []

    def saw(self, key: Key, term: int, sent: int) -> None:
        """The lease was seen with that highest term; it was asked for at that steady instant."""
        watch = self._watches.get(key)
        if watch is not None and (watch.seen is None or sent >= watch.seen):
            watch.seen, watch.term = sent, term

    def seen_before(self, key: Key, term: int) -> int | None:
        """A steady instant after which that term was given, whenever one hears of it."""
        watch = self._watches.get(key)
        return watch.seen if watch is not None and watch.term < term else None

    def ended(self, key: Key, is_over: Callable[[int], bool]) -> list[Reply[Any]]:
        """Who waited for the end of a term that is over; they are forgotten."""
        watch = self._watches.get(key)
        over = [r for r, term in watch.ends.items() if is_over(term)] if watch else []
        for reply in over:
            self.remove_end(reply, key)
        return over

    def take_changes(self) -> tuple[list[Key], list[Key]]:
        """The leases that somebody waits for since the last call, and those that nobody does."""
        came, went = list(self._came), list(self._went)
        self._came, self._went = {}, {}
        return came, went

    def some(self) -> Key | None:
        """One of the leases that somebody waits for."""
        return next(iter(self._watches), None)

    def all(self) -> Iterator[Reply[Any]]:
        """Everybody."""
        for watch in list(self._watches.values()):
            for claims in list(watch.claims.values()):
                yield from list(claims.values())
            yield from list(watch.ends)

    def look(self, state: LeaseState, now: Instant) -> None:
        """Note when the lease must be looked at next, as it is now."""
        watch = self._watches.get(state.key)
        if watch is None:
            return
        instant = due(state)
        if instant is not None and instant <= now:  # it is over, but a guard keeps it
            instant = now + watch.pause
            watch.pause = min(2 * watch.pause, _LAST_LOOK)
        else:
            watch.pause = _FIRST_LOOK
        if instant != watch.due:
            watch.due = instant
            if instant is not None:
                self._note(instant, state.key)

    def look_by(self, key: Key, instant: Instant) -> None:
        """Look at the lease at that instant at the latest."""
        watch = self._watches.get(key)
        if watch is not None and (watch.due is None or instant < watch.due):
            watch.due = instant
            self._note(instant, key)

    def look_soon(self, key: Key, now: Instant) -> None:
        """Only a guard keeps it, and may end at any moment: it is looked at from now on."""
        watch = self._watches.get(key)
        if watch is not None and (watch.due is None or watch.due > now + _LAST_LOOK):
            self.look_by(key, now + _FIRST_LOOK)

    def next_due(self) -> Instant | None:
        """The nearest instant at which one of them must be looked at."""
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: Instant) -> list[Key]:
        """The leases that must be looked at now; each is looked at once, then noted anew."""
        keys: list[Key] = []
        while (instant := self.next_due()) is not None and instant <= now:
            key = heapq.heappop(self._heap)[2]
            self._watches[key].due = None
            keys.append(key)
        return keys

    def _note(self, instant: Instant, key: Key) -> None:
        heapq.heappush(self._heap, (instant, next(self._order), key))
        if len(self._heap) > 64 + 2 * len(self._watches):  # mostly instants that have moved since
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)

    def _is_current(self, entry: tuple[Instant, int, Key]) -> bool:
        watch = self._watches.get(entry[2])
        return watch is not None and watch.due == entry[0]

    def _watch(self, key: Key) -> Watch:
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch()
            if key in self._went:  # it is followed still
                del self._went[key]
            else:
                self._came[key] = None
        return watch

    def _tidy(self, key: Key, watch: Watch) -> None:
        if not watch.claims and not watch.ends:
            del self._watches[key]
            if key in self._came:
                del self._came[key]
            else:
                self._went[key] = None
