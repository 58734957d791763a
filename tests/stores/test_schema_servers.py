"""The schema on database servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from stores.schemas import PREFIX, SchemaCases, drop, snapshot
from support.servers import Databases

from lease_actors import Manager
from lease_actors.clock import SystemClock
from lease_actors.errors import NotValid, StoreError
from lease_actors.stores import SqlStore, StorePassing
from lease_actors.stores.sql import admin
from lease_actors.stores.sql.dialects import Dialect, MysqlDialect, PostgresqlDialect
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

    @pytest.mark.parametrize("suffix", ["sub", "100%sure%%s"])
    def test_it_can_be_in_a_schema_of_the_database(self, engine: sa.Engine, suffix: str) -> None:
        name = f"{engine.url.database}_{suffix}"
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

    @pytest.mark.parametrize("way", range(3))
    def test_tables_are_made_by_one_at_a_time_by_whatever_way_they_come(
        self, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, way: int
    ) -> None:
        monkeypatch.setattr(sys.modules[self.dialect.__module__], "_SCHEMA_TRIES", 1)
        url, names = self.ways(engine.url)[way]
        first, second = SqlStore(engine), SqlStore(url, reply_timeout=2, **names)
        with first._connections.one() as connection:
            first._dialect.begin_schema(connection)
            with pytest.raises(StorePassing, match="somebody else is making the tables"):
                second.administer(lambda c, dialect: dialect.begin_schema(c))
            first._dialect.rollback(connection)
        second.administer(begin_and_end)
        second.close()
        first.close()

    cascade = False
    dialect: ClassVar[type[Dialect]]

    def ways(self, url: sa.URL) -> list[tuple[sa.URL, dict[str, Any]]]:
        """To the tables, or to others that cannot be made beside them."""
        raise NotImplementedError


class TestOnPostgresql(ServerCases):
    cascade = True
    dialect = PostgresqlDialect

    def ways(self, url: sa.URL) -> list[tuple[sa.URL, dict[str, Any]]]:
        # Two prefixes may be about to make one schema.
        return [(url, {}), (url, {"schema": "public"}), (url, {"table_prefix": "other_"})]

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
    dialect = MysqlDialect

    def ways(self, url: sa.URL) -> list[tuple[sa.URL, dict[str, Any]]]:
        assert url.database is not None
        return [
            (url.set(host="localhost"), {}),
            (url.set(drivername=url.drivername.replace("mariadb", "mysql")), {}),
            (url.set(database="mysql"), {"schema": url.database}),
        ]

    @pytest.fixture
    def engine(self, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
        engine = sa.create_engine(request.getfixturevalue(self.url))
        yield engine
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        engine.dispose()

    def test_a_url_that_names_no_database_is_refused(
        self, engine: sa.Engine, request: pytest.FixtureRequest
    ) -> None:
        server: Databases = request.getfixturevalue(self.url.removesuffix("_url"))
        nowhere = sa.create_engine(server.url)
        for given in (nowhere, nowhere.url, nowhere.url.render_as_string(hide_password=False)):
            for asks in (admin.init, admin.check, Manager.open):
                with pytest.raises(NotValid, match=r"names no database .* or give schema"):
                    asks(given)
        name = engine.url.database
        assert admin.init(nowhere, schema=name) == admin.check(engine)
        nowhere.dispose()


class TestOnMysql(TestOnMariadb):
    url = "mysql_url"

    def test_a_scheme_that_is_another_servers_is_refused(self, engine: sa.Engine) -> None:
        url = engine.url.set(drivername=engine.url.drivername.replace("mysql+", "mariadb+"))
        for asks in (admin.init, admin.check, Manager.open):
            with pytest.raises(StoreError, match=r"cannot connect to .* not a MariaDB"):
                asks(url)


def begin_and_end(connection: sa.Connection, dialect: Dialect) -> None:
    """The transaction in which tables are made, without any."""
    dialect.begin_schema(connection)
    dialect.rollback(connection)


def run_script(engine: sa.Engine, script: str) -> None:
    """As a client for people would: statement by statement."""
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    run(engine, *(s for s in "\n".join(lines).split(";") if s.strip()))


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            connection.exec_driver_sql(statement)
