"""What is kept alive, as records: tenures, the holds that share them, renewals on their way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from lease_actors.actors.alarm import Handle
from lease_actors.actors.callbacks import Calls
from lease_actors.actors.reply import Reply
from lease_actors.core.model import ClaimId, Instant, Key, Micros
from lease_actors.core.operations import Confirm, Renew

OnLost: TypeAlias = Callable[[str], object]
OnEndangered: TypeAlias = Callable[[], object]
Settled: TypeAlias = Callable[[Reply[Any], BaseException | None], None]

_LATE = 100_000
"""An alarm so late (microseconds) means that this process was suspended."""


def trusted(duration: Micros) -> Micros:
    """For so long a tenure of that duration is relied on: clocks run at different rates."""
    return duration - -(-duration // 1000)


@dataclass(slots=True, eq=False)
class Entry:
    """A hold that is about to begin: it has claimed, and does not know yet what it has."""

    on_lost: OnLost | None
    on_endangered: OnEndangered | None
    slot: Slot | None = None
    share: Share | None = None
    """What it has, once it knows."""
    over: int = 0
    """Terms up to this one may have been released behind its claim: it cannot share them."""


@dataclass(slots=True, eq=False)
class Share:
    """One hold's share of a kept tenure, from the beginning of its block to the end."""

    kept: Kept
    on_lost: OnLost | None
    on_endangered: OnEndangered | None
    limit: int
    """Steady: up to here it may rely on the lease. 0 when it is lost, or over."""
    lost: threading.Event = field(default_factory=threading.Event)
    reason: str | None = None
    """Why it was lost."""
    known: threading.Event | None = None
    """It is lost, and the store is being asked why."""
    left: bool = False
    released: bool = False
    """By its holder, before the block ended."""
    calls: Calls = field(default_factory=Calls)


@dataclass(slots=True, eq=False)
class Kept:
    """One tenure that is kept alive."""

    slot: Slot
    term: int
    duration: Micros
    """The longest of its holds'."""
    sent: int
    """Steady: before the last request that succeeded was sent."""
    deadline: int
    alive: bool = True
    """It is renewed. Once it is not, it never is again."""
    endangered: bool = False
    shares: list[Share] = field(default_factory=list)
    ends_at: Instant | None = None
    """The store's instant up to which one of its holds wants it to stand after all of them."""
    renewal: Renewal | None = None
    """On its way."""
    due: int = 0
    """Steady: when it is renewed next."""
    handle: Handle | None = None
    """The alarm for what becomes of it if it is not."""
    offer: ClaimId | None = None
    """The claim that it is on offer to, until that is confirmed."""
    settled: threading.Event | None = None
    """Set when that is, or when it is kept alive no more; None: it never was on offer."""

    @property
    def endangered_at(self) -> int:
        # A longer hold that came to share it, after a claim that took long, has its duration
        # counted from long ago: the deadline may come first.
        return min(self.sent + 2 * self.duration // 3, self.deadline)

    def was_suspended(self, now: int) -> bool:
        """Did it run out because this process stood still, and not because the store was silent?"""
        if now - self.deadline >= _LATE:
            return True
        asked = self.renewal is not None and self.renewal.began < self.deadline
        return not asked and now >= self.sent + self.duration


class Confirming:
    """A letter to the keeper: a confirmation is on its way."""


CONFIRMING = Confirming()


@dataclass(slots=True, eq=False)
class Slot:
    """What one holder has to do with one lease here."""

    key: Key
    holder: str
    listed: bool = True
    """It can be found by its names."""
    entries: set[Entry] = field(default_factory=set)
    kept: Kept | None = None
    """The tenure that a hold which begins now would share."""
    releases: dict[Reply[Any], int] = field(default_factory=dict)
    """On their way, and the term that each ends."""


class Renewal(Reply[int]):
    """A renewal on its way, or a confirmation; its answer is the steady instant before which it
    was sent."""

    def __init__(self, kept: Kept, began: int, settled: Settled) -> None:
        slot = kept.slot
        duration = timedelta(microseconds=kept.duration)
        operation: Renew | Confirm = Renew(slot.key, slot.holder, kept.term, duration)
        if kept.offer is not None:
            operation = Confirm(slot.key, slot.holder, kept.term, duration, kept.offer)
        super().__init__(operation, began=began, settled=settled)
        self.kept = kept
        self.duration = kept.duration
