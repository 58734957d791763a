"""The schema: made once, known by its version, brought to the next one; on SQLite."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from stores.revisions import revisions
from stores.schemas import ADDS_A_COLUMN, PREFIX, SchemaCases, columns, drop, snapshot

from lease_actors import Manager
from lease_actors.clock import SystemClock
from lease_actors.errors import NotValid, StoreError
from lease_actors.stores import SqlStore
from lease_actors.stores.sql import admin
from lease_actors.stores.sql.migrations import run
from lease_actors.stores.sql.tables import REVISIONS
from lease_actors.testing.cases.starts import Start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.db"


@pytest.fixture
def engine(path: Path) -> Iterator[sa.Engine]:
    path.touch()
    engine = sa.create_engine(f"sqlite:///{path}")
    yield engine
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


class TestOnSqlite(SchemaCases):
    def test_the_printed_script_makes_the_same(self, engine: sa.Engine, path: Path) -> None:
        script = admin.ddl("sqlite", table_prefix=PREFIX)
        with sqlite3.connect(path) as connection:
            connection.executescript(script)
        connection.close()
        by_hand = snapshot(engine)
        drop(engine)
        admin.init(engine, table_prefix=PREFIX)
        assert snapshot(engine) == by_hand

    def test_who_may_not_make_tables_is_told_what_to_do(self, engine: sa.Engine) -> None:
        event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA query_only = ON"))
        with pytest.raises(StoreError, match=r"cannot make the lease tables.*db ddl"):
            admin.init(engine, table_prefix=PREFIX)

    def test_it_can_be_in_a_schema_of_the_database(self, engine: sa.Engine, path: Path) -> None:
        other = path.with_name("other.db")
        event.listen(engine, "connect", lambda c, _: c.execute(f"ATTACH '{other}' AS other"))
        store = SqlStore(engine, create_schema=True, schema="other")
        store.open(SystemClock())
        assert Start(store).claim().term == 1
        store.close()
        assert admin.check(engine, schema="other") == REVISIONS[-1]
        with pytest.raises(StoreError, match="no lease tables"):
            admin.check(engine)

    @pytest.mark.parametrize("name", ["other", "MAIN"])
    def test_a_schema_that_the_database_does_not_have_is_refused(
        self, engine: sa.Engine, name: str
    ) -> None:
        for create in (False, True):
            store = SqlStore(engine, create_schema=create, schema=name)
            with pytest.raises(StoreError, match=f"cannot open .* no schema '{name}', only main:"):
                store.open(SystemClock())
        assert sa.inspect(engine).get_table_names() == []

    def test_it_is_upgraded_in_a_schema_of_the_database(
        self, engine: sa.Engine, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = path.with_name("other.db")
        event.listen(engine, "connect", lambda c, _: c.execute(f"ATTACH '{other}' AS other"))
        admin.init(engine, schema="other")
        revisions(monkeypatch, path.parent, ADDS_A_COLUMN)
        assert admin.upgrade(engine, schema="other") == ("0001", "0002")
        assert columns(engine, "lease_pins", "other") == {"lease_id", "entity", "note"}
        assert columns(engine, "lease_alembic_version", "other") == {"version_num"}
        assert sa.inspect(engine).get_table_names() == []


def test_the_revisions_are_one_line() -> None:
    scripts = run.scripts()
    chain = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(chain)) == REVISIONS
    assert scripts.get_heads() == [REVISIONS[-1]]


def test_a_new_database_may_be_opened_by_many_processes(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(6)
    queue = context.Queue()
    processes = [
        context.Process(target=open_and_claim, args=(path, n, together, queue)) for n in range(6)
    ]
    for process in processes:
        process.start()
    terms = [queue.get(timeout=50) for _ in processes]
    for process in processes:
        process.join()
    assert terms == [1] * 6


def open_and_claim(path: Path, number: int, together: object, queue: object) -> None:
    """In a process of its own: all of them at once."""
    together.wait()  # type: ignore[attr-defined]
    try:
        with Manager.open(f"sqlite:///{path}") as manager:
            queue.put(manager.claimer("ns").claim(f"lease-{number}", "me", 30).term)  # type: ignore[attr-defined]
    except Exception as error:
        queue.put(repr(error))  # type: ignore[attr-defined]


_WITHOUT_ALEMBIC = """
import sys
sys.modules["alembic"] = None
from lease_actors import Manager, StoreError
from lease_actors.stores.sql import admin, schema
url = sys.argv[1]
with Manager.open(url):
    pass
print(admin.check(url), admin.upgrade(url))
schema.REVISIONS = ("0001", "0002")
try:
    admin.upgrade(url)
except StoreError as error:
    print(error)
"""


def test_only_a_migration_needs_alembic(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_ALEMBIC, f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = ran.stdout.splitlines()
    assert first == "0001 ('0001', '0001')"
    assert "pip install 'lease-actors[migrations]'" in second


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:geheim@127.0.0.1:1/d",
        "postgresql://u:geheim@a..b/d",
        "mysql://u:geheim@127.0.0.1:1/d",
        "mysql://u:geheim@a..b/d",
        "mysql://u:geheim@127.0.0.1:1/d?nonsense=1",
        "mysql://u:geheim@127.0.0.1:1/d?ssl_ca=/no/such/file",
    ],
)
def test_what_cannot_be_connected_to_fails_in_one_way(url: str) -> None:
    for asks in (admin.init, admin.upgrade, admin.check, Manager.open):
        with pytest.raises(StoreError, match=r"(postgresql|mysql) database '.*': .") as caught:
            asks(url)
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", ["postgresql", "mysql", "mariadb", "sqlite"])
@pytest.mark.parametrize("schema", [None, "Some Schema"])
def test_a_script_can_be_had_for_every_database(name: str, schema: str | None) -> None:
    script = admin.ddl(name, table_prefix="my_", schema=schema)
    assert script.count("CREATE TABLE") == 11
    assert script.count("INSERT INTO") == 4
    assert ("GRANT" in script) == (name != "sqlite")
    assert ("CREATE SCHEMA" in script) == (name != "sqlite" and schema is not None)
    assert script == admin.ddl(
        f"{name}://user:secret@nowhere/db", table_prefix="my_", schema=schema
    )
    assert "secret" not in script


@pytest.mark.parametrize("name", ["postgresql", "mysql", "mariadb"])
def test_a_script_has_a_name_as_it_is(name: str) -> None:
    script = admin.ddl(name, schema="100% %%s")
    assert script.count("100% %%s") == script.count("100%") > 11


@pytest.mark.parametrize(
    "what", ["oracle", "oracle://u:secret@h/d", "no url", "nosuch://u:secret@h"]
)
def test_no_script_for_what_is_unknown(what: str) -> None:
    with pytest.raises(NotValid, match=r"known are|give a database URL") as caught:
        admin.ddl(what)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "1a_", "a-b", "é_", "x" * 31, "a%s", None, "a\n"])
def test_a_prefix_that_cannot_be_is_refused(path: Path, prefix: str) -> None:
    with pytest.raises(NotValid, match="table_prefix"):
        SqlStore(f"sqlite:///{path}", table_prefix=prefix)
    with pytest.raises(NotValid, match="table_prefix"):
        admin.ddl("sqlite", table_prefix=prefix)
