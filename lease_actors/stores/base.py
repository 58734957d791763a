"""What a store guarantees. A store knows no rules: it loads, lets a function decide, writes.

Anyone can write one: put it through ``lease_actors.testing.StoreConformance``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from lease_actors.clock import Clock
from lease_actors.core.model import (
    Instant,
    Key,
    LeaseState,
    Micros,
    Need,
    Notice,
    Offer,
    PastTenure,
    Waiter,
)

__all__ = [
    "Batch",
    "Changes",
    "Decide",
    "Heard",
    "HistoryQuery",
    "Listener",
    "Peek",
    "StartUnknown",
    "Store",
    "StorePassing",
]


class StorePassing(Exception):
    """The store failed in a way that may pass (locked, lost connection, …); try again.

    Whether the transaction was committed may be unknown: the batch number tells the retry.
    What the driver raised is the ``__cause__``.
    """


class StartUnknown(Exception):
    """There is no row of this start (it was deleted): nobody can say what was applied."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a decision leaves to be written: the states that changed, the starts found absent."""

    states: Sequence[LeaseState]
    absent: frozenset[str] = frozenset()
    notices: Sequence[Notice] = ()
    """What other managers should look at: a store that can tell them does, once this is committed.
    What is not committed is told to nobody, since an offer that is told of is relied on."""
    ended: Sequence[PastTenure] = ()
    """The tenures that ended: for the history, if it is on."""


Decide: TypeAlias = Callable[[Mapping[Key, LeaseState], Instant], Changes]


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction: its number within this start, what it sees, and who decides."""

    start: str
    number: int
    needs: Mapping[Key, Need]
    decide: Decide


@dataclass(frozen=True, slots=True)
class Peek:
    """What concerns one start, as a snapshot."""

    offers: Sequence[tuple[Key, Offer]]
    """The leases on offer to its claims."""
    states: Sequence[LeaseState]
    """The leases that were asked for (without their queues)."""
    absent: bool
    """It has missed an offer, and has not been seen since."""
    now: Instant


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which ended tenures: of one lease or of all leases there, at most ``limit`` of them, ended
    at ``since`` or later, and before ``until``.

    No namespace and model: of all leases everywhere; ``limit`` then counts from the one that was
    written down last, and an expiry is written down when somebody notices it.
    """

    namespace: str | None
    model_uuid: str | None
    lease: str | None = None
    limit: int = 100
    since: Instant | None = None
    until: Instant | None = None


class Listener(Protocol):
    """Hears of notices, on a thread of its own. It works as long as it hears itself."""

    @property
    def working(self) -> bool:
        """Notices have been seen to arrive, and the connection has not failed since."""
        ...

    def close(self) -> None:
        """Hear nothing more; does not wait long."""
        ...


Heard: TypeAlias = Callable[[Sequence[Notice]], None]
"""Called with notices. With none: something may have been missed, look at everything."""


@runtime_checkable
class Store(Protocol):
    """Where leases are kept. Every method may be called from any thread, also at once.

    Whatever talks to a database may raise ``StorePassing``. A store that has connections or locks
    may also have a method ``abandon()``, called in a forked child: it lets go of those of the
    parent without closing them or waiting for them, and the store can be opened anew there.
    """

    def open(self, clock: Clock) -> None:
        """Be ready, or raise. A store without a clock of its own takes its time from ``clock``.

        Called by every manager before anything else, also if another has called it before.
        """
        ...

    def begin(self, start: str) -> None:
        """Record a start of a manager, its last batch being number 0. Asked twice: once."""
        ...

    def apply(self, batch: Batch) -> bool:
        """Apply the batch once: True now, False if that number was applied before.

        In one transaction: write the batch's number for its start; load the states of the keys,
        locked (a key without a row is a fresh ``LeaseState`` whose term is the floor); then read
        the store's time; call ``decide`` with both; write what it returns; commit. All or
        nothing, and durable when it returns. ``decide`` is called only if the number is new,
        and only while no other attempt at it can commit. A lease whose row somebody else keeps
        locked for longer than the store waits may be missing from the states; nothing is decided
        for it then. That a start writes is its sign of life: it is not absent any more. Raises ``StorePassing`` for what may pass,
        ``StartUnknown``, and anything else for what will not.
        """
        ...

    def now(self) -> Instant:
        """The store's time."""
        ...

    def get(self, key: Key) -> tuple[LeaseState, Instant]:
        """A snapshot of one lease (without its queue), and the store's time. Delays nobody."""
        ...

    def leases(
        self, namespace: str | None, model_uuid: str | None
    ) -> tuple[list[LeaseState], Instant]:
        """A snapshot of the leases there that have a tenure, an offer or pins (without queues).

        No namespace: those of every namespace and model.
        """
        ...

    def waiting(self, key: Key) -> list[Waiter]:
        """A snapshot of the whole queue of one lease, in order; absent ones marked."""
        ...

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        """What concerns that start: the offers to it, these leases, whether it is absent.

        A snapshot; writes nothing and delays nobody: it is what polling does.
        """
        ...

    def offered(self, start: str) -> bool:
        """Is anything on offer to that start? As cheap as can be: it is what is asked most."""
        ...

    def version(self) -> int | None:
        """A number that differs whenever anybody has committed since; None where there is no
        cheap one. If it is the same as before, a ``peek`` would find nothing new."""
        ...

    def listen(self, start: str, heard: Heard) -> Listener | None:
        """Hear the notices of other starts until the listener is closed; None: nobody can here."""
        ...

    def prune(self, idle_for: Micros, limit: int = 1000) -> int:
        """Delete rows on which nothing hangs and whose tenure ended that long ago; how many.

        Looks at ``limit`` rows at most, each call where the last one stopped. The floor is
        raised above every term that goes, so that none is ever given again. What goes over its
        expiry untouched goes into the history, and what is too old there goes altogether.
        """
        ...

    def history(self, query: HistoryQuery) -> list[PastTenure]:
        """The tenures asked for that ended while the history was on, the last to end first.

        One whose expiry has come has ended, also if nobody has looked at it since. A snapshot;
        delays nobody.
        """
        ...

    def set_history(self, retention: Micros | None) -> None:
        """From now on, for every manager on this store, tenures are recorded as they end, and
        kept for that long; None: no more, and what is recorded stays for as long as it was to.

        The record is written in the transaction that ends the tenure: never one without the
        other. Transactions under way may still do as it was before. Raises ``NotValid``.
        """
        ...

    def history_setting(self) -> Micros | None:
        """For how long ended tenures are kept; None: the history is off."""
        ...

    def close(self) -> None:
        """Let go of connections; a manager that still uses the store opens it again."""
        ...
