"""The store in MariaDB and MySQL: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from support.servers import Databases

from lease_actors.clock import Clock
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.conformance import StoreConformance


class TestMariadbStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _in(self, mariadb: Databases) -> None:
        self.url, self.prefix = mariadb.shared()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)


class TestMariadbStoreOnAnEngine(StoreConformance):
    """The same on an engine of the user's, whose own transactions are REPEATABLE READ."""

    @pytest.fixture(autouse=True)
    def _in(self, mariadb: Databases) -> Iterator[None]:
        url, self.prefix = mariadb.shared()
        url = url.set(drivername="mysql+pymysql")
        self.engine = sa.create_engine(url, isolation_level="REPEATABLE READ")
        yield
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        self.engine.dispose()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.engine, create_schema=True, table_prefix=self.prefix)


class TestMysqlStore(StoreConformance):
    """The same in MySQL, where one is named."""

    @pytest.fixture(autouse=True)
    def _in(self, mysql: Databases) -> None:
        self.url, self.prefix = mysql.shared()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)
