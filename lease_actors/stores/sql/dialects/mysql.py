"""MariaDB and MySQL, through PyMySQL or mysqlclient.

Where the connections are the store's own and PyMySQL's, statements that do not need each other's
answers travel together.

On connections of the store's own the isolation level and the limits are set once; only MySQL's limit
on standing still is set, and lifted, with each transaction. On those of an engine handed in all of
it is, and is put back after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from lease_actors.errors import NotValid, StoreError
from lease_actors.stores.base import StorePassing
from lease_actors.stores.sql.compiled import Call
from lease_actors.stores.sql.dialects.base import Options
from lease_actors.stores.sql.dialects.server import ServerDialect, message

__all__ = ["MysqlDialect"]

_SCHEMA_TRIES = 12
_STATEMENT_SECONDS = 5
_STILL_SECONDS = 2
_TAKEN = 1062
_DEADLOCK = 1213
_READ_ONLY = frozenset({1290, 1792, 1836})
_MISSING = frozenset({1046, 1049, 1146})  # no database, no such database, no such table
_LOCKED = frozenset({1205, 3572})
_LOST = frozenset({0, 1053, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031})
_PASSING = _LOST | {
    1020,  # the record has changed (under innodb_snapshot_isolation)
    1040,  # too many connections
    1047,  # a Galera node that is not ready
    1180,  # an error while committing, in Galera a conflict
    1203,  # too many connections of this user
    1206,  # too many locks
    1213,  # deadlock
    1290,  # read-only: a replica, just after a fail-over
    1317,  # interrupted
    1412,  # the table was changed
    1637,  # too many transactions
    1792,  # read-only
    1836,  # read-only
    1969,  # the statement took too long
    2002,
    2003,
    3024,
}
_ADVICE = {
    1021: "the disk is full; make room",
    1044: "this user may not use that database; grant it",
    1045: "the server does not let this user in; look at its name and password",
    1049: "there is no such database; create it",
    1114: "the disk, or the table space, is full; make room",
    1142: "this user lacks a privilege; grant it, or make the tables as an administrator",
    1146: "a table is missing; create_schema=True makes them, and so does Manager.open",
    1273: "the server does not know that collation; MariaDB 10.6 and MySQL 8.0.17 do",
    1698: "the server does not let this user in; look at its name and password",
}
_BEGIN, _COMMIT = Call("START TRANSACTION"), Call("COMMIT")
# MySQL has no limit on transactions that stand still, only one on connections that do, and those in
# the pool may.
_HURRY = Call(f"SET SESSION wait_timeout = {_STILL_SECONDS}")
_REST = Call("SET SESSION wait_timeout = DEFAULT")
_WANTED = {
    "autocommit": 1,  # PyMySQL believes that it is, and sets nothing where the server's is 0
    "sql_safe_updates": 0,  # no statement of ours is one by mistake
}
# There '' would be NULL, in this very statement, too.
_EMPTY_IS_NOT_NULL = (
    "SET SESSION sql_mode = REPLACE(@@sql_mode, 'EMPTY_STRING_IS_NULL', 'STRICT_TRANS_TABLES')"
)
_KEPT, _LOCK = "lease_limits", "lease_lock"
"""What is to be put back, or given up, when the transaction ends."""


class MysqlDialect(ServerDialect):
    """A MariaDB server of version 10.6 or later, or MySQL 8."""

    names = ("mysql", "mariadb")
    drivers = ("pymysql", "mysqldb")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pymysql: Any = None
        if self.owned and self.engine.driver == "pymysql":
            from lease_actors.stores.sql.dialects import pymysql_connection

            self._pymysql = pymysql_connection

    @classmethod
    def engine_options(cls, options: Options) -> Mapping[str, Any]:
        patience = max(1, round(options.reply_timeout))
        return {
            "isolation_level": "AUTOCOMMIT",
            "pool_use_lifo": True,
            "max_overflow": -1,
            "pool_reset_on_return": None,  # one round trip; every transaction is ended as it is
            "connect_args": {
                "charset": "utf8mb4",
                "connect_timeout": patience,
                "read_timeout": patience,
                "write_timeout": patience,
            },
        }

    @classmethod
    def configure(cls, engine: sa.Engine, options: Options) -> None:
        if engine.driver == "pymysql":
            from lease_actors.stores.sql.dialects.pymysql_connection import allow_many

            @event.listens_for(engine, "do_connect")
            def do_connect(dialect: object, record: object, args: Any, kwargs: Any) -> None:
                allow_many(kwargs)

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                cursor.execute(f"SET SESSION {_assignments(_WANTED)}")
                if _is_mariadb(connection):
                    cursor.execute(_EMPTY_IS_NOT_NULL)
                limits = _limits(connection, options)
                limits.pop("wait_timeout", None)  # MySQL's goes around each transaction
                cursor.execute(f"SET SESSION {_assignments(limits)}")

    def prepare(self, *, create: bool) -> None:
        super().prepare(create=create)
        # As the server says: the driver may know of one that the URL does not name.
        if self.engine.dialect.default_schema_name is None and self.tables.metadata.schema is None:
            raise NotValid(
                f"cannot keep leases in {self.place}, which names no database of that server: write"
                " it behind the host's name, as in mariadb://user@host/database, or give schema"
            )

    def clock_expression(self) -> sa.ColumnElement[int]:
        # In UTC, as in local time one hour of the year comes twice.
        return sa.literal_column(
            "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))", sa.BigInteger
        )

    # -- transactions --------------------------------------------------------------------

    def begin(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        with driver.cursor() as cursor:
            if self.owned:
                for call in _before(driver):
                    cursor.execute(call.text)
                return
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            limits = _limits(driver, self.options)
            kept = ", ".join(f"@lease_{name} = @@SESSION.{name}" for name in limits)
            cursor.execute(f"SET {kept}, SESSION {_assignments(limits)}")
            connection.info[_KEPT] = limits
            cursor.execute(_BEGIN.text)

    def begin_schema(self, connection: sa.Connection) -> None:
        """DDL commits by itself here: the lock is the session's, and given up at the end."""
        lock = self._schema_lock(connection)
        ask = f"SELECT GET_LOCK('{lock}', {max(0.5, self.options.reply_timeout / 2)})"
        for _ in range(_SCHEMA_TRIES):
            if connection.exec_driver_sql(ask).scalar() == 1:
                connection.info[_LOCK] = lock
                self._allow_time(connection, 0)
                return
        raise StorePassing(f"{self.place}: somebody else is making the tables")

    def _schema_lock(self, connection: sa.Connection) -> str:
        """The same for these tables whatever address leads to them: locks are the server's. In lower
        case, as some servers take a name in any; and hashed, as a lock's may be 64 characters."""
        database = self.tables.metadata.schema
        if database is None:
            database = connection.exec_driver_sql("SELECT DATABASE()").scalar()
        name = f"{database}.{self.tables.leases.name}".lower()
        return "lease_" + hashlib.sha256(name.encode()).hexdigest()[:32]

    def opening(self, connection: sa.Connection) -> list[Call]:
        if self._pymysql is not None:
            return _before(connection.connection.dbapi_connection)
        self.begin(connection)
        return []

    def together(self, connection: sa.Connection, calls: Sequence[Call]) -> list[Any]:
        if self._pymysql is None or not calls:
            return super().together(connection, calls)
        return list(self._pymysql.exchange(connection.connection.dbapi_connection, calls))

    def finish(self, connection: sa.Connection, calls: Sequence[Call]) -> None:
        if self._pymysql is not None:
            after = _after(connection.connection.dbapi_connection)
            self.together(connection, [*calls, _COMMIT, *after])
        else:
            super().finish(connection, calls)

    def commit(self, connection: sa.Connection) -> None:
        self._end(connection, "COMMIT")

    def rollback(self, connection: sa.Connection) -> None:
        self._end(connection, "ROLLBACK")

    def _end(self, connection: sa.Connection, how: str) -> None:
        driver: Any = connection.connection.dbapi_connection
        with driver.cursor() as cursor:
            cursor.execute(how)
            if self.owned:
                for call in _after(driver):
                    cursor.execute(call.text)
            if kept := connection.info.pop(_KEPT, None):
                values = {name: f"@lease_{name}" for name in kept}
                cursor.execute(f"SET SESSION {_assignments(values)}")
            if lock := connection.info.pop(_LOCK, None):
                cursor.execute(f"SELECT RELEASE_LOCK('{lock}')")
                self._allow_time(connection, _STATEMENT_SECONDS)

    def _allow_time(self, connection: sa.Connection, seconds: int) -> None:
        """So long may a statement take; 0: without limit, as for those that change tables."""
        driver: Any = connection.connection.dbapi_connection
        if self.owned and _is_mariadb(driver):
            with driver.cursor() as cursor:
                cursor.execute(f"SET SESSION max_statement_time = {seconds}")

    # -- guards --------------------------------------------------------------------------

    def database_expression(self) -> sa.ColumnElement[Any]:
        # With a schema given the tables are there, whatever database a connection has as its own.
        # In lower case, as some servers take a name in any, and give it back as it was written.
        schema = self.tables.metadata.schema
        return sa.null() if schema is not None else sa.func.lower(sa.func.database())

    def reads_lock(self, connection: sa.Connection) -> bool:
        return connection.get_isolation_level() == "SERIALIZABLE"

    def is_holding(self, connection: sa.Connection) -> bool:
        return bool(connection.exec_driver_sql("SELECT @@autocommit = 0").scalar())

    def is_missing(self, error: BaseException) -> bool:
        return _code(error) in _MISSING

    def is_read_only(self, error: BaseException) -> bool:
        return _code(error) in _READ_ONLY

    def serialization_failure(self, dbapi: Any, text: str) -> BaseException:
        error: BaseException = dbapi.OperationalError(_DEADLOCK, text)
        return error

    # -- failures ------------------------------------------------------------------------

    def is_lost(self, error: BaseException) -> bool:
        return _code(error) in _LOST

    def classify(self, error: BaseException) -> StorePassing | StoreError:
        code = _code(error)
        return self.fail(
            code,
            message(error),
            taken=code == _TAKEN,
            locked=code in _LOCKED,
            passing=code in _PASSING,
            advice=_ADVICE.get(code),
        )


def _code(error: BaseException) -> int:
    """The server's or the driver's number; 0: the driver, of a connection that it has closed."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else -1


def _is_mariadb(driver: Any) -> bool:
    return "MariaDB" in driver.get_server_info()


def _before(driver: Any) -> list[Call]:
    """What begins a transaction on a connection of the store's own."""
    return [_BEGIN] if _is_mariadb(driver) else [_HURRY, _BEGIN]


def _after(driver: Any) -> list[Call]:
    """What is said after its end."""
    return [] if _is_mariadb(driver) else [_REST]


def _limits(driver: Any, options: Options) -> dict[str, Any]:
    """What a transaction may take, in seconds: for a lock, and standing still."""
    limits: dict[str, Any] = {"innodb_lock_wait_timeout": max(1, round(options.lock_timeout))}
    if _is_mariadb(driver):
        still = {"idle_transaction_timeout": _STILL_SECONDS}
        return limits | still | {"max_statement_time": _STATEMENT_SECONDS}
    return limits | {"wait_timeout": _STILL_SECONDS}


def _assignments(values: Mapping[str, Any]) -> str:
    """After ``SET SESSION``."""
    return ", SESSION ".join(f"{name} = {value}" for name, value in values.items())
