"""The store in PostgreSQL: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.conformance import StoreConformance


class TestPostgresqlStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _in(self, postgresql_url: sa.URL) -> None:
        self.url = postgresql_url

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True)


class TestPostgresqlStoreOnAnEngine(StoreConformance):
    """The same on an engine of the user's, whose own transactions are SERIALIZABLE."""

    @pytest.fixture(autouse=True)
    def _in(self, postgresql_url: sa.URL) -> Iterator[None]:
        self.engine = sa.create_engine(postgresql_url, isolation_level="SERIALIZABLE")
        yield
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        self.engine.dispose()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.engine, create_schema=True, table_prefix="app_")


class TestPostgresqlStoreThroughPgbouncer(StoreConformance):
    """The same through PgBouncer in transaction mode."""

    @pytest.fixture(autouse=True)
    def _in(self, postgresql_url: sa.URL, pgbouncer: Callable[[sa.URL], sa.URL]) -> None:
        self.url = pgbouncer(postgresql_url)

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True)
