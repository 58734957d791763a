"""What every SQL database must do with the schema: inherit, and give an engine.

The engine leads to a database without lease tables, and its test closes it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from stores.revisions import revisions
from support.managers import Calling

from lease_actors.clock import SystemClock
from lease_actors.errors import StoreError
from lease_actors.stores import SqlStore
from lease_actors.stores.sql import admin
from lease_actors.stores.sql.migrations import run
from lease_actors.stores.sql.tables import REVISIONS, make_tables
from lease_actors.testing.cases.starts import Start

PREFIX = "test_"
_WITH_OPTIONS = ("mysql", "mariadb")


class SchemaCases:
    """One way to the schema is as good as another, and only one version is worked with."""

    transactional = True
    """A failed upgrade leaves nothing."""

    def test_revisions_and_tables_make_the_same(self, engine: sa.Engine) -> None:
        admin.init(engine, table_prefix=PREFIX)
        made = snapshot(engine)
        drop(engine)
        migrate_from_nothing(engine)
        for name, described in snapshot(engine).items():
            assert described == made.pop(name)
        assert made == {}

    def test_alembic_finds_nothing_to_change(self, engine: sa.Engine) -> None:
        admin.init(engine, table_prefix=PREFIX)
        metadata = make_tables(PREFIX).metadata
        version = f"{PREFIX}alembic_version"
        metadata.remove(metadata.tables[version])
        with engine.connect() as connection:
            opts = {"version_table": version, "compare_type": True}
            context = MigrationContext.configure(connection, opts=opts)
            assert compare_metadata(context, metadata) == []
            assert context.get_current_revision() == REVISIONS[-1]

    def test_init_is_done_once_however_many_ask(self, engine: sa.Engine) -> None:
        callings = [Calling(admin.init, engine, table_prefix=PREFIX) for _ in range(4)]
        assert [calling.outcome() for calling in callings] == [REVISIONS[-1]] * 4
        with engine.connect() as connection:
            floor = make_tables(PREFIX).floor
            assert connection.execute(sa.select(floor)).fetchall() == [(1, 0)]

    def test_a_store_opens_what_init_has_made(self, engine: sa.Engine) -> None:
        store = SqlStore(engine, table_prefix=PREFIX)
        with pytest.raises(StoreError, match=r"no lease tables named 'test_leases'.*db init"):
            store.open(SystemClock())
        admin.init(engine, table_prefix=PREFIX)
        store.open(SystemClock())
        assert Start(store).claim().term == 1
        store.close()

    def test_check_tells_the_version(self, engine: sa.Engine) -> None:
        with pytest.raises(StoreError, match="no lease tables"):
            admin.check(engine, table_prefix=PREFIX)
        admin.init(engine, table_prefix=PREFIX)
        assert admin.check(engine, table_prefix=PREFIX) == REVISIONS[-1]

    def test_check_finds_what_is_missing(self, engine: sa.Engine) -> None:
        admin.init(engine, table_prefix=PREFIX)
        self.run(engine, "ALTER TABLE test_queue DROP COLUMN since")
        with pytest.raises(StoreError, match="'test_queue', the columns since is missing"):
            admin.check(engine, table_prefix=PREFIX)
        self.run(engine, "DROP TABLE test_pins")
        with pytest.raises(StoreError, match="'test_pins', the table itself is missing"):
            admin.check(engine, table_prefix=PREFIX)

    def test_a_newer_schema_is_refused(self, engine: sa.Engine) -> None:
        admin.init(engine, table_prefix=PREFIX)
        self.run(engine, "UPDATE test_alembic_version SET version_num = '9999'")
        for refuses in (self.open, admin.init, admin.check, admin.upgrade):
            with pytest.raises(StoreError, match=r"9999, newer.*upgrade lease-actors"):
                refuses(engine, table_prefix=PREFIX)

    def test_an_older_schema_is_refused(
        self, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.init(engine, table_prefix=PREFIX)
        revisions(monkeypatch, tmp_path, ADDS_A_COLUMN)
        for refuses in (self.open, admin.init, admin.check):
            with pytest.raises(StoreError, match=r"0001, older.*\(0002\).*db upgrade.*migrations"):
                refuses(engine, table_prefix=PREFIX)

    def test_upgrade_runs_the_revisions_that_are_lacking(
        self, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.init(engine, table_prefix=PREFIX)
        admin.init(engine, table_prefix="other_")
        revisions(monkeypatch, tmp_path, ADDS_A_COLUMN)
        assert admin.upgrade(engine, table_prefix=PREFIX) == ("0001", "0002")
        assert columns(engine, "test_pins") == {"lease_id", "entity", "note"}
        assert columns(engine, "other_pins") == {"lease_id", "entity"}
        assert admin.upgrade(engine, table_prefix=PREFIX) == ("0002", "0002")

    def test_upgrade_runs_once_however_many_ask(
        self, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.init(engine, table_prefix=PREFIX)
        revisions(monkeypatch, tmp_path, ADDS_A_COLUMN)
        callings = [Calling(admin.upgrade, engine, table_prefix=PREFIX) for _ in range(4)]
        outcomes = sorted(calling.outcome() for calling in callings)
        assert outcomes == [("0001", "0002")] + [("0002", "0002")] * 3

    def test_a_failed_upgrade_is_none(
        self, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.init(engine, table_prefix=PREFIX)
        before = snapshot(engine)
        revisions(monkeypatch, tmp_path, ADDS_A_COLUMN + "    raise ZeroDivisionError('mine')\n")
        with pytest.raises(ZeroDivisionError, match="mine"):
            admin.upgrade(engine, table_prefix=PREFIX)
        with engine.connect() as connection:
            text = "SELECT version_num FROM test_alembic_version"
            assert connection.exec_driver_sql(text).scalar() == "0001"
        if self.transactional:
            assert snapshot(engine) == before

    def test_upgrade_of_nothing_is_refused(self, engine: sa.Engine) -> None:
        with pytest.raises(StoreError, match=r"no lease tables.*db init"):
            admin.upgrade(engine, table_prefix=PREFIX)

    def test_upgrade_leaves_logging_alone(
        self, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.init(engine, table_prefix=PREFIX)
        revisions(monkeypatch, tmp_path, ADDS_A_COLUMN)
        root, ours, theirs = map(logging.getLogger, (None, "lease_actors", "alembic"))
        before = [(x.level, list(x.handlers), x.disabled) for x in (root, ours, theirs)]
        admin.upgrade(engine, table_prefix=PREFIX)
        assert [(x.level, list(x.handlers), x.disabled) for x in (root, ours, theirs)] == before

    # -- helpers -------------------------------------------------------------------------

    def open(self, engine: sa.Engine, table_prefix: str) -> None:
        store = SqlStore(engine, create_schema=True, table_prefix=table_prefix)
        store.open(SystemClock())
        store.close()

    def run(self, engine: sa.Engine, text: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(text)


ADDS_A_COLUMN = """
    op.add_column(prefix + "pins", sa.Column("note", sa.String(20)), schema=schema)
"""


def migrate_from_nothing(engine: sa.Engine) -> None:
    """The schema, made by Alembic alone."""

    def work(connection: sa.Connection, dialect: Any) -> None:
        dialect.begin_schema(connection)
        run.migrate(connection, dialect.tables, REVISIONS[-1])
        dialect.commit(connection)

    store = SqlStore(engine, table_prefix=PREFIX)
    store.administer(work, create=True)
    store.close()


def drop(engine: sa.Engine) -> None:
    """Away with all of it."""
    with engine.begin() as connection:
        make_tables(PREFIX).metadata.drop_all(connection)


def columns(engine: sa.Engine, table: str, schema: str | None = None) -> set[str]:
    """The names of its columns."""
    return {c["name"] for c in sa.inspect(engine).get_columns(table, schema=schema)}


def snapshot(engine: sa.Engine) -> dict[str, Any]:
    """All that the database tells of the lease tables, and the rows that are in them."""
    tables = make_tables(PREFIX).metadata.sorted_tables
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        names = sorted(n for n in inspector.get_table_names() if n.startswith(PREFIX))
        told: dict[str, Any] = {name: _table(engine, inspector, name) for name in names}
        told["rows"] = {t.name: _rows(connection, t) for t in tables}
        if engine.dialect.name == "sqlite":
            text = "SELECT name, sql FROM sqlite_master WHERE tbl_name LIKE 'test~_%' ESCAPE '~'"
            texts = connection.exec_driver_sql(text).fetchall()
            told["sql"] = {name: " ".join((sql or "").split()) for name, sql in texts}
    return told


def _rows(connection: sa.Connection, table: sa.Table) -> list[Any]:
    """Its rows; of the identity, which is drawn by lot, only that it is there."""
    rows = [tuple(row) for row in connection.execute(sa.select(table))]
    return sorted((row[:1] if "identity" in row else row) for row in rows)


def _table(engine: sa.Engine, inspector: sa.Inspector, name: str) -> dict[str, Any]:
    described = [
        {**column, "type": column["type"].compile(engine.dialect)}
        for column in inspector.get_columns(name)
    ]
    return {
        "columns": described,
        "key": inspector.get_pk_constraint(name),
        "unique": sorted(inspector.get_unique_constraints(name), key=repr),
        "indexes": sorted(str(_index(index)) for index in inspector.get_indexes(name)),
        "options": inspector.get_table_options(name) if engine.name in _WITH_OPTIONS else {},
    }


def _index(index: Any) -> dict[str, Any]:
    """The index, its condition as text."""
    options = {k: str(v) for k, v in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}
