"""What differs between databases, as one small class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import exc

from lease_actors.clock import Clock
from lease_actors.core.model import Instant, Notice
from lease_actors.errors import StoreError
from lease_actors.stores.base import Heard, Listener, StorePassing
from lease_actors.stores.sql.compiled import Call
from lease_actors.stores.sql.tables import Tables

__all__ = ["Dialect", "LockedElsewhere", "Options", "Taken"]


class LockedElsewhere(StorePassing):
    """Somebody else keeps a row locked for longer than anybody waits."""


class Taken(StorePassing):
    """Somebody else has just made that row."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a store connects, where the engine is its own."""

    busy_timeout: float = 5.0
    synchronous: str = "FULL"
    lock_timeout: float = 0.25
    reply_timeout: float = 10.0


class Dialect(ABC):
    """One database as a store sees it; made for one engine, and told what it is about.

    Everything here is called with a connection of the store's own, from any thread.
    """

    locks_tenures: ClassVar[bool] = False
    """Whether ``tenure`` is kept and locked, so that guards and batches pass each other by.
    Where a guard is a plain write, nothing of it is ever seen."""

    names: ClassVar[tuple[str, ...]]
    """What SQLAlchemy calls this kind of database."""

    asks_ahead: ClassVar[bool] = False
    """Whether a round trip saved is worth a statement that may find nothing to do."""

    def __init__(
        self, engine: sa.Engine, tables: Tables, place: str, options: Options, *, owned: bool
    ) -> None:
        self.engine = engine
        self.tables = tables
        self.place = place
        self.options = options
        self.owned = owned

    @classmethod
    def complete(cls, url: sa.URL) -> sa.URL:
        """The URL with what it leaves open."""
        return url

    @classmethod  # noqa: B027
    def check_url(cls, url: sa.URL) -> None:
        """Refuse (``NotValid``) a URL that a store cannot be kept under."""

    @classmethod
    @abstractmethod
    def engine_options(cls, options: Options) -> Mapping[str, Any]:
        """How an engine of the store's own is to be made."""

    @classmethod  # noqa: B027
    def configure(cls, engine: sa.Engine, options: Options) -> None:
        """Have the connections of an engine of the store's own set up as they are made."""

    def adapt(self, engine: sa.Engine) -> sa.Engine:
        """The engine as the store uses it. Transactions are spelled out, with their isolation level,
        on connections of any setting."""
        return engine if self.owned else engine.execution_options(isolation_level="AUTOCOMMIT")

    def clock_expression(self) -> sa.ColumnElement[int] | None:
        """The server's time at that very statement; None where time is the machine's."""
        return None

    def check_place(self) -> None:  # noqa: B027
        """Raise ``StoreError`` if the database is not what was opened. Before every use, cheap."""

    @abstractmethod
    def prepare(self, *, create: bool) -> None:
        """Look at the database, or make it, before its schema is looked at."""

    @abstractmethod
    def begin(self, connection: sa.Connection) -> None:
        """Begin a transaction that will write."""

    def begin_schema(self, connection: sa.Connection) -> None:
        """Begin the transaction that makes the tables; only one process has it at a time."""
        self.begin(connection)

    def opening(self, connection: sa.Connection) -> list[Call]:
        """Begin the transaction of a batch, or say what does, to be sent with what comes next."""
        self.begin(connection)
        return []

    def together(self, connection: sa.Connection, calls: Sequence[Call]) -> list[Any]:
        """Run these in order, and return their cursors; in one round trip where that can be."""
        driver: Any = connection.connection.dbapi_connection
        return [call.run_on(driver.cursor()) for call in calls]

    def finish(self, connection: sa.Connection, calls: Sequence[Call]) -> None:
        """Run these, and commit."""
        self.together(connection, calls)
        self.commit(connection)

    @abstractmethod
    def commit(self, connection: sa.Connection) -> None:
        """Commit; ``StorePassing`` if nobody can say whether it was."""

    @abstractmethod
    def rollback(self, connection: sa.Connection) -> None:
        """Roll back."""

    @abstractmethod
    def open_clock(self, connection: sa.Connection, clock: Clock) -> None:
        """Be ready to tell the time."""

    @abstractmethod
    def now(self, connection: sa.Connection | None) -> Instant:
        """The store's time. A server is asked through the connection; others need none."""

    # -- telling others ------------------------------------------------------------------

    def recognise(self, identity: tuple[Any, ...]) -> None:  # noqa: B027
        """The tables that were opened are those of that identity."""

    def version(self) -> int | None:
        """A number that differs whenever another connection has committed since; None: no cheap
        one is to be had."""
        return None

    def notify(self, start: str, notices: Sequence[Notice]) -> list[Call]:
        """What tells the listeners of other starts, once this transaction is committed."""
        return []

    def listen(self, start: str, heard: Heard) -> Listener | None:
        """Hear what other starts tell; None: nobody can here."""
        return None

    def close(self) -> None:  # noqa: B027
        """Let go of connections that are not in the engine's pool."""

    @abstractmethod
    def classify(self, error: BaseException) -> StorePassing | StoreError:
        """What the driver's error means for whoever waits: by its code, never by its text."""

    def failure(self, error: BaseException) -> StorePassing | StoreError | None:
        """What the error means, or None if it did not come from the database."""
        if isinstance(error, exc.TimeoutError):
            return StorePassing(f"no connection to {self.place} came free in time")
        dialect = self.engine.dialect
        if isinstance(error, exc.DBAPIError):
            lost, driver_error = error.connection_invalidated, error.orig
        elif dialect.loaded_dbapi is not None and isinstance(error, dialect.loaded_dbapi.Error):
            lost, driver_error = dialect.is_disconnect(error, None, None), error
        else:
            return None
        if lost or driver_error is None:
            return StorePassing(f"the connection to {self.place} was lost")
        return self.classify(driver_error)

    @contextmanager
    def translating(self) -> Iterator[None]:
        """What the driver raises in the block comes out as what it means."""
        try:
            yield
        except Exception as error:
            self.translate(error)
            raise

    def translate(self, error: BaseException) -> None:
        """Raise what the driver's error means; return if it did not come from the database."""
        failure = self.failure(error)
        if failure is not None:
            raise failure from error

    def is_lost(self, error: BaseException) -> bool:
        """Does the error mean that the connection is gone, and others of the pool with it?"""
        return False

    # -- guards: on connections of the user's ----------------------------------------------

    def database_expression(self) -> sa.ColumnElement[Any]:
        """The name of the database in which a connection finds the tables; NULL: it says nothing."""
        return sa.null()

    def is_same_place(self, connection: sa.Connection) -> bool:
        """Is it no copy that the connection leads to?"""
        return True

    def reads_lock(self, connection: sa.Connection) -> bool:
        """Does a plain SELECT in that transaction lock what it reads?"""
        return False

    @abstractmethod
    def is_holding(self, connection: sa.Connection) -> bool:
        """Is what that connection has just locked, or written, kept until it commits?

        Not all drivers say whether they begin transactions, and SQLAlchemy does not know of all
        settings: so what has come of it is looked at.
        """

    @abstractmethod
    def is_missing(self, error: BaseException) -> bool:
        """Is there no such table?"""

    @abstractmethod
    def is_read_only(self, error: BaseException) -> bool:
        """Was something refused because the transaction, or the server, may not write?"""

    def serialization_failure(self, dbapi: Any, text: str) -> BaseException:
        """What the driver raises when a transaction cannot be put in order with the others."""
        error: BaseException = dbapi.OperationalError(text)
        return error
