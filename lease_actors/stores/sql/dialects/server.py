"""What database servers have in common: their clock, row locks, and connections that break."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.core.model import Instant
from lease_actors.errors import NotValid, StoreError
from lease_actors.stores.base import StorePassing
from lease_actors.stores.sql.dialects.base import Dialect, LockedElsewhere, Taken

__all__ = ["ServerDialect", "message"]


class ServerDialect(Dialect):
    """A server: it tells the time, and rows are locked one by one."""

    locks_tenures = True

    drivers: ClassVar[tuple[str, ...]]
    """The drivers that it works through, as SQLAlchemy names them; the first is the default."""

    @classmethod
    def complete(cls, url: sa.URL) -> sa.URL:
        """Without a driver's name it is the one that our extra brings: SQLAlchemy's default for
        the database may be another."""
        if "+" in url.drivername:
            return url
        return url.set(drivername=f"{url.drivername}+{cls.drivers[0]}")

    @classmethod
    def check_url(cls, url: sa.URL) -> None:
        if url.get_driver_name() not in cls.drivers:
            known = " or ".join(f"{url.get_backend_name()}+{name}" for name in cls.drivers)
            raise NotValid(
                f"cannot keep leases through the driver {url.get_driver_name()!r}: use {known}"
            )

    def prepare(self, *, create: bool) -> None:
        """The database itself is there, or connecting to it says what is wrong."""
        self.engine.connect().close()

    def open_clock(self, connection: sa.Connection, clock: Clock) -> None:
        """The server has the only clock."""

    def now(self, connection: sa.Connection | None) -> Instant:
        assert connection is not None
        expression = self.clock_expression()
        assert expression is not None
        return int(connection.execute(sa.select(expression)).scalar_one())

    # -- failures ------------------------------------------------------------------------

    def fail(
        self,
        code: str | int,
        text: str,
        *,
        taken: bool = False,
        locked: bool = False,
        passing: bool,
        advice: str | None,
    ) -> StorePassing | StoreError:
        """The failure with that code, as one of the kinds there are."""
        what = f"{self.place}: {text.strip()} ({code})"
        if taken:
            return Taken(what)
        if locked:
            return LockedElsewhere(what)
        if passing:
            return StorePassing(what)
        return StoreError(f"{what}: {advice or 'look at the error that this one was raised from'}")


def message(error: BaseException) -> Any:
    """The first line of what the server said: the others may quote statements."""
    return (str(error).splitlines() or [type(error).__name__])[0]
