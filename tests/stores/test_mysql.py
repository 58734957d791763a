"""The store in MySQL: the suite for all stores, on engines of both kinds."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from stores.on_servers import ByUrl, OnAnEngine
from support.servers import Databases

from lease_actors.stores import SqlStore
from lease_actors.testing.cases.starts import KEY, Start
from lease_actors.testing.clock import FakeClock


class TestMysqlStore(ByUrl):
    kind = "mysql"


class TestMysqlStoreOnAnEngine(OnAnEngine):
    kind, level = "mysql", "REPEATABLE READ"


@pytest.mark.parametrize("owned", [True, False], ids=["own engine", "user's engine"])
def test_every_batch_has_its_limits_and_they_are_lifted_however_it_ends(
    mysql_url: sa.URL, owned: bool
) -> None:
    engine = sa.create_engine(mysql_url, pool_size=1, max_overflow=0)
    store = SqlStore(mysql_url if owned else engine, create_schema=True)
    store.open(FakeClock())
    start, seen = Start(store), [limits(store)]
    assert seen == [(1 if owned else 50, DEFAULT)]
    finish = store._dialect.finish

    def look(connection: sa.Connection, calls: Any) -> None:
        seen.append(tuple(connection.exec_driver_sql(LIMITS).one()))
        finish(connection, calls)

    store._dialect.finish = look  # type: ignore[method-assign]
    start.claim()
    seen.append(limits(store))
    with pytest.raises(ZeroDivisionError):
        start.run({}, lambda states, now: 1 // 0)
    seen.append(limits(store))
    assert seen[1:] == [(1, 2), seen[0], seen[0]]
    store.close()
    engine.dispose()


def test_no_transaction_is_left_open_where_the_server_commits_nothing_by_itself(
    mysql: Databases, mysql_url: sa.URL
) -> None:
    store = SqlStore(mysql_url, create_schema=True)
    mysql.sql("SET GLOBAL autocommit = 0")
    try:
        store.open(FakeClock())
        store.get(KEY)
    finally:
        mysql.sql("SET GLOBAL autocommit = 1")
    with store._connections.one() as connection:
        ours = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar()
    engine = sa.create_engine(mysql_url)
    with engine.connect() as connection:
        text = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx"
        standing = connection.exec_driver_sql(text).scalars().all()
    engine.dispose()
    store.close()
    assert ours not in standing


LIMITS = "SELECT @@innodb_lock_wait_timeout, @@wait_timeout"
DEFAULT = 28_800


def limits(store: SqlStore) -> tuple[int, ...]:
    """Those of the connection on which the last batch was."""
    store._connections.let_go()  # to the pool, which gives it out first
    with store.engine.connect() as connection:
        return tuple(connection.exec_driver_sql(LIMITS).one())
