"""The store in PostgreSQL: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from stores.on_servers import ByUrl, OnAnEngine
from support.connections import assert_all_given_back
from support.servers import Databases

from lease_actors.clock import Clock
from lease_actors.core.operations import Claim, Revoke
from lease_actors.errors import StoreError
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.cases.starts import DURATION, Start, named
from lease_actors.testing.clock import FakeClock
from lease_actors.testing.conformance import StoreConformance


class TestPostgresqlStore(ByUrl):
    kind = "postgresql"


class TestPostgresqlStoreOnAnEngine(OnAnEngine):
    kind, level = "postgresql", "SERIALIZABLE"


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
    assert_all_given_back(store)
    store.close()


def test_statements_are_prepared_only_where_the_session_stays(
    postgresql_url: sa.URL, pgbouncer: Callable[[sa.URL], sa.URL]
) -> None:
    found = []
    for url in (postgresql_url, pgbouncer(postgresql_url)):
        store = SqlStore(url, create_schema=True)
        store.open(FakeClock())
        Start(store).claim()
        with store._connections.one() as connection:
            driver: Any = connection.connection.driver_connection
            found.append(bool(driver.prepared))
        store.close()
    assert found == [True, False]


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through PgBouncer"])
def test_every_batch_has_its_limits_and_its_level_whatever_the_databases_own(
    postgresql: Databases,
    postgresql_url: sa.URL,
    pgbouncer: Callable[[sa.URL], sa.URL],
    through: bool,
) -> None:
    for setting in ("default_transaction_isolation = 'repeatable read'", "lock_timeout = '9s'"):
        postgresql.sql(f"ALTER DATABASE {postgresql_url.database} SET {setting}")
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


def test_who_makes_the_tables_may_stand_still_for_longer_than_a_batch(
    postgresql_url: sa.URL,
) -> None:
    store = SqlStore(postgresql_url, create_schema=True)

    @event.listens_for(store.engine, "before_cursor_execute")
    def stand_still(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("INSERT INTO lease_meta") and not stood.is_set():
            stood.set()
            time.sleep(2.5)  # by the server's clock, a batch would be over after two seconds

    stood = threading.Event()
    store.open(FakeClock())
    assert stood.is_set()
    assert Start(store).claim().term == 1
    store.close()


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through PgBouncer"])
def test_a_batch_finds_its_rows_by_their_keys_however_little_the_server_knows_of_the_tables(
    postgresql_url: sa.URL, pgbouncer: Callable[[sa.URL], sa.URL], through: bool
) -> None:
    store = SqlStore(pgbouncer(postgresql_url) if through else postgresql_url, create_schema=True)
    store.open(FakeClock())
    start = Start(store)
    names = [named(f"lease-{n}") for n in range(600)]  # no statistics are gathered of so few, yet
    for first in range(0, len(names), 200):
        start.ask(*(Claim(key, "holder", DURATION) for key in names[first : first + 200]))
    before = _read_in_order(store)
    for _ in range(8):  # a prepared statement is planned anew the first five times
        for kind in (Claim, Revoke):
            more = (DURATION,) if kind is Claim else ()
            start.ask(*(kind(key, "holder", *more) for key in names[:32]))
    assert _read_in_order(store) - before < len(names)
    store.close()


def _read_in_order(store: SqlStore) -> int:
    """How many rows of the tables were read by going through them from the first to the last."""
    with store.engine.connect() as connection:
        if connection.dialect.server_version_info >= (15,):  # before, it is told at every commit
            connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        connection.commit()
        read = connection.exec_driver_sql(
            "SELECT sum(seq_tup_read) FROM pg_stat_user_tables"
            " WHERE relname IN ('lease_leases', 'lease_tenure')"
        ).scalar_one()
        connection.rollback()
        return int(read)
