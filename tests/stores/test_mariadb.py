"""The store in MariaDB: the suite for all stores, on engines of all kinds."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from stores.on_servers import ByUrl, OnAnEngine

from lease_actors.core.model import Key
from lease_actors.stores import SqlStore
from lease_actors.testing.cases.starts import Start
from lease_actors.testing.clock import FakeClock


class TestMariadbStore(ByUrl):
    kind = "mariadb"


class TestMariadbStoreOnAnEngine(OnAnEngine):
    kind, level = "mariadb", "REPEATABLE READ"


@pytest.mark.parametrize("owned", [True, False], ids=["own engine", "user's engine"])
def test_every_batch_has_its_limits_and_no_session_keeps_those_of_a_user(
    mariadb_url: sa.URL, owned: bool
) -> None:
    engine = sa.create_engine(mariadb_url, pool_size=1, max_overflow=0)
    store = SqlStore(mariadb_url if owned else engine, create_schema=True)
    store.open(FakeClock())
    names = "@@innodb_lock_wait_timeout, @@idle_transaction_timeout, @@max_statement_time"
    seen: list[Any] = []
    finish = store._dialect.finish

    def look(connection: sa.Connection, calls: Any) -> None:
        seen.append(tuple(connection.exec_driver_sql(f"SELECT {names}").one()))
        finish(connection, calls)

    store._dialect.finish = look  # type: ignore[method-assign]
    Start(store).claim()
    assert seen == [(1, 2, 5)]
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT {names}").one() == (50, 0, 0)
    store.close()
    engine.dispose()


def test_settings_under_which_no_table_could_be_made_are_others_alone(mariadb_url: sa.URL) -> None:
    theirs = "SET SESSION sql_safe_updates = 1, sql_mode = 'ANSI_QUOTES,EMPTY_STRING_IS_NULL'"
    url = mariadb_url.update_query_dict({"init_command": theirs})
    store = SqlStore(url, create_schema=True)
    store.open(FakeClock())
    key = Key("ns", "", "lease")
    assert Start(store).claim(key).term == 1
    store.prune(0)
    assert store.get(key)[0].term == 1
    with store._connections.one() as connection:
        assert "ANSI_QUOTES" in str(connection.exec_driver_sql("SELECT @@sql_mode").scalar())
    store.close()
