"""A store in a SQL database.

Statement by statement, a batch is: its number into the row of its start; the lease rows,
locked, in one order for everybody; queues and pins; the time; the decision; what changed;
commit. Every connection is back in its pool, in no transaction, when a call returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.core.model import Instant, Key, LeaseState, Micros, PastTenure, Waiter
from lease_actors.stores.base import Batch, Heard, HistoryQuery, Listener, Peek, StartUnknown
from lease_actors.stores.sql.address import describe, make_engine, resolve
from lease_actors.stores.sql.dialects import Dialect, Options
from lease_actors.stores.sql.history import History
from lease_actors.stores.sql.load import load
from lease_actors.stores.sql.pruning import prune_history, prune_leases, prune_starts
from lease_actors.stores.sql.rows import digest, scope_of, to_state, to_waiter
from lease_actors.stores.sql.schema import check_schema, create_schema
from lease_actors.stores.sql.statements import Statements
from lease_actors.stores.sql.tables import make_tables
from lease_actors.stores.sql.write import Writes

__all__ = ["SqlStore"]

T = TypeVar("T")


class SqlStore:
    """Leases in the database under that URL, or behind that SQLAlchemy engine.

    An engine handed in stays its owner's: its connections are used and given back, set up in
    nothing but their isolation level, and not closed. ``create_schema`` makes the tables on
    ``open`` if they are missing. ``table_prefix`` and ``schema`` say how and where they are
    named. For an engine of the store's own: ``busy_timeout``, the seconds that a batch waits
    for another writer of the same file; ``synchronous``, SQLite's setting of that name (less
    than ``FULL`` may give a lease twice after a power failure).
    """

    def __init__(
        self,
        url_or_engine: str | sa.URL | sa.Engine,
        *,
        create_schema: bool = False,
        table_prefix: str = "lease_",
        schema: str | None = None,
        busy_timeout: float = 5.0,
        synchronous: str = "FULL",
    ) -> None:
        url, kind = resolve(url_or_engine)
        options = Options(busy_timeout=busy_timeout, synchronous=synchronous)
        owned = not isinstance(url_or_engine, sa.Engine)
        engine = (
            url_or_engine
            if isinstance(url_or_engine, sa.Engine)
            else make_engine(url, kind, options)
        )
        tables = make_tables(table_prefix, schema)
        self._dialect = kind(engine, tables, describe(url), owned=owned)
        self._engine = self._dialect.adapt(engine)
        clock = self._dialect.clock_expression()
        self._machine_time = clock is None
        self._statements = Statements(tables, engine.dialect, clock)
        self._history = History(tables, engine.dialect)
        self._create = create_schema
        self._opening = threading.Lock()
        self._opened = False
        self._hand = 0  # the id behind which the next pruning goes on
        self._inherited: list[sa.Pool] = []

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
            with self._failures():
                self._dialect.prepare(create=self._create)
            with self._connection() as connection:
                if self._create:
                    create_schema(connection, self._dialect)
                check_schema(connection, self._dialect)
                self._dialect.open_clock(connection, clock)
            self._opened = True

    def administer(self, work: Callable[[sa.Connection, Dialect], T], *, create: bool = False) -> T:
        """What ``work`` returns, on a connection to whatever schema there is: ``admin`` asks so."""
        with self._failures():
            self._dialect.prepare(create=create)
        with self._connection() as connection:
            return work(connection, self._dialect)

    def close(self) -> None:
        """Close the connections, if the engine is the store's own. Using it makes new ones."""
        with self._opening:
            self._opened = False
            self._dialect.close()
            if self._dialect.owned:
                self._dialect.engine.dispose()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections without closing them.

        They are kept, unused, to the child's end: were they collected, the server would be
        told that they are closed, and it has no way of knowing by whom.
        """
        self._inherited.append(self._dialect.engine.pool)
        self._dialect.engine.dispose(close=False)
        self._opening = threading.Lock()
        self._opened = False

    # -- batches -------------------------------------------------------------------------

    def begin(self, start: str) -> None:
        """Record a start; asked twice, its batches stay counted."""
        with self._connection() as connection:
            self._dialect.begin(connection)
            if self._statements.start.one(connection, (start,)) is None:
                self._statements.add_start.count(connection, (start, 0, *self._seen()))
            self._dialect.commit(connection)

    def apply(self, batch: Batch) -> bool:
        """Apply the batch once, in one transaction; durable when it returns."""
        dialect, statements = self._dialect, self._statements
        with self._connection() as connection:
            dialect.begin(connection)
            advance = (batch.number, batch.start, *self._seen())
            if not statements.advance.count(connection, advance):
                self._look_for(connection, batch.start)
                dialect.rollback(connection)
                return False
            loaded = load(connection, statements, batch.needs)
            changes = batch.decide(loaded.states, dialect.now(connection))
            Writes(loaded, changes).run(connection, statements)
            self._history.record(connection, changes.ended)
            if changes.notices:
                dialect.notify(connection, batch.start, changes.notices)
            dialect.commit(connection)
            return True

    def _look_for(self, connection: sa.Connection, start: str) -> None:
        if self._statements.start.one(connection, (start,)) is None:
            raise StartUnknown(f"start {start!r} is not recorded in {self._dialect.place}")

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
            rows = self._statements.get.rows(connection, (digest(key),))
            if rows:
                [state] = _snapshots(key.namespace, key.model_uuid, rows)
            else:
                state = LeaseState(key, self._statements.floor.one(connection))
            return state, self._dialect.now(connection)

    def leases(
        self, namespace: str | None, model_uuid: str | None
    ) -> tuple[list[LeaseState], Instant]:
        """The leases there, or everywhere, that have a tenure, an offer or pins."""
        if namespace is None or model_uuid is None:
            return self._leases_everywhere()
        place = (scope_of(namespace, model_uuid), namespace, model_uuid)
        with self._connection() as connection:
            rows = self._statements.list.rows(connection, place)
            return list(_snapshots(namespace, model_uuid, rows)), self._dialect.now(connection)

    def _leases_everywhere(self) -> tuple[list[LeaseState], Instant]:
        places: dict[tuple[str, str], list[Sequence[Any]]] = {}
        with self._connection() as connection:
            for *row, namespace, model in self._statements.list_all.rows(connection, ()):
                places.setdefault((namespace, model), []).append(row)
            states = [s for place, rows in places.items() for s in _snapshots(*place, rows)]
            return states, self._dialect.now(connection)

    def waiting(self, key: Key) -> list[Waiter]:
        """The whole queue of one lease, in order."""
        with self._connection() as connection:
            rows = self._statements.waiting.rows(connection, (digest(key),))
            return [to_waiter(row) for row in rows]

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        """What concerns that start: the offers to it, these leases, whether it is absent."""
        statements = self._statements
        with self._connection() as connection:
            offers = [
                (state.key, state.offer)
                for row in statements.offers.rows(connection, (start,))
                if (state := to_state(Key(*row[:3]), row[3:])).offer is not None
            ]
            states = self._peek_states(connection, keys)
            absent = statements.absent.one(connection, (start,)) is not None
            return Peek(offers, states, absent, self._dialect.now(connection))

    def _peek_states(self, connection: sa.Connection, keys: Sequence[Key]) -> list[LeaseState]:
        rows = list(self._statements.peek.run(connection, [digest(key) for key in keys]))
        found: dict[bytes, list[Sequence[Any]]] = {}
        for *row, key_hash in rows:
            found.setdefault(bytes(key_hash), []).append(row)
        states: list[LeaseState] = []
        for key in keys:
            there = found.get(digest(key))
            states += (
                _snapshots(key.namespace, key.model_uuid, there) if there else [LeaseState(key)]
            )
        return states

    def version(self) -> int | None:
        """A number that differs whenever another connection has committed since."""
        with self._failures():
            return self._dialect.version()

    def listen(self, start: str, heard: Heard) -> Listener | None:
        """Hear the notices of other starts, where the database can pass them on."""
        return self._dialect.listen(start, heard)

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
                connection, self._statements, self._history, now - idle_for, self._hand, limit
            )
            prune_starts(connection, self._statements, now, limit)
            self._dialect.commit(connection)
            self._hand = hand
            prune_history(connection, self._dialect, self._history, now, limit)
            return gone

    # -- connections ---------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """One connection for one call.

        What has not been committed when the block ends is rolled back; a connection whose state
        is unknown is thrown away. What the driver raises comes out as a failure that may pass,
        or as a ``StoreError``.
        """
        self._dialect.check_place()
        with self._failures():
            connection = self._engine.connect()
            try:
                yield connection
            except BaseException as error:
                self._undo(connection, error)
                raise
            finally:
                connection.close()

    def _undo(self, connection: sa.Connection, error: BaseException) -> None:
        if connection.invalidated:
            return
        try:
            if isinstance(error, Exception):
                self._dialect.rollback(connection)
                return
        except Exception:  # what is wrong has been said by ``error``
            pass
        connection.invalidate()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failure = self._dialect.failure(error)
            if failure is None:
                raise
            raise failure from error


def _snapshots(
    namespace: str, model_uuid: str, rows: Iterable[Sequence[Any]]
) -> Iterator[LeaseState]:
    """One state for each lease, from rows that have one pin, or none, each; in order."""
    leases: dict[str, tuple[Sequence[Any], list[str]]] = {}
    for row in rows:
        _, pins = leases.setdefault(row[0], (row[2:], []))
        if row[1] is not None:
            pins.append(row[1])
    for lease, (columns, pins) in leases.items():
        yield to_state(Key(namespace, model_uuid, lease), columns, tuple(pins))
