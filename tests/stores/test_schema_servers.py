"""The schema on database servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from stores.schemas import PREFIX, SchemaCases, drop, snapshot

from lease_actors import Manager
from lease_actors.clock import SystemClock
from lease_actors.errors import StoreError
from lease_actors.stores import SqlStore
from lease_actors.stores.sql import admin
from lease_actors.testing.cases.starts import Start


class ServerCases(SchemaCases):
    """What only servers can do."""

    def test_the_printed_script_makes_the_same(self, engine: sa.Engine) -> None:
        admin.init(engine, table_prefix=PREFIX)
        made = snapshot(engine)
        drop(engine)
        run_script(engine, admin.ddl(engine, table_prefix=PREFIX))
        for name, described in snapshot(engine).items():
            assert described == made.pop(name)
        assert made == {}

    def test_it_can_be_in_a_schema_of_the_database(self, engine: sa.Engine) -> None:
        name = f"{engine.url.database}_sub"
        try:
            assert admin.init(engine, schema=name) == admin.check(engine, schema=name)
            store = SqlStore(engine, schema=name)
            store.open(SystemClock())
            assert Start(store).claim().term == 1
            store.close()
            with pytest.raises(StoreError, match="no lease tables"):
                admin.check(engine)
        finally:
            with engine.connect() as connection:
                connection.execute(sa.schema.DropSchema(name, cascade=self.cascade))
                connection.commit()

    cascade = False


class TestOnPostgresql(ServerCases):
    cascade = True

    @pytest.fixture
    def engine(self, postgresql_url: sa.URL) -> Iterator[sa.Engine]:
        engine = sa.create_engine(postgresql_url)
        yield engine
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        engine.dispose()

    def test_who_may_not_make_tables_takes_the_script(
        self, engine: sa.Engine, postgresql_url: sa.URL
    ) -> None:
        """And needs no more afterwards than what its comment says."""
        run(engine, "DROP ROLE IF EXISTS the_user", "CREATE ROLE the_user LOGIN")
        run(engine, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is from PostgreSQL 15
        url = postgresql_url.set(username="the_user")
        try:
            with pytest.raises(StoreError, match=r"cannot make the lease tables.*db ddl"):
                Manager.open(str(url))
            script = admin.ddl("postgresql")
            run_script(engine, script)
            grants = [line[2:] for line in script.splitlines() if "GRANT" in line]
            run(engine, *grants)
            with Manager.open(str(url)) as manager:
                assert manager.claimer("ns").claim("db", "me", 10).term == 1
                store = SqlStore(url)
                store.open(SystemClock())
                store.set_history(1000)
                manager.revoker("ns").revoke("db", "me")
                store.prune(0)
                store.close()
        finally:
            run(engine, "DROP OWNED BY the_user", "DROP ROLE the_user")


class TestOnMariadb(ServerCases):
    transactional = False
    url = "mariadb_url"

    @pytest.fixture
    def engine(self, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
        engine = sa.create_engine(request.getfixturevalue(self.url))
        yield engine
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        engine.dispose()


class TestOnMysql(TestOnMariadb):
    url = "mysql_url"


def run_script(engine: sa.Engine, script: str) -> None:
    """As a client for people would: statement by statement."""
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    run(engine, *(s for s in "\n".join(lines).split(";") if s.strip()))


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            connection.exec_driver_sql(statement)
