"""The queue of one lease in memory, and which starts are present."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from lease_actors.core.model import ClaimId, Need, Waiter

__all__ = ["MemoryQueue", "presence"]


class MemoryQueue:
    """Waiters in order of place, kept by start.

    So the live ones in front are found without walking over those of an absent process, and
    any one is removed in constant time, however many wait.
    """

    __slots__ = ("_by_start", "_places")

    def __init__(self) -> None:
        self._by_start: dict[str, OrderedDict[int, Waiter]] = {}
        self._places: dict[ClaimId, int] = {}

    def all(self) -> Iterator[Waiter]:
        return heapq.merge(*(q.values() for q in self._by_start.values()), key=_place)

    def window(
        self, need: Need, present: Callable[[str], bool]
    ) -> tuple[tuple[Waiter, ...], int | None]:
        """What ``need`` asks for, in order of place, and the horizon of it."""
        live = (q.values() for start, q in self._by_start.items() if present(start))
        heads = list(islice(heapq.merge(*live, key=_place), need.heads + 1))
        horizon = None
        if len(heads) > need.heads:
            heads.pop()
            horizon = heads[-1].place if heads else 0
        if not need.claims:
            return tuple(heads), horizon
        seen = {w.place: w for w in heads}
        for waiter in self._named(need.claims):
            if waiter.place not in seen:
                there = present(waiter.claim.start)
                seen[waiter.place] = waiter if there else replace(waiter, absent=True)
        return tuple(seen[place] for place in sorted(seen)), horizon

    def _named(self, claims: Iterable[ClaimId]) -> Iterator[Waiter]:
        for claim in claims:
            place = self._places.get(claim)
            if place is not None:
                yield self._by_start[claim.start][place]

    def change(self, before: tuple[Waiter, ...], after: tuple[Waiter, ...]) -> None:
        """Take out who is gone from the window, put in who is new."""
        stay = {w.place for w in after}
        for waiter in before:
            if waiter.place not in stay:
                self._remove(waiter.claim)
        known = {w.place for w in before}
        for waiter in after:
            if waiter.place not in known:
                self._places[waiter.claim] = waiter.place
                self._by_start.setdefault(waiter.claim.start, OrderedDict())[waiter.place] = waiter

    def _remove(self, claim: ClaimId) -> None:
        waiters = self._by_start[claim.start]
        del waiters[self._places.pop(claim)]
        if not waiters:
            del self._by_start[claim.start]


def _place(waiter: Waiter) -> int:
    return waiter.place


def presence(
    starts: dict[str, int], absences: dict[str, int], asking: str | None = None
) -> Callable[[str], bool]:
    """Whether a start is present. One that writes, as ``asking`` does, has shown itself."""

    def present(start: str) -> bool:
        if start == asking:
            return True
        last = starts.get(start)
        return last is not None and absences.get(start, -1) < last

    return present
