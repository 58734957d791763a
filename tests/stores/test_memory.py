"""The store in memory: the suite for all stores, and its own clock."""

from __future__ import annotations

from stores.machine import DAY, START, Machine

from lease_actors.clock import Clock
from lease_actors.core.model import Need
from lease_actors.core.operations import Cancel
from lease_actors.stores import MemoryStore, Store
from lease_actors.testing.cases.starts import KEY, Start
from lease_actors.testing.clock import FakeClock
from lease_actors.testing.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    def make_store(self, clock: Clock) -> Store:
        return MemoryStore()

    def test_time_is_the_wall_clocks_at_first_and_then_steady(
        self, store: Store, clock: FakeClock
    ) -> None:
        assert store.now() == clock.wall()
        clock.step_wall(-3600)
        clock.advance(1)
        assert store.now() == clock.wall() + 3600_000_000

    def test_a_step_of_the_wall_clock_does_not_reach_a_store_that_is_opened_anew(
        self, store: Store, clock: FakeClock
    ) -> None:
        before = store.now()
        for step in (3600, -7200):
            clock.step_wall(step)
            store.close()
            clock.advance(1)
            store.open(clock)
            before += 1_000_000
            assert store.now() == before

    def test_a_boot_without_a_name_is_noticed(self) -> None:
        store, machine = MemoryStore(), Machine("")
        for at in (START, START + DAY):
            machine.at = at
            store.open(machine)
            assert store.now() == START
            store.close()
        store.open(Machine("", START + DAY, up=1))
        assert store.now() == START + DAY

    def test_another_clock_does_not_take_time_back(self, store: Store, clock: FakeClock) -> None:
        before = store.now()
        store.close()
        behind = FakeClock()
        behind.step_wall(-3600)
        store.open(behind)
        assert store.now() == before
        behind.advance(1)
        assert store.now() == before + 1_000_000

    def test_one_among_ten_thousand_is_found(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        for first in range(0, 10_000, 500):
            start.queue(*range(first, first + 500))
        state = start.look(need=Need(2, frozenset({start.claim_id(7000)})))
        assert [w.holder for w in state.queue] == ["w0", "w1", "w7000"]
        for first in range(0, 9_900, 100):
            start.ask(*(Cancel(KEY, start.claim_id(n)) for n in range(first, first + 100)))
        assert [w.holder for w in store.waiting(KEY)][:2] == ["w9900", "w9901"]
