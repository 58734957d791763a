"""The connections of a store are closed with it, whoever uses one just then."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.interrupting import interrupted
from support.managers import Calling, until

from lease_actors.stores import SqlStore
from lease_actors.testing.cases.starts import Start
from lease_actors.testing.clock import FakeClock


@pytest.mark.parametrize("when", ["just before", "just after"])
def test_one_that_is_given_back_while_the_store_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'leases.db'}", create_schema=True)
    store.open(FakeClock())
    Start(store).claim()
    use = store._connections.one()
    driver = driver_of(use.__enter__())
    dispose = store.engine.dispose

    def meanwhile() -> None:
        steps: list[Callable[[], object]] = [lambda: use.__exit__(None, None, None), dispose]
        for step in steps if when == "just before" else reversed(steps):
            step()

    monkeypatch.setattr(store.engine, "dispose", meanwhile)
    store.close()
    assert is_closed(driver)


def test_of_two_that_are_given_back_at_once_none_is_lost(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'leases.db'}", create_schema=True)
    store.open(FakeClock())
    with store._connections.one() as one, store._connections.one() as other:
        drivers = [driver_of(one), driver_of(other)]
        assert drivers[0] is not drivers[1]
    with store._connections.one() as again:
        assert driver_of(again) in drivers
    store.close()
    assert all(map(is_closed, drivers))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_ctrl_c_while_a_fork_waits_for_a_transaction_leaves_the_store_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'leases.db'}", create_schema=True)
    store.open(FakeClock())
    stillness = store._connections.stillness
    swallowed: list[type[BaseException]] = []  # Python prints what a hook raises, and forks
    monkeypatch.setattr(sys, "unraisablehook", lambda found: swallowed.append(found.exc_type))
    with (
        store._connections.one(),
        interrupted(lambda: until(lambda: stillness._awaited, "a fork that waits")),
    ):
        child = os.fork()
        if child == 0:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert swallowed == [KeyboardInterrupt]
    Calling(Start(store).claim).outcome()
    store.close()


def driver_of(connection: sa.Connection) -> Any:
    return connection.connection.driver_connection


def is_closed(driver: sqlite3.Connection) -> bool:
    try:
        driver.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return True
    return False
