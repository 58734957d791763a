"""Managers for the acceptance tests: on every kind of store, on a fake clock or the machine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from acceptance.support import PATIENCE, WatchedStore
from support.managers import Calling

from lease_actors import Clock, Manager, ManagerConfig, MemoryStore, SqlStore, Store
from lease_actors.testing.clock import FakeClock

T = TypeVar("T")


class OpenManager(Protocol):
    def __call__(
        self, *, store: Store | None = None, clock: Clock | None = None, **fields: Any
    ) -> Manager: ...


class Run(Protocol):
    def __call__(self, function: Callable[[], T]) -> Calling[T]: ...


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something is made to hang here: the clock, which waits for what it has set off, need not
    wait for long."""
    monkeypatch.setattr("lease_actors.testing.clock._ERRAND", 0.3)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    # No power failure is survived here, so no test waits for the disk.
    url = f"sqlite:///{tmp_path / 'leases.db'}"
    return SqlStore(url, create_schema=True, synchronous="OFF")


@pytest.fixture
def watched(store: Store) -> WatchedStore:
    return WatchedStore(store)


@pytest.fixture
def run() -> Iterator[Run]:
    """Make a call in a thread; at the end every such call has ended."""
    calls: list[Calling[Any]] = []

    def start(function: Callable[[], T]) -> Calling[T]:
        call = Calling(function)
        calls.append(call)
        return call

    yield start
    for call in calls:
        call.join(PATIENCE)
    assert all(call.is_over for call in calls), "a call outlived its manager"


@pytest.fixture
def open_manager(store: Store, clock: FakeClock, run: Run) -> Iterator[OpenManager]:
    """Open managers on the store and the fake clock, or on others; all are stopped at the end."""
    managers: list[Manager] = []
    default_store, default_clock = store, clock

    def open_one(
        *, store: Store | None = None, clock: Clock | None = None, **fields: Any
    ) -> Manager:
        config = ManagerConfig(store or default_store, clock=clock or default_clock, **fields)
        managers.append(Manager(config))
        return managers[-1]

    yield open_one
    for manager in managers:
        manager.kill()
    for manager in managers:
        manager.wait(PATIENCE)


@pytest.fixture
def manager(open_manager: OpenManager) -> Manager:
    """A manager on a fake clock."""
    return open_manager()


@pytest.fixture
def real_manager(store: Store) -> Iterator[Manager]:
    """A manager on the machine's own clock."""
    with Manager(ManagerConfig(store)) as manager:
        yield manager
