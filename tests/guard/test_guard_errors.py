"""What goes wrong while a guard is on its way is told by the user's own driver, as it is."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa
from guard.desks import LONG, NS, SERVERS, Desk
from sqlalchemy import exc

from lease_actors import Manager, ManagerConfig, SqlStore, StoreError

on_servers = pytest.mark.parametrize("desk", SERVERS, indirect=True)
reads_lock = ["mariadb-SERIALIZABLE", "mysql-SERIALIZABLE"]


@on_servers
def test_a_row_that_somebody_has_locked(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    limits = {"postgresql": "lock_timeout = 50"}
    locked = sa.select(sa.table("lease_tenure", sa.column("term"))).with_for_update()
    with desk.user.connect() as other, desk.user.connect() as connection:
        other.execute(locked).all()
        connection.exec_driver_sql(
            "SET " + limits.get(desk.user.name, "innodb_lock_wait_timeout = 1")
        )
        with pytest.raises(exc.OperationalError) as caught:
            lease.guard(connection)
        assert isinstance(caught.value.orig, connection.dialect.loaded_dbapi.OperationalError)
        other.rollback()
        connection.rollback()
        lease.guard(connection)


@pytest.mark.parametrize("desk", ["postgresql-READ COMMITTED"], indirect=True)
def test_a_transaction_that_an_earlier_error_has_aborted(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.connect() as connection:
        with pytest.raises(exc.DBAPIError):
            connection.exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(exc.DBAPIError) as caught:
            lease.guard(connection)
        assert isinstance(caught.value.orig, psycopg.errors.InFailedSqlTransaction)
        connection.rollback()
        lease.guard(connection)


@pytest.mark.parametrize("desk", reads_lock, indirect=True)
def test_but_if_the_stores_own_connection_fails_the_store_has_failed(desk: Desk) -> None:
    engine = sa.create_engine(
        desk.user.url, isolation_level="SERIALIZABLE", pool_size=2, max_overflow=0, pool_timeout=0.5
    )
    with Manager(ManagerConfig(SqlStore(engine))) as manager:
        lease = manager.claimer(NS).claim("db", "alice", LONG)
        failed = pytest.raises(StoreError, match=r"lease 'db' of holder 'alice'.*try again")
        with engine.connect() as connection, engine.connect(), failed:
            lease.guard(connection)
    engine.dispose()
