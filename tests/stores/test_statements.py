"""The statements of a store: each waits until it is needed, and each can be had on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lease_actors import Manager, ManagerConfig, SqlStore
from lease_actors.stores.sql.compiled import Sized, Statement
from lease_actors.stores.sql.many import Many


@pytest.fixture(
    params=["sqlite:///no.db", "postgresql://u@h/d", "mysql://u@h/d", "mariadb://u@h/d"]
)
def store(request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """One that has reached nothing yet."""
    store = SqlStore(request.param)
    yield store
    store.close()


def test_to_make_a_store_compiles_none(store: SqlStore) -> None:
    assert len(list(_statements(store))) > 30
    assert _compiled(store) == []


def test_no_transaction_stands_still_to_compile_what_it_writes(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'leases.db'}", create_schema=True)
    with Manager(ManagerConfig(store)) as manager:
        ready = _compiled(store)
        claimer, pinner = manager.claimer("ns"), manager.pinner("ns")
        claimer.claim("lease", "first", 60)
        claimer.claim("lease", "first", 3600)
        second = claimer.claim_future("lease", "second", 60)
        pinner.pin("lease", "maintenance")
        pinner.unpin("lease", "maintenance")
        manager.revoker("ns").revoke("lease", "first")
        assert second.get().holder == "second"
        late = [s.text for s in _compiled(store) if s not in ready]
    assert [text for text in late if not text.startswith("SELECT")] == []


def test_each_can_be_compiled(store: SqlStore) -> None:
    texts = [s.text for s in _statements(store)]
    assert all(text.split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE"} for text in texts)


def test_one_is_compiled_once(store: SqlStore) -> None:
    statement = store._statements.heads
    assert statement.text is statement.text
    assert statement.call(1, 2).text is statement.text


def _statements(store: SqlStore) -> Iterator[Statement]:
    for owner in (store._statements, store._history):
        for value in vars(owner).values():
            yield from _of(value)


def _compiled(store: SqlStore) -> list[Statement]:
    return [s for s in _statements(store) if s._compiled is not None]


def _of(value: Any) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, Sized):
        yield value._statement(4)
    elif isinstance(value, Many):
        yield from (s for s in (value._single, value._bulk) if s is not None)
    elif isinstance(value, tuple):
        for part in value:
            yield from _of(part)
