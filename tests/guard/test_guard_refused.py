"""Where a guard could hold nothing it says so, before anything depends on it."""

from __future__ import annotations

import pickle
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from guard.desks import LONG, PLACES, SERVERS, Desk, laid_out
from sqlalchemy import orm

from lease_actors import Manager, ManagerConfig, MemoryStore, NotValid, SqlStore

everywhere = pytest.mark.parametrize("desk", PLACES, indirect=True)


@everywhere
def test_autocommit(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    free = desk.user.execution_options(isolation_level="AUTOCOMMIT")
    with free.connect() as connection, pytest.raises(NotValid, match="autocommit"):
        lease.guard(connection)
    always = sa.create_engine(desk.user.url, isolation_level="AUTOCOMMIT")
    with always.connect() as connection, pytest.raises(NotValid, match="autocommit"):
        lease.guard(connection)
    always.dispose()


class Silent(psycopg.Connection[Any]):
    """As asyncpg, through SQLAlchemy: whoever asks is not told that it is in autocommit."""

    @property
    def autocommit(self) -> bool:
        return False


@pytest.mark.parametrize("desk", ["postgresql-READ COMMITTED"], indirect=True)
def test_autocommit_of_which_the_driver_says_nothing(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    arguments = desk.user.dialect.create_connect_args(desk.user.url)[1]
    silent = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: Silent.connect(**arguments, autocommit=True)
    )
    with silent.connect() as connection, pytest.raises(NotValid, match="autocommit"):
        lease.guard(connection)
    silent.dispose()


@everywhere
def test_a_savepoint(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with (
        desk.user.begin() as connection,
        connection.begin_nested(),
        pytest.raises(NotValid, match="savepoint"),
    ):
        lease.guard(connection)


@everywhere
def test_a_savepoint_of_the_connection_that_a_session_is_on(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    refused = pytest.raises(NotValid, match="savepoint")
    with desk.user.begin() as connection:
        joined = orm.Session(connection, join_transaction_mode="create_savepoint")
        with joined as session, refused:
            lease.guard(session)
        with connection.begin_nested(), orm.Session(connection) as session, refused:
            lease.guard(session)
        with orm.Session(connection) as session:
            with session.begin_nested(), refused:
                lease.guard(session)
            lease.guard(session)


@everywhere
@pytest.mark.parametrize("wrong", [None, "db", 42, object()])
def test_no_connection(desk: Desk, wrong: object) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with pytest.raises(NotValid, match="not an SQLAlchemy Connection or Session"):
        lease.guard(wrong)


@everywhere
def test_a_connection_that_is_closed(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    connection = desk.user.connect()
    connection.close()
    with pytest.raises(NotValid, match="closed"):
        lease.guard(connection)


@everywhere
def test_another_database(desk: Desk, tmp_path: Path) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with laid_out(f"sqlite:///{tmp_path / 'another.db'}", "SERIALIZABLE") as elsewhere:
        elsewhere.claimer.claim("db", "alice", LONG)
        there = elsewhere.user.begin()
        with there as connection, pytest.raises(NotValid, match="another database"):
            lease.guard(connection)


ONE_OF_EACH_SERVER = [place for place in SERVERS if place.endswith("READ COMMITTED")]


@pytest.mark.parametrize("desk", ONE_OF_EACH_SERVER, indirect=True)
def test_a_copy_of_the_database(desk: Desk, request: pytest.FixtureRequest) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    meta = sa.table("lease_meta", sa.column("name"), sa.column("value"))
    identity = meta.c.name == "identity"
    with desk.user.connect() as connection:
        drawn = connection.execute(sa.select(meta.c.value).where(identity)).scalar_one()
    servers = request.getfixturevalue(request.node.callspec.params["desk"].partition("-")[0])
    with servers.fresh() as url, laid_out(url, "READ COMMITTED") as copy:
        copy.claimer.claim("db", "alice", LONG)
        with copy.user.begin() as connection:
            connection.execute(sa.update(meta).where(identity).values(value=drawn))
        with copy.user.begin() as connection, pytest.raises(NotValid, match="another database"):
            lease.guard(connection)


@pytest.mark.parametrize("desk", ["mariadb-READ COMMITTED", "mysql-READ COMMITTED"], indirect=True)
def test_but_not_the_same_tables_from_another_database_of_the_server(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    servers = request.getfixturevalue(request.node.callspec.params["desk"].partition("-")[0])
    with servers.fresh() as url:
        store = SqlStore(url, schema=desk.user.url.database)
        with Manager(ManagerConfig(store)) as manager, desk.user.begin() as connection:
            manager.claimer("ns").claim("db", "alice", LONG).guard(connection)


@everywhere
def test_a_lease_that_was_pickled(desk: Desk) -> None:
    lease = pickle.loads(pickle.dumps(desk.claimer.claim("db", "alice", LONG)))
    with desk.user.begin() as connection, pytest.raises(NotValid, match="pickled"):
        lease.guard(connection)


def test_leases_in_memory() -> None:
    engine = sa.create_engine("sqlite://")
    with Manager(ManagerConfig(MemoryStore())) as manager, engine.begin() as connection:
        lease = manager.claimer("ns").claim("db", "alice", LONG)
        with pytest.raises(NotValid, match="not kept in a SQL database"):
            lease.guard(connection)
    engine.dispose()


@pytest.mark.parametrize("desk", SERVERS, indirect=True)
def test_a_read_only_transaction(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.connect() as connection:
        if desk.user.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        else:
            connection.exec_driver_sql("START TRANSACTION READ ONLY")
        with pytest.raises(NotValid, match="read-only"):
            lease.guard(connection)


@pytest.mark.parametrize("desk", ["sqlite-SERIALIZABLE"], indirect=True)
def test_a_read_only_file(desk: Desk, tmp_path: Path) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    url = f"sqlite:///file:{tmp_path / 'leases.db'}?mode=ro&uri=true"
    reader = sa.create_engine(url)
    with reader.connect() as connection, pytest.raises(NotValid, match="read-only"):
        lease.guard(connection)
    reader.dispose()


@everywhere
def test_a_database_without_the_lease_tables(
    desk: Desk, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with ExitStack() as stack:
        url: str | sa.URL = f"sqlite:///{tmp_path / 'empty.db'}"
        if desk.user.name != "sqlite":
            servers = request.getfixturevalue(
                request.node.callspec.params["desk"].partition("-")[0]
            )
            url = stack.enter_context(servers.fresh())
        empty = sa.create_engine(url)
        stack.callback(empty.dispose)
        connection = stack.enter_context(empty.connect())
        with pytest.raises(NotValid, match=r"the lease tables of .* are not there"):
            lease.guard(connection)


@pytest.mark.parametrize("desk", ONE_OF_EACH_SERVER, indirect=True)
def test_a_database_of_another_kind(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    other = sa.create_engine("sqlite://")
    with other.connect() as connection, pytest.raises(NotValid, match="another database"):
        lease.guard(connection)
    other.dispose()
