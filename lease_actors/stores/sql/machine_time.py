"""The store's time where the database has none of its own: the machine's, immune to steps.

The store's time is the machine's steady time plus an offset. The first opener after a boot
fixes the offset, in a write transaction, so that the store's time begins at the wall clock's
and never below an instant already recorded; everybody else who opens during that boot takes
it over. Steps of the wall clock after that reach nobody.
"""

from __future__ import annotations

import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.core.model import Instant
from lease_actors.stores.sql.tables import Tables

__all__ = ["MachineTime"]


class MachineTime:
    """A clock and its offset to the store's time, in one boot of the machine."""

    __slots__ = ("_ahead", "_clock")

    def __init__(self, clock: Clock, ahead: int) -> None:
        self._clock, self._ahead = clock, ahead

    def now(self) -> Instant:
        return self._clock.steady() + self._ahead

    @classmethod
    def recorded(
        cls, connection: sa.Connection, tables: Tables, clock: Clock
    ) -> MachineTime | None:
        """As the database has it for this boot; None if it has not, or it is of an older boot.

        Where boots have no names, a boot is new if its time would begin below what was
        recorded in the one before.
        """
        rows = tables.clock
        ahead = connection.execute(
            sa.select(rows.c.ahead).where(rows.c.boot_id == clock.boot_id)
        ).scalar()
        if ahead is None:
            return None
        time = cls(clock, ahead)
        if not clock.boot_id and time.now() < _highest(connection, tables):
            return None
        return time

    @classmethod
    def fix(cls, connection: sa.Connection, tables: Tables, clock: Clock) -> MachineTime:
        """As the database has it, or fixed now. Within a write transaction of the caller's."""
        time = cls.recorded(connection, tables, clock)
        if time is not None:
            return time
        steady = clock.steady()
        began = max(clock.wall(), _highest(connection, tables))
        rows = tables.clock
        connection.execute(rows.delete().where(rows.c.boot_id == clock.boot_id))
        connection.execute(
            rows.insert().values(boot_id=clock.boot_id, ahead=began - steady, began=began)
        )
        return cls(clock, began - steady)


def _highest(connection: sa.Connection, tables: Tables) -> Instant:
    seen = connection.execute(sa.select(sa.func.max(tables.starts.c.seen))).scalar()
    began = connection.execute(sa.select(sa.func.max(tables.clock.c.began))).scalar()
    return max(seen or 0, began or 0)
