"""SQLite: one writer at a time, the machine's clock, and a file that can go away.

Transactions are spelled out (``BEGIN IMMEDIATE`` … ``COMMIT``) on connections whose driver
begins none by itself: that is the same on every version of Python and SQLAlchemy.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from lease_actors.clock import Clock
from lease_actors.core.model import Instant
from lease_actors.errors import NotValid, StoreError
from lease_actors.stores.base import StorePassing
from lease_actors.stores.sql.compiled import Call
from lease_actors.stores.sql.dialects.base import Dialect, Options
from lease_actors.stores.sql.machine_time import MachineTime
from lease_actors.stores.sql.tables import Tables

__all__ = ["SqliteDialect"]

_ERROR, _BUSY, _LOCKED, _NOMEM, _READONLY, _INTERRUPT, _IOERR = 1, 5, 6, 7, 8, 9, 10
_CORRUPT, _FULL, _CANTOPEN, _PROTOCOL, _SCHEMA, _NOTADB = 11, 13, 14, 15, 17, 26
_READONLY_DBMOVED = 1032

_PASSING = frozenset({_BUSY, _LOCKED, _NOMEM, _INTERRUPT, _PROTOCOL, _SCHEMA})
_ADVICE = {
    _READONLY: "it is read-only; make the file and its directory writable for this user",
    _IOERR: "the disk failed to read or write; look at its health and the system's log",
    _CORRUPT: "the file is damaged; restore it from a backup, or put a new one in its place",
    _FULL: "the disk, or the database's page limit, is full; make room",
    _CANTOPEN: "the file cannot be opened; look at its path, its directory and their permissions",
    _NOTADB: "the file is not an SQLite database; give the path of one, or of none yet",
}


class SqliteDialect(Dialect):
    """A file on this machine. A guard is a write here: it keeps every batch out until it ends."""

    names = ("sqlite",)
    _time: MachineTime | None = None
    _file: str = ""
    _identity: tuple[int, int] | None = None

    def __init__(
        self, engine: sa.Engine, tables: Tables, place: str, options: Options, *, owned: bool
    ) -> None:
        super().__init__(engine, tables, place, options, owned=owned)
        self._file = _path(engine.url)
        self._watching = threading.Lock()
        self._watch: Any = None

    SYNCHRONOUS: ClassVar[frozenset[str]] = frozenset({"OFF", "NORMAL", "FULL", "EXTRA"})

    @classmethod
    def check_url(cls, url: sa.URL) -> None:
        """A database in memory is refused: every connection to it would see another one."""
        name = url.database or ""
        if url.host:  # a file was meant: SQLAlchemy takes what follows two slashes for a host
            raise NotValid(
                "cannot keep leases in an SQLite database on a host: for a file write three"
                " slashes, sqlite:///leases.db, or four, sqlite:////var/lib/leases.db"
            )
        if name in ("", ":memory:") or ":memory:" in name or url.query.get("mode") == "memory":
            raise NotValid(
                "cannot keep leases in an SQLite database in memory, of which every connection"
                " has its own: use MemoryStore(), or give the path of a file"
            )

    @classmethod
    def engine_options(cls, options: Options) -> Mapping[str, Any]:
        if options.synchronous.upper() not in cls.SYNCHRONOUS:
            known = ", ".join(sorted(cls.SYNCHRONOUS))
            raise NotValid(f"synchronous={options.synchronous!r} is none of {known}")
        return {
            "isolation_level": "AUTOCOMMIT",
            # The connection used last is the one whose cache is warm. Attempts that were given
            # up keep theirs, so the number has no bound.
            "pool_use_lifo": True,
            "max_overflow": -1,
            "connect_args": {"timeout": options.busy_timeout},
        }

    @classmethod
    def configure(cls, engine: sa.Engine, options: Options) -> None:
        synchronous = options.synchronous.upper()

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, record: Any) -> None:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA cache_size = -16384")  # 16 MiB

    # -- the file ------------------------------------------------------------------------

    def prepare(self, *, create: bool) -> None:
        """Find the file, or make it; its journal becomes a write-ahead log if it is ours: if we
        make tables in it, or have. That stays, and another program's is not to be changed."""
        directory = os.path.dirname(self._file)
        if self._file and not os.path.isdir(directory):
            raise StoreError(f"cannot open {self.place}: there is no directory {directory!r}")
        if self._file and not create and not os.path.exists(self._file):
            raise StoreError(
                f"cannot open {self.place}: there is no such file; create_schema=True makes it,"
                " and so does Manager.open"
            )
        if self._identity is not None and self._identity != _identity(self._file):
            self.engine.dispose()  # those connections lead to a file without a name
        with self.adapt(self.engine).connect() as connection:
            self._find(connection)
            if self.owned and (create or self._has_tables(connection)):
                self._use_log(connection)

    def _find(self, connection: sa.Connection) -> None:
        rows = connection.exec_driver_sql("PRAGMA database_list").fetchall()
        schema, there = self.tables.metadata.schema, [str(row[1]) for row in rows]
        if schema is not None and schema not in there:
            raise StoreError(
                f"cannot open {self.place}: it has no schema {schema!r}, only {', '.join(there)}:"
                " on SQLite that is a database attached to the connection; leave it out to use the"
                " file itself"
            )
        self._file = next(str(row[2] or "") for row in rows if row[1] == "main")
        if not self._file:
            self.check_url(sa.make_url("sqlite://"))
        self._identity = _identity(self._file)

    def _has_tables(self, connection: sa.Connection) -> bool:
        version = self.tables.version
        return sa.inspect(connection).has_table(version.name, schema=version.schema)

    def _use_log(self, connection: sa.Connection) -> None:
        """Readers and the writer pass each other by with a write-ahead log.

        The change fails at once while others work on the file, whatever the busy timeout; so
        wait for them in a transaction, and look again. Where there can be no such log (some
        network file systems) the database works without.
        """
        for _ in range(10):
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            if mode == "wal":
                return
            try:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
            except exc.DBAPIError as error:
                if _code(error.orig) & 0xFF not in (_BUSY, _LOCKED):
                    raise
            self.begin(connection)
            self.rollback(connection)

    def check_place(self) -> None:
        """One look at the file's inode: a deleted file takes commits that nobody will see."""
        if self._identity is not None and _identity(self._file) != self._identity:
            raise self._moved()

    def _moved(self) -> StoreError:
        return StoreError(
            f"the database {self.place} was deleted or replaced while it was in use:"
            " stop every manager that uses it, put the right file there, and open it again"
        )

    # -- transactions --------------------------------------------------------------------

    def begin(self, connection: sa.Connection) -> None:
        if not connection.in_transaction():
            connection.begin()  # as SQLAlchemy sees it; nothing is sent
        driver: Any = connection.connection.dbapi_connection
        if driver.in_transaction:
            driver.rollback()  # an event hook of the user's engine has begun one
        driver.execute("BEGIN IMMEDIATE")

    def together(self, connection: sa.Connection, calls: Sequence[Call]) -> list[Any]:
        driver: Any = connection.connection.dbapi_connection
        return [
            (driver.executemany if many else driver.execute)(text, arguments)
            for text, arguments, many in calls
        ]

    def commit(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.execute("COMMIT")
        except sqlite3.Error as error:
            if _code(error) & 0xFF == _IOERR:
                # What the log holds is found out when it is next read.
                raise StorePassing(f"{self.place}: the commit failed half-way") from error
            raise

    def rollback(self, connection: sa.Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        driver.rollback()

    # -- telling others ------------------------------------------------------------------

    def version(self) -> int | None:
        """``PRAGMA data_version``, on one connection that is kept for it and writes nothing."""
        with self._watching:
            if self._watch is None:
                pooled = self.engine.raw_connection()
                self._watch = pooled.driver_connection
                pooled.detach()  # ours from now on
            row = self._watch.execute("PRAGMA data_version").fetchone()
        return int(row[0])

    def close(self) -> None:
        with self._watching:
            if self._watch is not None:
                self._watch.close()
                self._watch = None

    # -- time ----------------------------------------------------------------------------

    def open_clock(self, connection: sa.Connection, clock: Clock) -> None:
        time = MachineTime.recorded(connection, self.tables, clock)
        if time is None:
            self.begin(connection)
            time = MachineTime.fix(connection, self.tables, clock)
            self.commit(connection)
        self._time = time

    def now(self, connection: sa.Connection | None) -> Instant:
        if self._time is None:
            raise StoreError(f"cannot tell the time of {self.place}: open(clock) the store first")
        return self._time.now()

    # -- guards --------------------------------------------------------------------------

    def is_same_place(self, connection: sa.Connection) -> bool:
        rows = connection.exec_driver_sql("PRAGMA database_list").fetchall()
        file = next(str(row[2] or "") for row in rows if row[1] == "main")
        return _identity(file) is not None and _identity(file) == self._identity

    def is_holding(self, connection: sa.Connection) -> bool:
        driver: Any = connection.connection.driver_connection
        return bool(driver.in_transaction)

    def is_missing(self, error: BaseException) -> bool:
        return _code(error) == _ERROR  # a missing table has no code of its own

    def is_read_only(self, error: BaseException) -> bool:
        return _code(error) & 0xFF == _READONLY

    # -- failures ------------------------------------------------------------------------

    def classify(self, error: BaseException) -> StorePassing | StoreError:
        code = _code(error)
        primary = code & 0xFF
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if code == _READONLY_DBMOVED:
            return self._moved()
        if code == 0 or primary in _PASSING:
            return StorePassing(f"{self.place}: {error} ({name})")
        advice = _ADVICE.get(primary, "look at the error that this one was raised from")
        return StoreError(f"{self.place}: {error} ({name}): {advice}")


def _code(error: BaseException | None) -> int:
    """SQLite's extended code; 0 if the driver itself complains, about a closed connection say."""
    return int(getattr(error, "sqlite_errorcode", 0))


def _path(url: sa.URL) -> str:
    name = url.database or ""
    return "" if not name or name.startswith("file:") else os.path.abspath(name)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
