"""The store's time on SQLite: the machine's, whatever happens to its wall clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from stores.machine import DAY, SECOND, START, Machine

from lease_actors.errors import StoreError
from lease_actors.stores import SqlStore
from lease_actors.testing.cases.starts import KEY, Start

Opener = Callable[[Machine], SqlStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens the same file anew, as another process would."""
    stores: list[SqlStore] = []

    def open_with(machine: Machine) -> SqlStore:
        store = SqlStore(f"sqlite:///{tmp_path / 'leases.db'}", create_schema=True)
        store.open(machine)
        stores.append(store)
        return store

    yield open_with
    for store in stores:
        store.close()


def test_it_begins_at_the_wall_clocks(opened: Opener) -> None:
    assert opened(Machine()).now() == START


def test_all_of_one_boot_share_it(opened: Opener) -> None:
    one = opened(Machine())
    other = opened(Machine(at=START + 7 * DAY))
    assert other.now() == one.now() == START


def test_a_step_of_the_wall_clock_reaches_nobody(opened: Opener) -> None:
    machine = Machine()
    store = opened(machine)
    machine.at -= DAY
    machine.run(SECOND)
    assert store.now() == opened(machine).now() == START + SECOND


def test_the_first_after_a_boot_takes_the_wall_clock(opened: Opener) -> None:
    opened(Machine())
    assert opened(Machine("boot-2", START + DAY, up=3)).now() == START + DAY


def test_a_boot_does_not_take_time_back(opened: Opener) -> None:
    machine = Machine()
    start = Start(opened(machine))
    machine.run(60 * SECOND)
    start.look()
    rebooted = Machine("boot-2", START - DAY, up=3)
    store = opened(rebooted)
    assert store.now() == START + 60 * SECOND
    rebooted.run(5)
    assert store.now() == START + 60 * SECOND + 5


def test_boots_that_wrote_nothing_count_too(opened: Opener) -> None:
    opened(Machine("boot-1", START + DAY))
    opened(Machine("boot-2", START, up=7))
    assert opened(Machine("boot-3", START, up=1)).now() == START + DAY


def test_a_boot_without_a_name_is_noticed(opened: Opener) -> None:
    machine = Machine("")
    start = Start(opened(machine))
    machine.run(60 * SECOND)
    start.look()
    assert opened(Machine("", START + 61 * SECOND, up=machine.up + 1)).now() == start.now + 1
    rebooted = Machine("", START + DAY, up=1)
    assert opened(rebooted).now() == START + DAY


def test_the_same_store_opened_anew_takes_the_new_clock(opened: Opener) -> None:
    store = opened(Machine())
    store.close()
    store.open(Machine("boot-2", START + DAY, up=1))
    assert store.now() == START + DAY


def test_there_is_no_time_before_open(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="open"):
        SqlStore(f"sqlite:///{tmp_path / 'leases.db'}", create_schema=True).now()


class TestForgettingStarts:
    """``prune`` also forgets starts, but not what time rests on."""

    def starts(self, store: SqlStore) -> set[str]:
        with store.engine.connect() as connection:
            return set(connection.execute(sa.text("SELECT id FROM lease_starts")).scalars())

    def test_those_unseen_for_a_week_go(self, opened: Opener) -> None:
        machine = Machine()
        store = opened(machine)
        gone, queued = Start(store), Start(store)
        machine.run(8 * DAY)
        here = Start(store)
        here.claim()
        queued.queue(1)
        machine.run(6 * DAY)
        store.prune(0)
        assert self.starts(store) == {here.name, queued.name}
        here.write(absent=frozenset({queued.name, gone.name}))
        machine.run(2 * DAY)
        here.look(KEY)
        store.prune(0)
        assert self.starts(store) == {here.name, queued.name}  # one has a place in a queue

    def test_the_newest_stays(self, opened: Opener) -> None:
        machine = Machine()
        store = opened(machine)
        start = Start(store)
        machine.run(100 * DAY)
        store.prune(0)
        assert self.starts(store) == {start.name}
