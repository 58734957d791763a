"""PostgreSQL, through psycopg 3, directly or through a pooler in transaction mode.

Nothing is kept in a session: every transaction sets its own limits and isolation level. Two round
trips make a batch in which nobody waits: what locks, and what writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from lease_actors.core.model import Notice
from lease_actors.errors import StoreError
from lease_actors.stores.base import Heard, Listener, StorePassing
from lease_actors.stores.sql.compiled import Call
from lease_actors.stores.sql.dialects.base import Options
from lease_actors.stores.sql.dialects.postgresql_notices import PostgresqlListener, notify
from lease_actors.stores.sql.dialects.server import ServerDialect, message

__all__ = ["PostgresqlDialect"]

_SCHEMA_TRIES = 12
_SCHEMA_LOCK = int.from_bytes(b"leases")
"""An advisory lock's name is a number, and is of one database."""
_FOR_TABLES = 600.0
"""Seconds that a statement may take which makes or changes tables."""
_TAKEN = "23505"
_LOCKED = "55P03"
_MISSING = frozenset({"3F000", "42P01"})  # no such schema, no such table
_PASSING_CLASSES = ("08", "40", "57")
"""Connections; rollbacks by the server (deadlock, serialisation); intervention: it shuts down,
starts up, or a statement took too long."""
_PASSING = frozenset(
    {
        "25006",  # read-only: a standby, just after a fail-over
        "25P03",  # this process stood still in a transaction
        "25P04",
        "26000",  # a pooler has given us another session
        "53200",  # out of memory
        "53300",  # too many connections
        "55006",  # in use: the database is being made, or moved
        "55P04",
        "58000",
        "72000",
    }
)
_GONE = frozenset({"25P03", "26000"})
"""Connections of no more use: to a session that was ended, or that is not the one it was."""
_ADVICE = {
    "28": "the server does not let this user in; look at its password, and at pg_hba.conf",
    "3D": "there is no such database; create it",
    "3F": "there is no such schema; create it, or give another",
    "42501": "this user lacks a privilege; grant it, or make the tables as an administrator",
    "42P01": "a table is missing; create_schema=True makes them, and so does Manager.open",
    "53100": "the disk is full; make room",
    "53": "the server has run out of something; look at its log",
    "58030": "the disk failed to read or write; look at the server's log",
    "XX": "the server's data is damaged, or it has a bug; look at its log",
}


class PostgresqlDialect(ServerDialect):
    """A PostgreSQL server of version 13 or later."""

    names = ("postgresql",)
    drivers = ("psycopg",)
    asks_ahead = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        from lease_actors.stores.sql.dialects import psycopg_connection

        self._psycopg = psycopg_connection
        settings = _settings(self.options).items()
        local = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings)
        self._set = Call(f"SELECT {local}")
        self._channel = ""

    @classmethod
    def engine_options(cls, options: Options) -> Mapping[str, Any]:
        return {
            "isolation_level": "AUTOCOMMIT",
            "pool_use_lifo": True,
            "max_overflow": -1,
            "pool_reset_on_return": None,  # every transaction is ended as it is
            "connect_args": {
                "connect_timeout": max(2, round(options.reply_timeout)),
                "client_encoding": "utf8",
            },
        }

    @classmethod
    def configure(cls, engine: sa.Engine, options: Options) -> None:
        from lease_actors.stores.sql.dialects.psycopg_connection import Setup, connect

        settings = "; ".join(f"SET {n} = {v}" for n, v in _settings(options).items())
        setup = Setup(options.reply_timeout, settings)

        @event.listens_for(engine, "do_connect")
        def do_connect(dialect: object, record: object, args: Any, kwargs: Any) -> Any:
            return connect(setup, *args, **kwargs)

    def clock_expression(self) -> sa.ColumnElement[int]:
        # clock_timestamp(), as now() is as old as the transaction.
        return sa.literal_column(
            "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)", sa.BigInteger
        )

    # -- transactions --------------------------------------------------------------------

    def begin(self, connection: sa.Connection) -> None:
        self.together(connection, self.opening(connection))

    def begin_schema(self, connection: sa.Connection) -> None:
        """Two CREATE TABLE IF NOT EXISTS at once fail, and two CREATE SCHEMA: hence one lock for all
        who make tables in this database, whatever they call them."""
        if not connection.in_transaction():
            connection.begin()
        patience = max(500, round(self.options.reply_timeout * 500))
        still = patience * _SCHEMA_TRIES // 2  # half as long as the others wait for it
        for _ in range(_SCHEMA_TRIES):
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
            connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {still}")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {patience}")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            try:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
                self._be_patient(connection, _FOR_TABLES)
                return
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCKED:
                    raise
            self.rollback(connection)
        raise StorePassing(f"{self.place}: somebody else is making the tables")

    def opening(self, connection: sa.Connection) -> list[Call]:
        # Where the session may be anybody's all is set for this transaction alone.
        if self._psycopg.is_direct(connection.connection.dbapi_connection):
            return [_BEGIN]
        return [_BEGIN, self._set]

    def together(self, connection: sa.Connection, calls: Sequence[Call]) -> list[Any]:
        """In one round trip. The first that fails is what is raised."""
        if not calls:
            return []
        driver: Any = connection.connection.dbapi_connection
        return list(self._psycopg.exchange(driver, calls))

    def finish(self, connection: sa.Connection, calls: Sequence[Call]) -> None:
        self.together(connection, [*calls, _COMMIT])

    def commit(self, connection: sa.Connection) -> None:
        _COMMIT.run(connection)
        self._be_patient(connection, self.options.reply_timeout)

    def rollback(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        driver.rollback()
        self._be_patient(connection, self.options.reply_timeout)

    def _be_patient(self, connection: sa.Connection, seconds: float) -> None:
        """So long may a statement take; only connections of our own know of that."""
        driver: Any = connection.connection.dbapi_connection
        if getattr(driver, "patience", None) is not None:
            driver.patience = seconds

    # -- telling others ------------------------------------------------------------------

    def recognise(self, identity: tuple[Any, ...]) -> None:
        # Not by the schema: a manager may name the one that another leaves to its connection.
        tables = f"{identity}.{self.tables.leases.name}"
        self._channel = "lease_" + hashlib.sha256(tables.encode()).hexdigest()[:16]

    def notify(self, start: str, notices: Sequence[Notice]) -> list[Call]:
        return notify(self._channel, start, notices)

    def listen(self, start: str, heard: Heard) -> Listener | None:
        return PostgresqlListener(self.engine, self._channel, start, heard)

    # -- guards --------------------------------------------------------------------------

    def database_expression(self) -> sa.ColumnElement[Any]:
        return sa.func.current_database()

    def is_holding(self, connection: sa.Connection) -> bool:
        # To lock a row takes a number, which a transaction keeps, and another does not have yet.
        ask = sa.select(sa.func.pg_current_xact_id_if_assigned().is_not(None))
        return bool(connection.execute(ask).scalar())

    def is_missing(self, error: BaseException) -> bool:
        return _code(error) in _MISSING

    def is_read_only(self, error: BaseException) -> bool:
        return _code(error) == "25006"

    def serialization_failure(self, dbapi: Any, text: str) -> BaseException:
        kinds = getattr(dbapi, "errors", dbapi)  # psycopg has a class for each code
        kind = getattr(kinds, "SerializationFailure", dbapi.OperationalError)
        error: BaseException = kind(text)
        return error

    # -- failures ------------------------------------------------------------------------

    def is_lost(self, error: BaseException) -> bool:
        code = getattr(error, "sqlstate", "")
        if code is None:
            return _is_operational(error)
        return code[:2] == "08" or code[:3] == "57P" or code in _GONE

    def classify(self, error: BaseException) -> StorePassing | StoreError:
        code = getattr(error, "sqlstate", None)
        if code is None:
            # What libpq says by itself is of the connection; anything else psycopg says is not.
            code, passing = type(error).__name__, _is_operational(error)
        else:
            passing = code in _PASSING or code[:2] in _PASSING_CLASSES
        return self.fail(
            code,
            message(error),
            taken=code == _TAKEN,
            locked=code == _LOCKED,
            passing=passing,
            advice=_ADVICE.get(code) or _ADVICE.get(code[:2]),
        )


_BEGIN, _COMMIT = Call("BEGIN ISOLATION LEVEL READ COMMITTED"), Call("COMMIT")


def _settings(options: Options) -> dict[str, int | str]:
    """What a transaction may take, in milliseconds: for a lock, for a statement, standing still.
    And how it finds its rows: by their keys, whatever the server believes about the tables."""
    return {
        "lock_timeout": max(1, round(options.lock_timeout * 1000)),  # 0 would be without limit
        "statement_timeout": 5000,
        "idle_in_transaction_session_timeout": 2000,
        # It does not know how many rows a batch is, nor, in a new table, how many there are, and
        # read the whole table to change 32 of its rows: ten times as long with 10,000 leases.
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_seqscan": "off",
        # Before PostgreSQL 18 what is off only costs much: so much that it would be compiled.
        "jit": "off",
    }


def _code(error: BaseException) -> str | None:
    said = error.args[0] if error.args else None
    fields = said if isinstance(said, dict) else {}  # pg8000 has it among them
    code: str | None = getattr(error, "sqlstate", getattr(error, "pgcode", fields.get("C")))
    return code


def _is_operational(error: BaseException) -> bool:
    return any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
