"""Where a guard is tried: an engine, an isolation level of the user's, and a manager."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from support.managers import Calling

from lease_actors import Claimer, Manager, ManagerConfig, Revoker, SqlStore

NS = "ns"
LONG = 3600
SHORT = 1.0
PATIENCE = 20.0

LEVELS = {
    "sqlite": ["SERIALIZABLE"],
    "postgresql": ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
    "mariadb": ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
    "mysql": ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
}
PLACES = [f"{engine}-{level}" for engine, levels in LEVELS.items() for level in levels]
UNCOMMITTED = [f"{engine}-READ UNCOMMITTED" for engine in ("postgresql", "mariadb", "mysql")]
SNAPSHOTS = [
    *("postgresql-REPEATABLE READ", "postgresql-SERIALIZABLE"),
    *("mariadb-REPEATABLE READ", "mysql-REPEATABLE READ"),
]
"""Where a transaction goes on seeing what it saw first. (SERIALIZABLE reads with locks on the
others.)"""
SERVERS = [place for place in PLACES if not place.startswith("sqlite")]


class Desk(NamedTuple):
    """One database: the lease manager on it, and the user's own engine with a table of its own."""

    manager: Manager
    user: sa.Engine
    table: sa.Table

    @property
    def claimer(self) -> Claimer:
        return self.manager.claimer(NS)

    @property
    def revoker(self) -> Revoker:
        return self.manager.revoker(NS)

    def check(self, lease: str, holder: str) -> None:
        self.manager.checker(NS).token(lease, holder).check()

    def write(self, connection: Any, who: str) -> None:
        """The write that must depend on the lease."""
        connection.execute(self.table.insert().values(who=who))

    def written(self) -> list[str]:
        with self.user.connect() as connection:
            query = sa.select(self.table.c.who).order_by(self.table.c.id)
            return list(connection.execute(query).scalars())

    def waits_for(self, lease: str, holder: str, duration: float = LONG) -> Calling:
        """A claim in a thread, which has its place in the queue when this returns."""
        waiters = self.manager.reader(NS)
        before = len(waiters.waiting(lease))
        call = Calling(self.claimer.claim, lease, holder, duration, wait=None)
        while len(waiters.waiting(lease)) == before and call.is_alive():
            call.join(0.002)
        return call


@contextmanager
def laid_out(url: str | sa.URL, level: str, **fields: Any) -> Iterator[Desk]:
    table = sa.Table(
        "users_own",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("who", sa.String(40)),
    )
    user = sa.create_engine(url, isolation_level=level)
    table.metadata.create_all(user)
    try:
        store = SqlStore(url, create_schema=True)
        with Manager(ManagerConfig(store, **fields)) as manager:
            yield Desk(manager, user, table)
    finally:
        user.dispose()
