"""A look at the connections of a store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from lease_actors.stores import SqlStore

__all__ = ["assert_all_given_back", "trace_statements"]


def assert_all_given_back(store: SqlStore) -> None:
    """No call has kept a connection; the one that is at hand for the next is put into the pool."""
    store._connections.let_go()
    assert store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def trace_statements(store: SqlStore) -> list[str]:
    """The first words of each statement that a store on SQLite runs from now on."""
    seen: list[str] = []

    @event.listens_for(store.engine, "checkout")
    def trace(connection: Any, record: object, proxy: object) -> None:
        connection.set_trace_callback(lambda text: seen.append(" ".join(text.split()[:3])))

    store._connections.let_go()  # the one at hand is traced, too, when it is taken again
    return seen
