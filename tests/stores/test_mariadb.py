"""The store in MariaDB and MySQL: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.conformance import StoreConformance


class TestMariadbStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _in(self, mariadb_url: sa.URL) -> None:
        self.url = mariadb_url

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True)


class TestMariadbStoreOnAnEngine(StoreConformance):
    """The same on an engine of the user's, whose own transactions are REPEATABLE READ."""

    @pytest.fixture(autouse=True)
    def _in(self, mariadb_url: sa.URL) -> Iterator[None]:
        url = mariadb_url.set(drivername="mysql+pymysql")
        self.engine = sa.create_engine(url, isolation_level="REPEATABLE READ")
        yield
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        self.engine.dispose()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.engine, create_schema=True, table_prefix="app_")


class TestMysqlStore(StoreConformance):
    """The same in MySQL, where one is named."""

    @pytest.fixture(autouse=True)
    def _in(self, mysql_url: sa.URL) -> None:
        self.url = mysql_url

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True)
