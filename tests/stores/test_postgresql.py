"""The store in PostgreSQL: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from support.servers import Databases

from lease_actors.clock import Clock
from lease_actors.errors import StoreError
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.cases.starts import Start, named
from lease_actors.testing.clock import FakeClock
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

    hears = False

    @pytest.fixture(autouse=True)
    def _in(self, postgresql: Databases, pgbouncer: Callable[[sa.URL], sa.URL]) -> None:
        url, self.prefix = postgresql.shared()
        self.url = pgbouncer(url)

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)


def test_a_name_that_cannot_be_written_leaves_the_connection_as_it_was(
    postgresql_url: sa.URL,
) -> None:
    store = SqlStore(postgresql_url, create_schema=True)
    store.open(FakeClock())
    start = Start(store)
    for name in ("half a pair: \ud83d", "nothing: \0"):
        with pytest.raises((UnicodeEncodeError, StoreError)):
            start.claim(named("x"), holder=name)
    assert start.claim(named("x")).term == 1
    assert store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    store.close()


def test_statements_are_prepared_only_where_the_session_stays(
    postgresql_url: sa.URL, pgbouncer: Callable[[sa.URL], sa.URL]
) -> None:
    found = []
    for url in (postgresql_url, pgbouncer(postgresql_url)):
        store = SqlStore(url, create_schema=True)
        store.open(FakeClock())
        Start(store).claim()
        with store.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            found.append(bool(driver.prepared))
        store.close()
    assert found == [True, False]


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through PgBouncer"])
def test_every_batch_has_its_limits(
    postgresql_url: sa.URL, pgbouncer: Callable[[sa.URL], sa.URL], through: bool
) -> None:
    store = SqlStore(pgbouncer(postgresql_url) if through else postgresql_url, create_schema=True)
    store.open(FakeClock())
    seen: list[Any] = []
    finish = store._dialect.finish

    def look(connection: sa.Connection, calls: Any) -> None:
        for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            seen.append(connection.exec_driver_sql(f"SHOW {name}").scalar())
        seen.append(connection.exec_driver_sql("SHOW transaction_isolation").scalar())
        finish(connection, calls)

    store._dialect.finish = look  # type: ignore[method-assign]
    Start(store).claim()
    assert seen == ["250ms", "5s", "2s", "read committed"]
    store.close()
