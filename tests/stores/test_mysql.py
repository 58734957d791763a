"""The store in MySQL 8, where one is named: none can be installed beside MariaDB."""

from __future__ import annotations

import os

import pytest
from support.servers import Databases

from lease_actors.clock import Clock
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.conformance import StoreConformance


def test_there_is_a_mysql_to_test_with(mysql: Databases) -> None:
    mysql.sql("SELECT 1")


if "LEASE_ACTORS_TEST_MYSQL_URL" in os.environ:  # else that one test says what is missing

    class TestMysqlStore(StoreConformance):
        @pytest.fixture(autouse=True)
        def _in(self, mysql: Databases) -> None:
            self.url, self.prefix = mysql.shared()

        def make_store(self, clock: Clock) -> Store:
            return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)
