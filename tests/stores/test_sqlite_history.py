"""The history in SQLite: in the same transaction, at little cost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connections import trace_statements

from lease_actors.core.model import Need, PastTenure
from lease_actors.core.operations import Check, Revoke
from lease_actors.errors import StoreError
from lease_actors.stores import Changes, SqlStore
from lease_actors.stores.base import HistoryQuery
from lease_actors.testing.cases.histories import end, history, leases, past
from lease_actors.testing.cases.starts import KEY, Start, named
from lease_actors.testing.clock import FakeClock

_YEAR = 366 * 24 * 3600 * 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}", create_schema=True, synchronous="OFF")
    store.open(FakeClock())
    yield store
    store.close()


@pytest.fixture
def statements(store: SqlStore) -> list[str]:
    """The statements that the store runs from now on."""
    return trace_statements(store)


def test_a_tenure_whose_record_fails_has_not_ended(store: SqlStore, path: Path) -> None:
    store.set_history(_YEAR)
    start = Start(store)
    tenure = start.claim()
    other = sqlite3.connect(path)
    other.execute("DROP TABLE lease_history")
    other.close()
    with pytest.raises(StoreError, match="no such table"):
        start.ask(Revoke(KEY, "holder"))
    assert store.get(KEY)[0].tenure == tenure


def test_a_record_whose_batch_fails_is_none(store: SqlStore) -> None:
    store.set_history(_YEAR)
    start = Start(store)
    start.claim()

    def commit_fails(*_: object) -> None:
        raise sqlite3.OperationalError("mine")

    dialect, commit = store._dialect, store._dialect.commit
    dialect.commit = commit_fails  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="may pass"):
        start.ask(Revoke(KEY, "holder"))
    dialect.commit = commit  # type: ignore[method-assign]
    assert history(store) == []


def test_another_process_may_switch_it_on(store: SqlStore, path: Path) -> None:
    start = Start(store)
    start.claim()
    other = SqlStore(f"sqlite:///{path}")
    other.open(FakeClock())
    other.set_history(_YEAR)
    start.ask(Revoke(KEY, "holder"))
    assert other.history(HistoryQuery(*KEY)) == history(store) != []
    other.close()


def test_the_setting_costs_no_statement_of_its_own(store: SqlStore, statements: list[str]) -> None:
    start = Start(store)
    start.claim()
    del statements[:]
    start.ask(Check(KEY, "holder"))
    ending_nothing = len(statements)
    start.ask(Revoke(KEY, "holder"))
    assert len(statements) == 2 * ending_nothing + 1  # and the row that is written
    assert not any("lease_history" in s for s in statements)


def test_a_setting_that_somebody_deleted_is_off(store: SqlStore, path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM lease_meta")
    other.close()
    start = Start(store)
    start.claim()
    start.ask(Revoke(KEY, "holder"))
    assert store.history_setting() is None
    assert history(store) == []


def test_one_pruning_catches_up_with_many_records(store: SqlStore) -> None:
    store.set_history(_YEAR)
    end(Start(store), *(past("old", n) for n in range(1, 2501)), past("young", store.now()))
    store.prune(_YEAR)
    assert leases(history(store, limit=5000)) == ["young"]


def test_an_expiry_noticed_late_goes_with_its_neighbours(store: SqlStore) -> None:
    store.set_history(_YEAR)
    young, late = past("young", store.now()), past("late", 1)
    end(Start(store), young, late)
    store.prune(_YEAR)
    assert history(store) == [young, late]


@pytest.mark.parametrize("query", [HistoryQuery("ns", "model"), HistoryQuery(*KEY)])
def test_reading_walks_an_index_backwards(store: SqlStore, query: HistoryQuery) -> None:
    found = store._history._of_scope if query.lease is None else store._history._of_lease
    arguments = range(found[1].text.count("?"))
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN " + found[1].text, tuple(arguments)
        ).fetchall()
    steps = " / ".join(row[3] for row in rows)
    assert "SEARCH lease_history USING INDEX" in steps
    assert "SCAN" not in steps
    assert "TEMP B-TREE" not in steps


def test_a_record_may_be_there_twice_and_stop_nobody(store: SqlStore) -> None:
    """As it is after the leases were restored from a backup, and the history was not."""
    store.set_history(_YEAR)
    start = Start(store)
    record = PastTenure(named("restored"), "h", 1, 1, 2, "released")
    end(start, record)
    end(start, record)
    start.run({KEY: Need()}, lambda states, now: Changes([], ended=[record]))
    assert history(store) == [record]
