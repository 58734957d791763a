"""A store in a SQL database.

Every connection is given back, in no transaction, when a call returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.core.model import Instant, Key, LeaseState, Micros, PastTenure, Waiter
from lease_actors.durations import Duration, as_timedelta
from lease_actors.errors import LeaseError, NotValid, StoreError
from lease_actors.stores.base import Batch, Heard, HistoryQuery, Listener, Peek, StorePassing
from lease_actors.stores.sql.address import describe, make_engine, resolve
from lease_actors.stores.sql.batches import Batches
from lease_actors.stores.sql.connections import Connections
from lease_actors.stores.sql.dialects import Dialect, Options
from lease_actors.stores.sql.guard import Guards
from lease_actors.stores.sql.history import History
from lease_actors.stores.sql.pruning import prune_history, prune_leases, prune_starts
from lease_actors.stores.sql.schema import check_schema, create_schema, identity_of
from lease_actors.stores.sql.snapshots import Snapshots
from lease_actors.stores.sql.statements import Statements
from lease_actors.stores.sql.tables import make_tables

__all__ = ["SqlStore"]

T = TypeVar("T")


class SqlStore:
    """Leases in the database under that URL, or behind that SQLAlchemy engine.

    An engine handed in stays its owner's: its connections are used and given back, set up in
    nothing but their isolation level, and not closed. ``create_schema`` makes the tables on
    ``open`` if they are missing. ``table_prefix`` and ``schema`` say how and where they are
    named. For an engine of the store's own: ``busy_timeout``, for how long a batch waits
    for another writer of the same file; ``synchronous``, SQLite's setting of that name (less
    than ``FULL`` may give a lease twice after a power failure); ``lock_timeout``, for how long
    a batch waits for a row of a server's that somebody else has locked; ``reply_timeout``, after
    how long a connection to a server that says nothing is given up. (``timedelta`` or seconds.)
    """

    def __init__(
        self,
        url_or_engine: str | sa.URL | sa.Engine,
        *,
        create_schema: bool = False,
        table_prefix: str = "lease_",
        schema: str | None = None,
        busy_timeout: Duration = 5.0,
        synchronous: str = "FULL",
        lock_timeout: Duration = 0.25,
        reply_timeout: Duration = 10.0,
    ) -> None:
        url, kind = resolve(url_or_engine)
        options = Options(
            busy_timeout=_seconds("busy_timeout", busy_timeout),
            synchronous=synchronous,
            lock_timeout=_seconds("lock_timeout", lock_timeout),
            reply_timeout=_seconds("reply_timeout", reply_timeout),
        )
        owned = not isinstance(url_or_engine, sa.Engine)
        engine = (
            url_or_engine
            if isinstance(url_or_engine, sa.Engine)
            else make_engine(url, kind, options)
        )
        tables = make_tables(table_prefix, schema)
        self._dialect = kind(engine, tables, describe(url), options, owned=owned)
        clock = self._dialect.clock_expression()
        self._machine_time = clock is None
        self._statements = Statements(tables, engine.dialect, clock)
        self._snapshots = Snapshots(self._statements)
        self._history = History(tables, engine.dialect)
        self._connections = Connections(self._dialect, self._dialect.adapt(engine))
        self._connection = self._connections.one
        self._batches = Batches(self._dialect, self._statements, self._history, self._connection)
        self._guards = Guards(self._dialect, self._connection)
        self._identity: tuple[Any, ...] = ()
        self._create = create_schema
        self._opening = threading.Lock()
        self._opened = False
        self._hand = 0  # the id behind which the next pruning goes on

    def __repr__(self) -> str:
        return f"SqlStore({self._dialect.place})"

    @property
    def engine(self) -> sa.Engine:
        """The engine that the store works through."""
        return self._dialect.engine

    # -- being open ----------------------------------------------------------------------

    def open(self, clock: Clock) -> None:
        """Check the schema, or make it; what fails leaves no connection behind."""
        try:
            self._open(clock)
        except BaseException:
            self.close()
            raise

    def _open(self, clock: Clock) -> None:
        """Check the schema, or make it, and settle how the store tells the time."""
        with self._opening:
            if self._opened:
                return
            self._prepare(create=self._create)
            self._statements.prepare()
            with self._connection() as connection:
                if self._create:
                    create_schema(connection, self._dialect)
                check_schema(connection, self._dialect)
                self._identity = identity_of(connection, self._dialect)
                self._dialect.recognise(self._identity)
                self._dialect.open_clock(connection, clock)
            self._opened = True

    def administer(self, work: Callable[[sa.Connection, Dialect], T], *, create: bool = False) -> T:
        """What ``work`` returns, on a connection to whatever schema there is: ``admin`` asks so."""
        self._prepare(create=create)
        with self._connection() as connection:
            return work(connection, self._dialect)

    def _prepare(self, *, create: bool) -> None:
        self._connections.let_go()  # it may lead to a file that is not there any more
        try:
            with self._dialect.translating():
                self._dialect.prepare(create=create)
        except (LeaseError, StorePassing):
            raise
        except Exception as error:  # an option that the driver does not know, a file that it misses
            what = str(error) or type(error).__name__
            raise StoreError(f"cannot connect to {self._dialect.place}: {what}") from error

    def close(self) -> None:
        """Close the connections, if the engine is the store's own. Using it makes new ones."""
        with self._opening:
            self._opened = False
            self._dialect.close()
            self._connections.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections without closing them on a server.

        SQLite's are closed: there is no server, and as long as they are open it takes the parent's
        locks for the child's own.
        """
        closing = self._dialect.owned and self._machine_time and self._connections.stillness.reached
        self._opening = threading.Lock()
        self._opened = False
        if closing:
            self._dialect.close()
            self._connections.close()
        else:
            self._connections.abandon()

    # -- batches -------------------------------------------------------------------------

    def begin(self, start: str) -> None:
        """Record a start; asked twice, its batches stay counted."""
        with self._connection() as connection:
            self._dialect.begin(connection)
            if self._statements.start.one(connection, start) is None:
                self._statements.add_start.count(connection, start, 0, *self._seen())
            self._dialect.commit(connection)

    def apply(self, batch: Batch) -> bool:
        """Apply the batch once, in one transaction; durable when it returns."""
        return self._batches.apply(batch)

    def _seen(self) -> tuple[Instant, ...]:
        """The time as an argument, where the database does not put in its own."""
        return (self._dialect.now(None),) if self._machine_time else ()

    # -- reading -------------------------------------------------------------------------

    def now(self) -> Instant:
        """The store's time."""
        if self._machine_time:
            return self._dialect.now(None)
        with self._connection() as connection:
            return self._dialect.now(connection)

    def get(self, key: Key) -> tuple[LeaseState, Instant]:
        """A snapshot of one lease, and the time."""
        with self._connection() as connection:
            return self._snapshots.get(connection, key), self._dialect.now(connection)

    def leases(
        self, namespace: str | None, model_uuid: str | None
    ) -> tuple[list[LeaseState], Instant]:
        """The leases there, or everywhere, that have a tenure, an offer or pins."""
        with self._connection() as connection:
            states = self._snapshots.leases(connection, namespace, model_uuid)
            return states, self._dialect.now(connection)

    def waiting(self, key: Key) -> list[Waiter]:
        """The whole queue of one lease, in order."""
        with self._connection() as connection:
            return self._snapshots.waiting(connection, key)

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        """What concerns that start: the offers to it, these leases, whether it is absent."""
        with self._connection() as connection:
            return self._snapshots.peek(connection, start, keys, self._dialect.now)

    def offered(self, start: str) -> bool:
        """Is anything on offer to that start?"""
        with self._connection() as connection:
            return self._statements.offered.one(connection, start) is not None

    def version(self) -> int | None:
        """A number that differs whenever another connection has committed since."""
        with self._connections.stillness, self._dialect.translating():
            return self._dialect.version()

    def listen(self, start: str, heard: Heard) -> Listener | None:
        """Hear the notices of other starts, where the database can pass them on."""
        return self._dialect.listen(start, heard)

    def guard(
        self,
        connection_or_session: Any,
        key: Key,
        holder: str,
        term: int,
        certain: Callable[[], bool],
    ) -> None:
        """Make the user's own transaction depend on that tenure (see ``Guards.guard``)."""
        self._guards.guard(connection_or_session, self._identity, key, holder, term, certain)

    # -- the history ---------------------------------------------------------------------

    def history(self, query: HistoryQuery) -> list[PastTenure]:
        """The tenures asked for that have ended, the last to end first."""
        with self._connection() as connection:
            return self._history.read(connection, query, self._dialect.now(connection))

    def set_history(self, retention: Micros | None) -> None:
        """On for every manager on this database, or off."""
        with self._connection() as connection:
            self._dialect.begin(connection)
            self._history.set(connection, retention)
            self._dialect.commit(connection)

    def history_setting(self) -> Micros | None:
        """For how long ended tenures are kept; None: the history is off."""
        with self._connection() as connection:
            return self._history.retention(connection)

    # -- pruning -------------------------------------------------------------------------

    def prune(self, idle_for: Micros, limit: int = 1000) -> int:
        """Delete rows on which nothing hangs, and starts that were not seen for a week."""
        with self._connection() as connection:
            self._dialect.begin(connection)
            now = self._dialect.now(connection)
            gone, hand = prune_leases(
                connection,
                self._statements,
                self._dialect,
                self._history,
                now - idle_for,
                self._hand,
                limit,
            )
            prune_starts(connection, self._statements, now, limit)
            self._dialect.commit(connection)
            self._hand = hand
            prune_history(connection, self._dialect, self._history, now, limit)
            return gone


def _seconds(setting: str, value: Duration) -> float:
    duration = as_timedelta(value)
    if duration is None or duration < timedelta(0):
        raise NotValid(f"{setting}={value!r} is not a time to wait (a timedelta or seconds)")
    return duration.total_seconds()
