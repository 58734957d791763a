"""What a lease is made of: plain values, shared by the rules, the stores and the actors.

Instants are the store's time in whole microseconds since 1970 (UTC); durations are whole
microseconds. Integers, because they compare exactly, in Python and in every database.

What is made anew for every operation is a named tuple: a frozen dataclass takes several times as
long to make, and to copy with a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Instant: TypeAlias = int
"""Microseconds since 1970-01-01T00:00Z by the store's clock."""

Micros: TypeAlias = int
"""A duration in microseconds."""

Ending: TypeAlias = Literal["released", "expired", "revoked", "handed over"]
"""How a tenure ended. *Handed over*: its claim had been withdrawn before anyone was told."""


class Key(NamedTuple):
    """The name of a lease, in full. Names compare code point by code point."""

    namespace: str
    model_uuid: str
    lease: str


class ClaimId(NamedTuple):
    """The name of one blocked claim: the start of a manager that asked, and its number there."""

    start: str
    number: int


class Tenure(NamedTuple):
    """One holder's time with a lease, under one term (the fencing token)."""

    holder: str
    term: int
    granted_at: Instant
    duration: Micros
    expiry: Instant
    ending: Ending | None = None
    """Set when it was ended under a guard: it is over when the last guard is."""
    watched: bool = False
    """Somebody, perhaps elsewhere, waits for its end."""


@dataclass(frozen=True, slots=True)
class PastTenure:
    """A tenure that has ended: for the record."""

    key: Key
    holder: str
    term: int
    granted_at: Instant
    ended_at: Instant
    """Of an expired one its expiry, whenever that was noticed."""
    ended: Ending


@dataclass(frozen=True, slots=True)
class Waiter:
    """A blocked claim in its place in the queue."""

    place: int
    claim: ClaimId
    holder: str
    duration: Micros
    since: Instant
    absent: bool = False
    """Its process missed an offer and has not shown itself since: it is passed over."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A lease on its way to a blocked claim of another process, which has yet to confirm."""

    claim: ClaimId
    holder: str
    term: int
    made_at: Instant
    lapses_at: Instant
    renewed: bool = False
    """It had lapsed, and was made once more by somebody who could not judge that."""


class LeaseState(NamedTuple):
    """All that is recorded of one lease, as far as the operations of one batch can touch it.

    ``queue`` is not the whole queue: it has the first waiters that are not absent (as many
    as were asked for, see ``Need``) and those that an operation names, in order of place.
    """

    key: Key
    term: int = 0
    """The highest term ever given, to a tenure or an offer."""
    tenure: Tenure | None = None
    offer: Offer | None = None
    queue: tuple[Waiter, ...] = ()
    queued: int = 0
    """How many wait, absent ones included."""
    last_place: int = 0
    horizon: int | None = None
    """Up to this place ``queue`` has every live waiter, behind it only those that were named;
    None: there are no others."""
    pins: tuple[str, ...] = ()
    ended: Ending | None = None
    """How the last tenure that ended did end, and which it was."""
    ended_term: int = 0
    ended_at: Instant = 0
    guarded: bool = False
    """A user's transaction depends on the tenure just now (read with the row, never written)."""

    @property
    def idle(self) -> bool:
        """Nothing hangs on it any more: the row may be pruned, its term going into the floor."""
        return not (self.tenure or self.offer or self.queued or self.pins)


class Notice(NamedTuple):
    """Says to other managers on the same store: look at this lease.

    ``claim``: it is offered to that claim; what it says of the offer is true as long as that
    stands. A notice is a hint: lost, late or doubled, it does no harm.
    """

    key: Key
    claim: ClaimId | None = None
    term: int = 0
    """Of the offer; 0: nothing is said of it."""
    made_at: Instant = 0
    window: Micros = 0
    """For so long from then it is the claim's to confirm."""
    pinned: bool = False


class Need(NamedTuple):
    """How much of a lease a batch has to see.

    ``heads``: so many of the first waiters that are not absent. ``claims``: these waiters,
    wherever they stand. ``ends``: an operation may end the tenure, so guards matter.
    """

    heads: int = 2
    claims: frozenset[ClaimId] = frozenset()
    ends: bool = False


def sole_need() -> Need:
    """What one operation that names no waiter needs."""
    return _SOLE


_SOLE = Need()
