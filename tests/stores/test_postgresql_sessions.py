"""What the store's sessions on PostgreSQL keep, and what the server takes from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from support.managers import until
from support.servers import Databases

from lease_actors.core.model import LeaseState
from lease_actors.stores import SqlStore
from lease_actors.testing.cases.starts import KEY, Start
from lease_actors.testing.clock import FakeClock


@pytest.fixture
def store(postgresql_url: sa.URL) -> Iterator[SqlStore]:
    store = SqlStore(postgresql_url, create_schema=True)
    store.open(FakeClock())
    yield store
    store.close()


def test_reads_and_failed_batches_take_no_prepared_statement_away(store: SqlStore) -> None:
    """psycopg, left to itself, gives up all of a session's once it has prepared one and rolls back."""
    start = Start(store)

    def fail(states: Any, now: int) -> Any:
        raise ZeroDivisionError

    for _ in range(2):
        start.claim()
        for _ in range(10):
            store.now()
        with pytest.raises(ZeroDivisionError):
            start.run({}, fail)
    start.claim()


def test_a_batch_that_stands_still_is_ended_by_the_server(
    store: SqlStore, postgresql_url: sa.URL, postgresql: Databases
) -> None:
    """Its process was stopped, say, just after it had locked a lease; others wait no longer."""
    Start(store).write(LeaseState(KEY))
    engine = store.engine
    dialect, statements = store._dialect, store._statements
    with engine.connect() as connection:
        lock = statements.lock_leases.calls([b"\0" * 32])
        dialect.together(connection, [*dialect.opening(connection), *lock])
        driver: Any = connection.connection.driver_connection
        query = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {driver.info.backend_pid}"
        other = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
        with other.connect() as watcher:
            until(lambda: watcher.exec_driver_sql(query).scalar() == 0, "the end of its session")
        other.dispose()
        connection.invalidate()
