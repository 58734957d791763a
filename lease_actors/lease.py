"""A lease as its holder sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from lease_actors.clock import Clock, from_instant
from lease_actors.core.model import Key, Tenure
from lease_actors.errors import NotValid

__all__ = ["Guard", "Lease", "Waiter", "lease_of"]

Guard: TypeAlias = Callable[[Any, Key, str, int, Callable[[], bool]], None]
"""Makes a transaction depend on a tenure: a store's ``guard``."""


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
    _guard: Guard | None = field(default=None, repr=False, compare=False)

    def remaining(self) -> timedelta:
        """For how long the lease is certain to stand, if it is not ended by somebody; never negative.

        On this machine's steady clock, counted from before it was asked for. (A lease that was
        pickled has left its clock behind: nothing remains.)
        """
        if self._clock is None:
            return timedelta(0)
        return timedelta(microseconds=max(0, self._until - self._clock.steady()))

    def guard(self, connection_or_session: Any) -> None:
        """This holder's term stands, and is given to nobody else until that transaction ends.

        ``connection_or_session``: an SQLAlchemy ``Connection`` or ``Session`` on the manager's
        own database, in a transaction. Guard first, then read what you will write. Raises
        ``NotHeld``; ``NotValid`` where a guard could hold nothing (autocommit, a savepoint, a
        read-only transaction, another database, leases in memory); and the driver's own
        ``DBAPIError`` if the transaction cannot be put in order: roll back, begin anew. Where
        a connection of the store's own is needed, and fails: ``StoreError``.
        Source: SEMANTICS, "Guard".
        """
        if self._guard is None:
            raise NotValid(
                f"cannot guard a transaction with lease {self.key.lease!r} of holder"
                f" {self.holder!r}: its leases are not kept in a SQL database, or it was pickled",
                key=self.key,
            )
        self._guard(
            connection_or_session, self.key, self.holder, self.term, lambda: bool(self.remaining())
        )

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


def lease_of(
    key: Key, tenure: Tenure, pinned: bool, until: int, clock: Clock, guard: Guard | None
) -> Lease:
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
        guard,
    )
