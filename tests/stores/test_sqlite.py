"""The store in SQLite: the suite for all stores, and how it uses the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from support.connections import assert_all_given_back, trace_statements
from support.managers import NO_TIMES

from lease_actors.clock import Clock
from lease_actors.core.model import LeaseState, Need, Waiter
from lease_actors.core.operations import Cancel, Check
from lease_actors.errors import NotValid, StoreError
from lease_actors.stores import SqlStore, Store
from lease_actors.stores.sql import admin
from lease_actors.testing.cases.starts import KEY, Start, named
from lease_actors.testing.clock import FakeClock
from lease_actors.testing.conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _in(self, tmp_path: Path) -> None:
        self.path = tmp_path / "leases.db"

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(f"sqlite:///{self.path}", create_schema=True)


class TestSqliteStoreOnAnEngine(StoreConformance):
    """The same on an engine of the user's, in tables of another name, whose transactions the
    user begins by an event hook, as SQLAlchemy's documentation shows for SQLite."""

    @pytest.fixture(autouse=True)
    def _in(self, tmp_path: Path) -> Iterator[None]:
        self.engine = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
        event.listen(self.engine, "begin", lambda c: c.exec_driver_sql("BEGIN"))
        yield
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        self.engine.dispose()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.engine, create_schema=True, table_prefix="app_")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}", create_schema=True)
    store.open(FakeClock())
    yield store
    assert_all_given_back(store)
    store.close()


@pytest.fixture
def statements(store: SqlStore) -> list[str]:
    """The statements that the store runs from now on."""
    return trace_statements(store)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 5000), ("cache_size", -16384)],
)
def test_connections_are_set_up(store: SqlStore, pragma: str, value: object) -> None:
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


@pytest.mark.parametrize("busy_timeout", [0.25, timedelta(milliseconds=250)])
def test_settings_can_be_chosen(path: Path, busy_timeout: float | timedelta) -> None:
    store = SqlStore(f"sqlite:///{path}", busy_timeout=busy_timeout, synchronous="normal")
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 250
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    store.close()


@pytest.mark.parametrize("setting", ["busy_timeout", "lock_timeout", "reply_timeout"])
@pytest.mark.parametrize("wrong", [*NO_TIMES, None])
def test_a_setting_that_is_no_time_to_wait_is_refused(path: Path, setting: str, wrong: Any) -> None:
    with pytest.raises(NotValid, match=f"{setting}=.* is not a time to wait"):
        SqlStore(f"sqlite:///{path}", **{setting: wrong})


def test_what_did_not_change_is_not_written(store: SqlStore, statements: list[str]) -> None:
    start = Start(store)
    start.claim()
    del statements[:]
    start.ask(Check(KEY, "holder"))
    assert [s.split()[0] for s in statements] == ["BEGIN", "UPDATE", "SELECT", "COMMIT"]
    assert statements[1].startswith("UPDATE lease_starts")


def test_the_number_is_written_before_anything_is_read(
    store: SqlStore, statements: list[str]
) -> None:
    start = Start(store)
    start.claim()
    start.queue(1, 2, 3)
    del statements[:]
    start.ask(Cancel(KEY, start.claim_id(3)))
    assert statements == [
        "BEGIN IMMEDIATE",
        "UPDATE lease_starts SET",
        "SELECT lease_leases.id, lease_leases.key_hash,",
        "SELECT lease_queue.place, lease_queue.start_id,",
        "SELECT lease_queue.lease_id, lease_queue.place,",
        "UPDATE lease_leases SET",
        "DELETE FROM lease_queue",
        "COMMIT",
    ]


def test_a_failure_half_way_through_the_writes_takes_all_back(store: SqlStore) -> None:
    start = Start(store)
    twice = Waiter(1, start.claim_id(1), "w", 5, 6)
    states = [LeaseState(named(n), 3, queue=(twice,), queued=1, last_place=1) for n in "ab"]
    with pytest.raises(StoreError):
        start.write(*states)
    assert store.get(named("a"))[0] == LeaseState(named("a"))
    start.number = 0
    assert start.claim().term == 1


def test_a_batch_applied_before_leaves_no_lock_behind(store: SqlStore, path: Path) -> None:
    start = Start(store)
    start.claim()
    start.number = 0
    start.look()
    with sqlite3.connect(path, timeout=0) as other:
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_an_engine_handed_in_is_given_back_as_it_was(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    store = SqlStore(engine, create_schema=True)
    store.open(FakeClock())
    Start(store).claim()
    store.close()
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    with engine.connect() as connection:
        assert connection.connection.driver_connection.isolation_level == ""  # type: ignore[union-attr]
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
    engine.dispose()


def test_a_file_without_our_tables_stays_as_it_is(path: Path) -> None:
    for make in ("", "CREATE TABLE theirs (id INTEGER)"):  # empty at first, then another program's
        with sqlite3.connect(path) as other:
            other.execute(make)
        other.close()
        before = path.read_bytes()
        store = SqlStore(f"sqlite:///{path}")
        with pytest.raises(StoreError, match="no lease tables"):
            store.open(FakeClock())
        with pytest.raises(StoreError, match="no lease tables"):
            admin.check(f"sqlite:///{path}")
        assert path.read_bytes() == before


def test_a_file_with_our_tables_has_a_write_ahead_log_whoever_made_them(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    admin.init(engine)
    engine.dispose()
    store = SqlStore(f"sqlite:///{path}")
    store.open(FakeClock())
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()


@pytest.mark.parametrize("style", ["named", "numeric"])
def test_an_engine_may_have_another_style_of_parameters(path: Path, style: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{path}", paramstyle=style)
    store = SqlStore(engine, create_schema=True)
    store.open(FakeClock())
    assert Start(store).claim().term == 1
    store.close()
    engine.dispose()


def test_two_prefixes_are_two_stores(path: Path) -> None:
    clock = FakeClock()
    for prefix in ("one_", "two_"):
        store = SqlStore(f"sqlite:///{path}", create_schema=True, table_prefix=prefix)
        store.open(clock)
        assert Start(store).claim().term == 1
        store.close()


def test_a_relative_path_is_of_the_directory_at_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqlStore("sqlite:///here.db", create_schema=True)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    store.open(FakeClock())
    Start(store).claim()
    store.close()
    assert [p.name for p in tmp_path.glob("*.db")] == ["here.db"]


def test_a_forked_childs_store_leaves_the_parents_connections_alone(store: SqlStore) -> None:
    Start(store).claim()
    with store._connections.one() as parents:
        driver = parents.connection.driver_connection
    pool = store.engine.pool
    store.abandon()
    store.open(FakeClock())
    Start(store).look()
    with store._connections.one() as connection:
        assert connection.connection.driver_connection is not driver
    assert driver is not None
    assert driver.execute("SELECT 1").fetchone() == (1,)
    parents.close()  # by its own pool: closed under that, it is an error when that is collected
    pool.dispose()


def test_ten_thousand_waiters_cost_no_more_than_those_in_front(
    store: SqlStore, statements: list[str]
) -> None:
    start = Start(store)
    start.claim()
    for first in range(0, 10_000, 500):
        start.queue(*range(first, first + 500))
    del statements[:]
    state = start.look(need=Need(2, frozenset({start.claim_id(7000)})))
    assert [w.holder for w in state.queue] == ["w0", "w1", "w7000"]
    assert len(statements) == 6
    plan = "EXPLAIN QUERY PLAN " + store._statements.heads.text
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql(plan, (1, 3, 0)).fetchall()
    steps = " / ".join(row[3] for row in rows)
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps
