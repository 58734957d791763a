"""The store in PostgreSQL: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from support.servers import Databases

from lease_actors.clock import Clock
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.conformance import StoreConformance


class TestPostgresqlStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _in(self, postgresql: Databases) -> None:
        self.url, self.prefix = postgresql.shared()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)


class TestPostgresqlStoreOnAnEngine(StoreConformance):
    """The same on an engine of the user's, whose own transactions are SERIALIZABLE."""

    @pytest.fixture(autouse=True)
    def _in(self, postgresql: Databases) -> Iterator[None]:
        url, self.prefix = postgresql.shared()
        self.engine = sa.create_engine(url, isolation_level="SERIALIZABLE")
        yield
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        self.engine.dispose()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.engine, create_schema=True, table_prefix=self.prefix)


class TestPostgresqlStoreThroughPgbouncer(StoreConformance):
    """The same through PgBouncer in transaction mode."""

    @pytest.fixture(autouse=True)
    def _in(self, postgresql: Databases, pgbouncer: Callable[[sa.URL], sa.URL]) -> None:
        url, self.prefix = postgresql.shared()
        self.url = pgbouncer(url)

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)
