"""A lease as its holder sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lease_actors.clock import Clock, from_instant
from lease_actors.core.model import Key, Tenure

__all__ = ["Lease", "Waiter", "lease_of"]


@dataclass(frozen=True, slots=True)
class Lease:
    """A snapshot of a tenure: who has the lease, under which term, until when.

    ``term`` is the fencing token: higher at every attribution to a new claim, for ever.
    Instants are the store's, in UTC; compare them with nothing but each other.
    """

    key: Key
    holder: str
    term: int
    granted_at: datetime
    expiry: datetime
    duration: timedelta
    pinned: bool
    _until: int = field(default=0, repr=False, compare=False)
    _clock: Clock | None = field(default=None, repr=False, compare=False)

    def remaining(self) -> timedelta:
        """For how long the lease is certain to stand, if it is not ended by somebody; never negative.

        On this machine's steady clock, counted from before it was asked for. (A lease that was
        pickled has left its clock behind: nothing remains.)
        """
        if self._clock is None:
            return timedelta(0)
        return timedelta(microseconds=max(0, self._until - self._clock.steady()))

    def __reduce__(self) -> tuple[object, ...]:
        return Lease, (
            self.key,
            self.holder,
            self.term,
            self.granted_at,
            self.expiry,
            self.duration,
            self.pinned,
        )


@dataclass(frozen=True, slots=True)
class Waiter:
    """A blocked claim: whose, in which position (from 1), since when."""

    holder: str
    position: int
    since: datetime


def lease_of(key: Key, tenure: Tenure, pinned: bool, until: int, clock: Clock) -> Lease:
    """The tenure as a snapshot; ``until``: the steady instant up to which it is certain."""
    return Lease(
        key,
        tenure.holder,
        tenure.term,
        from_instant(tenure.granted_at),
        from_instant(tenure.expiry),
        timedelta(microseconds=tenure.duration),
        pinned,
        until,
        clock,
    )
