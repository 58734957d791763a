"""What SQLite's failures come to: some pass, the others say what to do."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from support.connections import assert_all_given_back

from lease_actors.clock import SystemClock
from lease_actors.core.model import Instant, Key, LeaseState, Need
from lease_actors.errors import NotValid, StoreError
from lease_actors.stores import Batch, Changes, SqlStore, StorePassing
from lease_actors.testing.cases.starts import KEY, Start, named


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}", create_schema=True, busy_timeout=0.02)
    store.open(SystemClock())
    yield store
    assert_all_given_back(store)
    store.close()


def unchanged(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
    return Changes([])


class TestLocked:
    @pytest.fixture
    def other(self, store: SqlStore, path: Path) -> Iterator[sqlite3.Connection]:
        """Another program's connection, in the middle of a write."""
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.close()

    def test_it_passes(self, store: SqlStore, other: sqlite3.Connection) -> None:
        other.execute("ROLLBACK")
        start = Start(store)
        other.execute("BEGIN IMMEDIATE")
        batch = Batch(start.name, 1, {KEY: Need()}, unchanged)
        with pytest.raises(StorePassing) as caught:
            store.apply(batch)
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        other.execute("ROLLBACK")
        assert store.apply(batch) is True

    def test_begin_and_prune_pass_too(self, store: SqlStore, other: sqlite3.Connection) -> None:
        for call in (lambda: store.begin("x"), lambda: store.prune(0)):
            with pytest.raises(StorePassing):
                call()

    def test_readers_are_not_delayed(self, store: SqlStore, other: sqlite3.Connection) -> None:
        assert store.get(KEY)[0] == LeaseState(KEY)
        assert store.leases("ns", "model")[0] == []
        assert store.waiting(KEY) == []
        assert store.now() > 0


def test_reading_and_deciding_go_on_at_once(store: SqlStore) -> None:
    start = Start(store)
    tenure = start.claim()
    read: list[LeaseState] = []

    def decide(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
        reader = threading.Thread(target=lambda: read.append(store.get(KEY)[0]))
        reader.start()
        reader.join(30)
        return Changes([])

    start.run({KEY: Need()}, decide)
    assert [state.tenure for state in read] == [tenure]


def test_an_interrupt_in_a_batch_leaves_no_transaction(store: SqlStore) -> None:
    start = Start(store)

    def interrupted(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start.run({KEY: Need()}, interrupted)
    assert Start(store).claim().term == 1


class TestWillNotPass:
    def test_read_only(self, store: SqlStore, path: Path) -> None:
        Start(store)
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
        reader = SqlStore(url)
        reader.open(SystemClock())
        assert reader.get(KEY)[0] == LeaseState(KEY)
        with pytest.raises(StoreError, match="read-only"):
            Start(reader)
        reader.close()

    def test_full(self, path: Path) -> None:
        store = SqlStore(f"sqlite:///{path}", create_schema=True)
        store.open(SystemClock())
        start = Start(store)
        start.claim()
        store.close()

        @event.listens_for(store.engine, "connect")
        def limit(connection: sqlite3.Connection, record: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")  # that is: no more than there are

        with pytest.raises(StoreError, match=r"full.*make room"):
            start.write(*(LeaseState(named(f"{n}" * 50), 1) for n in range(900)))
        assert start.claim().term == 1  # what needs no room still works
        store.close()

    def test_not_a_database(self, path: Path) -> None:
        path.write_bytes(b"certainly no database" * 1000)
        with pytest.raises(StoreError, match="not an SQLite database"):
            SqlStore(f"sqlite:///{path}", create_schema=True).open(SystemClock())

    def test_damaged(self, store: SqlStore, path: Path) -> None:
        start = Start(store)
        start.ask()
        store.close()
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        with pytest.raises(StoreError, match="damaged") as caught:
            start.claim()
        assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)

    @pytest.mark.parametrize("again", [False, True], ids=["deleted", "replaced"])
    def test_gone(self, store: SqlStore, path: Path, again: bool) -> None:
        start = Start(store)
        start.claim()
        copy = path.with_suffix(".copy")
        shutil.copy(path, copy)
        path.unlink()
        if again:
            copy.rename(path)
        for call in (start.look, lambda: store.get(KEY), lambda: store.begin("x")):
            with pytest.raises(StoreError, match="deleted or replaced"):
                call()
        assert again or not path.exists()

    def test_gone_and_opened_anew(self, store: SqlStore, path: Path) -> None:
        Start(store).claim()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink()
        store.close()
        store.open(SystemClock())
        assert store.get(KEY)[0] == LeaseState(KEY)

    def test_a_table_dropped(self, store: SqlStore, path: Path) -> None:
        start = Start(store)
        other = sqlite3.connect(path)
        other.execute("DROP TABLE lease_leases")
        other.close()
        with pytest.raises(StoreError, match="no such table"):
            start.claim()


class TestOpening:
    def test_no_file(self, path: Path) -> None:
        with pytest.raises(StoreError, match="create_schema=True"):
            SqlStore(f"sqlite:///{path}").open(SystemClock())
        assert not path.exists()

    def test_no_directory(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="no directory"):
            SqlStore(f"sqlite:///{tmp_path}/a/b.db", create_schema=True).open(SystemClock())

    def test_no_tables(self, path: Path) -> None:
        sqlite3.connect(path).close()
        path.touch()
        with pytest.raises(StoreError, match="create_schema=True"):
            SqlStore(f"sqlite:///{path}").open(SystemClock())

    def test_tables_of_a_newer_version(self, store: SqlStore, path: Path) -> None:
        with sqlite3.connect(path) as other:
            other.execute("UPDATE lease_alembic_version SET version_num = '9999'")
        other.close()
        with pytest.raises(StoreError, match="version 9999, newer"):
            SqlStore(f"sqlite:///{path}", create_schema=True).open(SystemClock())

    @pytest.mark.parametrize(
        "url",
        ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"],
    )
    def test_memory_is_refused(self, url: str) -> None:
        with pytest.raises(NotValid, match="MemoryStore"):
            SqlStore(url)

    @pytest.mark.parametrize("url", ["sqlite://leases.db", "sqlite://var/lib/leases.db"])
    def test_a_file_behind_two_slashes_is_told_of_the_third(self, url: str) -> None:
        with pytest.raises(NotValid, match=r"write three slashes, sqlite:///leases.db"):
            SqlStore(url)

    def test_a_driver_that_is_not_there_is_not_to_be_installed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "aiosqlite", None)
        with pytest.raises(NotValid, match=r"'aiosqlite' is not.*Python's own works: .*sqlite:///"):
            SqlStore("sqlite+aiosqlite:///leases.db")

    def test_an_engine_in_memory_is_refused(self) -> None:
        with pytest.raises(NotValid, match="MemoryStore"):
            SqlStore(sa.create_engine("sqlite://"))

    @pytest.mark.parametrize(
        "url",
        ["", "leases.db", "://u:geheim@h/d", "oracle://u:geheim@h/d", "nonsense+x://u:geheim@h/d"],
    )
    def test_what_is_no_url_of_ours_is_refused_without_its_password(self, url: str) -> None:
        with pytest.raises(NotValid) as caught:
            SqlStore(url)
        assert "geheim" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_other_things_are_refused(self) -> None:
        with pytest.raises(NotValid, match="int"):
            SqlStore(7)  # type: ignore[arg-type]

    def test_an_option_of_the_wrong_kind_is_refused(self) -> None:
        with pytest.raises(NotValid, match=r"cannot open .*'leases.db'.* refuses .* options"):
            SqlStore("sqlite:///leases.db?timeout=abc")

    def test_an_unknown_setting_is_refused(self, path: Path) -> None:
        with pytest.raises(NotValid, match="synchronous"):
            SqlStore(f"sqlite:///{path}", synchronous="FULL; DROP TABLE x")


def open_and_claim(path: str, name: str) -> None:
    """In a process of its own: make the database if need be, and take a lease of one's own."""
    store = SqlStore(f"sqlite:///{path}", create_schema=True, busy_timeout=30)
    store.open(SystemClock())
    Start(store).claim(named(name))
    store.close()


def test_several_processes_make_one_database(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    names = [f"p{n}" for n in range(4)]
    processes = [context.Process(target=open_and_claim, args=(os.fspath(path), n)) for n in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    store = SqlStore(f"sqlite:///{path}")
    store.open(SystemClock())
    assert sorted(s.key.lease for s in store.leases("ns", "model")[0]) == names
    store.close()


def test_several_threads_make_one_database(path: Path) -> None:
    from lease_actors.testing.cases.threads import together

    names = [f"t{n}" for n in range(8)]
    together(*(lambda n=n: open_and_claim(os.fspath(path), n) for n in names))  # type: ignore[misc]
