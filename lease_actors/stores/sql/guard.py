"""Guards: a transaction of the user's own, on the same database, depends on a tenure.

It locks, shared, what the store must lock before it gives the lease away, and the store passes
by what is locked: so nobody waits for a guard but whoever would take that lease. Where rows
cannot be locked (SQLite) it writes, and keeps everybody out until it ends.

Here statements run through the user's own connection, whatever its driver and its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from lease_actors.core.model import Key
from lease_actors.errors import NotHeld, NotValid, StoreError
from lease_actors.stores.base import StorePassing
from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.rows import digest
from lease_actors.stores.sql.schema import identity_query

__all__ = ["Guards"]

_PLAIN: Any = {"schema_translate_map": None}
"""The lease tables are where they are, wherever a connection has the user's own ones."""


class Guards:
    """Makes transactions depend on tenures of one store."""

    def __init__(
        self, dialect: Dialect, connect: Callable[[], AbstractContextManager[sa.Connection]]
    ) -> None:
        self._dialect, self._connect = dialect, connect
        tables = dialect.tables
        leases, tenure = tables.leases, tables.tenure
        here = leases.c.key_hash == sa.bindparam("hash")
        self._identity = identity_query(dialect)
        self._find = sa.select(leases.c.id).where(here)
        self._lock = (
            sa.select(tenure.c.term)
            .where(tenure.c.lease_id == sa.bindparam("id"))
            .with_for_update(read=True)
        )
        self._write = leases.update().values(term=leases.c.term).where(here)
        clock = dialect.clock_expression()
        self._look = sa.select(
            leases.c.term,
            leases.c.holder,
            leases.c.offer_start,
            leases.c.ending,
            leases.c.expiry,
            leases.c.pins,
            sa.null() if clock is None else clock,
        ).where(here)

    def guard(
        self,
        connection_or_session: Any,
        identity: tuple[Any, ...],
        key: Key,
        holder: str,
        term: int,
        certain: Callable[[], bool],
    ) -> None:
        """Return if that tenure stands, and it is given to nobody until the transaction ends.

        ``certain``: is it so by what the holder itself knows? A transaction that began before
        the last renewal cannot see it. Raises ``NotHeld``, ``NotValid`` where nothing could be
        held, and the driver's ``DBAPIError`` where the transaction is older than the tenure.
        ``StoreError``: the store's own connection failed where one was needed.
        """
        guard = _Guard(self._dialect, key, holder, term)
        connection = guard.connection_of(connection_or_session)
        guard.check_database(connection, self._identity, identity)
        here = {"hash": digest(key)}
        if self._dialect.locks_tenures:
            guard.check_writable(connection)
            self._lock_term(guard, connection, here, certain)
        else:
            guard.write(connection, self._write, here)
            guard.check_holding(connection)
            guard.judge(_first(connection, self._look, here), certain)

    def _lock_term(
        self,
        guard: _Guard,
        connection: sa.Connection,
        here: dict[str, Any],
        certain: Callable[[], bool],
    ) -> None:
        # Where to look at the lease would lock it, it is looked at from outside.
        outside = self._dialect.reads_lock(connection)

        def see(statement: sa.Select[Any]) -> Sequence[Any] | None:
            if outside:
                return self._see_outside(guard, statement, here)
            return _first(connection, statement, here)

        lease = see(self._find)
        # The term is compared here, not in a condition: at REPEATABLE READ one would look at
        # the past, and silently find nothing.
        locked = _first(connection, self._lock, {"id": lease and lease[0]})
        standing = locked and locked[0]
        row = see(self._look)
        if standing in (None, guard.term) and (row is None or guard.is_older(row)):
            # Either this is the past, or there is no such row any more: only others can tell.
            guard.judge(self._see_outside(guard, self._look, here), certain)
            raise guard.too_old(connection)
        if standing != guard.term:
            raise guard.not_held("its tenure has ended")
        guard.check_holding(connection)
        guard.judge(row, certain)

    def _see_outside(
        self, guard: _Guard, statement: sa.Select[Any], here: dict[str, Any]
    ) -> Sequence[Any] | None:
        """On a connection of the store's own: it locks nothing, and sees what is there now."""
        try:
            with self._connect() as own:
                return _first(own, statement, here)
        except StorePassing as error:
            raise guard.failed(error) from error


class _Guard:
    """One guard on its way: what is checked, and what is said if it fails."""

    def __init__(self, dialect: Dialect, key: Key, holder: str, term: int) -> None:
        self._dialect, self._key, self._holder, self.term = dialect, key, holder, term
        self._what = f"cannot guard a transaction with lease {key.lease!r} of holder {holder!r}"

    def connection_of(self, given: Any) -> sa.Connection:
        """The connection whose transaction it is; ``NotValid`` if it could hold nothing."""
        connection = given if isinstance(given, sa.Connection) else _connection_of_session(given)
        if connection is None:
            raise self._not_valid(
                f"{given!r} is not an SQLAlchemy Connection or Session"
                " (of an AsyncSession give its sync_session, in run_sync)"
            )
        if connection.closed:
            raise self._not_valid("the connection is closed")
        # Asked of the connection: a session knows only of the savepoints that are its own.
        if connection.in_nested_transaction():
            raise self._not_valid(
                "inside a savepoint, whose rollback would let go of it; guard before begin_nested()"
            )
        if connection.dialect.name not in self._dialect.names:
            raise self._not_valid(f"the connection leads to another database than {self.place}")
        return connection

    @property
    def place(self) -> str:
        return self._dialect.place

    def check_database(
        self, connection: sa.Connection, ask: sa.Select[Any], ours: tuple[Any, ...]
    ) -> None:
        """``NotValid`` unless the connection sees the very tables of the store."""
        try:
            found = tuple(_first(connection, ask) or ())
        except exc.DBAPIError as error:
            if error.orig is not None and self._dialect.is_missing(error.orig):
                raise self._not_valid(f"the lease tables of {self.place} are not there") from error
            raise
        if found != ours or not self._dialect.is_same_place(connection):
            raise self._not_valid(f"the connection leads to another database than {self.place}")

    def check_writable(self, connection: sa.Connection) -> None:
        """``NotValid`` in a read-only transaction, or on a read-only server."""
        # It changes nothing and locks nothing; but what may not write is told so.
        tenure = self._dialect.tables.tenure
        self._run(connection, tenure.update().values(term=tenure.c.term).where(sa.false()))

    def write(
        self, connection: sa.Connection, statement: sa.Update, arguments: dict[str, Any]
    ) -> None:
        """Write the row as it is: from now on nobody else writes anything."""
        self._run(connection, statement, arguments)

    def check_holding(self, connection: sa.Connection) -> None:
        """``NotValid`` if what has been locked, or written, is let go of by now."""
        if not self._dialect.is_holding(connection):
            raise self._not_valid("the connection is in autocommit mode, and holds nothing")

    def _run(
        self,
        connection: sa.Connection,
        statement: sa.Update,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        try:
            connection.execute(statement, arguments, execution_options=_PLAIN)
        except exc.DBAPIError as error:
            if error.orig is not None and self._dialect.is_read_only(error.orig):
                raise self._not_valid("the transaction is read-only, and holds nothing") from error
            raise

    def is_older(self, row: Sequence[Any]) -> bool:
        """Was the lease seen so before the tenure began, be it on offer?"""
        term, _, offered, *_ = row
        return bool(term < self.term or (term == self.term and offered is not None))

    def too_old(self, connection: sa.Connection) -> exc.DBAPIError:
        """The transaction sees the lease as it was before the tenure: what it has read may be old.

        The driver's own error of a failed serialisation, as the server would raise it.
        """
        message = f"{self._what}: the transaction began before the tenure; roll back, begin anew"
        dbapi: Any = connection.dialect.loaded_dbapi
        failure = self._dialect.serialization_failure(dbapi, message)
        return exc.OperationalError("guard", {}, failure)

    def judge(self, row: Sequence[Any] | None, certain: Callable[[], bool]) -> None:
        """``NotHeld`` unless this is the tenure, and it stands."""
        if row is None:
            raise self.not_held("its tenure has ended")
        term, holder, offered, ending, expiry, pins, now = row
        if (term, holder) != (self.term, self._holder) or offered is not None:
            raise self.not_held("its tenure has ended")
        if ending is not None:
            raise self.not_held("its tenure is ending")
        now = self._dialect.now(None) if now is None else now
        if not pins and expiry <= now and not certain():
            raise self.not_held("its time is over")

    def not_held(self, why: str) -> NotHeld:
        text = f"{self._what}: {why} (term {self.term}); roll back what depends on it"
        return NotHeld(text, key=self._key)

    def failed(self, error: StorePassing) -> StoreError:
        text = f"{self._what}: the store failed: {error}; roll back, and try again"
        return StoreError(text, key=self._key)

    def _not_valid(self, why: str) -> NotValid:
        return NotValid(f"{self._what}: {why}", key=self._key)


def _first(
    connection: sa.Connection, statement: sa.Select[Any], arguments: dict[str, Any] | None = None
) -> Sequence[Any] | None:
    return connection.execute(statement, arguments, execution_options=_PLAIN).first()


def _connection_of_session(given: Any) -> sa.Connection | None:
    """None: it is no session."""
    # Whoever has one has imported the ORM; who has none need not wait for it.
    from sqlalchemy import orm

    session = given() if isinstance(given, orm.scoped_session) else given
    return session.connection() if isinstance(session, orm.Session) else None
