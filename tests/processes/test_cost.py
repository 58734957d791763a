"""What a manager costs its database while nothing happens: nothing between its ticks if nobody waits
there, and a bounded number of looks if somebody does. ``docs/design.md`` states these figures."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from processes.conftest import Place
from sqlalchemy import event
from support.managers import blocked, until

from lease_actors import Manager, ManagerConfig, SqlStore
from lease_actors.core.model import Micros
from lease_actors.stores.base import Peek
from lease_actors.stores.sql.connections import Connections

NS = "ns"
PATIENCE = 40.0


class CountingStore(SqlStore):
    """Counts the looks, and how often a connection was wanted, by whomever, for whatever."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.url, table_prefix=place.table_prefix, create_schema=True)
        self.counts: Counter[str] = Counter()
        self.most_for_a_pruning = 0
        self._changed = threading.Condition()
        self._pruner: int | None = None
        event.listen(self.engine, "checkout", lambda *_: self._count(self._wanted()))
        self._connections.take = self._take  # type: ignore[method-assign]

    def _take(self) -> sa.Connection:
        self._connections.let_go()  # the one at hand is counted when it is taken, too
        return Connections.take(self._connections)

    def _wanted(self) -> str:
        """What a connection is counted as: those that a pruning takes are counted apart."""
        return "for pruning" if threading.get_ident() == self._pruner else "connections"

    def _count(self, what: str) -> None:
        with self._changed:
            self.counts[what] += 1
            self._changed.notify_all()

    def version(self) -> int | None:
        self._count("version")
        return super().version()

    def peek(self, start: str, keys: Any) -> Peek:
        self._count("peek")
        return super().peek(start, keys)

    def offered(self, start: str) -> bool:
        self._count("offered")
        return super().offered(start)

    def prune(self, idle_for: Micros, limit: int = 1000) -> int:
        before, self._pruner = self.counts["for pruning"], threading.get_ident()
        try:
            return super().prune(idle_for, limit)
        finally:
            self._pruner = None
            self.most_for_a_pruning = max(
                self.most_for_a_pruning, self.counts["for pruning"] - before
            )
            self._count("prune")

    def wait_for(self, what: str, more: int) -> Counter[str]:
        """Return when that has happened so many times more; what has happened meanwhile."""
        with self._changed:
            before = self.counts.copy()
            goal = before[what] + more
            assert self._changed.wait_for(lambda: self.counts[what] >= goal, PATIENCE)
            return self.counts - before

    def rate(self, what: str, times: int) -> float:
        """How often a second it happens, over so many times. Slow machines make it less."""
        self.wait_for(what, 1)
        began = time.monotonic()
        self.wait_for(what, times)
        return times / (time.monotonic() - began)


@pytest.fixture
def store(place: Place) -> CountingStore:
    return CountingStore(place)


@pytest.fixture
def manager(store: CountingStore) -> Iterator[Manager]:
    with Manager(ManagerConfig(store, max_sleep=0.2)) as manager:
        yield manager


@pytest.fixture
def _held(place: Place) -> Iterator[None]:
    """Somebody else holds it."""
    store = SqlStore(place.url, table_prefix=place.table_prefix, create_schema=True)
    with Manager(ManagerConfig(store)) as other:
        other.claimer(NS).claim("db", "h0", 3600)
        yield


def test_nobody_waiting_costs_nothing_between_the_ticks(
    store: CountingStore, manager: Manager
) -> None:
    manager.claimer(NS).claim("db", "h0", 3600)
    store.wait_for("prune", 1)
    # A tick prunes, in one transaction; and that is all, tick after tick.
    meanwhile = store.wait_for("prune", 5)
    assert store.most_for_a_pruning == 1
    assert not meanwhile["connections"]
    assert not meanwhile["peek"] and not meanwhile["version"] and not meanwhile["offered"]


@pytest.mark.usefixtures("_held")
def test_the_looks_of_one_who_waits_are_few(
    store: CountingStore, manager: Manager, engine: str
) -> None:
    future = manager.claimer(NS).claim_future("db", "h1", 3600)
    blocked(manager, 1)
    if engine == "postgresql":
        lookout = manager._crew.manager._actor_weakref()._lookout  # type: ignore[union-attr]
        until(lambda: lookout._listener is not None and lookout._listener.working, "listening")
        assert store.rate("peek", 3) <= 1.1
    elif engine in ("mariadb", "mysql"):
        store.wait_for("offered", 20)  # more at first, soon after something has changed
        assert store.rate("offered", 40) <= 1.1 / 0.04
        assert store.rate("peek", 12) <= 1.1 / 0.25
    else:
        store.wait_for("version", 20)
        began = store.counts.copy()
        assert store.rate("version", 80) <= 1.1 / 0.02
        # A version is no transaction; while nothing changes there is none at all.
        assert store.counts["peek"] - began["peek"] <= 4  # once a second
    assert future.cancel()


@pytest.mark.usefixtures("_held")
def test_the_looks_end_when_nobody_waits_any_more(store: CountingStore, manager: Manager) -> None:
    future = manager.claimer(NS).claim_future("db", "h1", 3600)
    blocked(manager, 1)
    assert future.cancel()
    blocked(manager, 0)
    store.wait_for("prune", 2)
    meanwhile = store.wait_for("prune", 5)
    assert not meanwhile["peek"] and not meanwhile["version"]
