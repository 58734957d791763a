"""Batches: once, all or nothing, one at a time on one lease."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from lease_actors.clock import Clock
from lease_actors.core.decision import Granted
from lease_actors.core.model import ClaimId, Instant, Key, LeaseState, Need, Offer, Tenure
from lease_actors.core.operations import Claim, Pin, Release
from lease_actors.stores.base import Batch, Changes, StartUnknown, Store
from lease_actors.testing.cases.starts import DURATION, KEY, Start, named
from lease_actors.testing.cases.threads import together


class BatchCases:
    """A batch is applied once, wholly or not at all."""

    def test_a_number_is_applied_once(self, store: Store) -> None:
        start = Start(store)
        first = start.claim()
        start.number = 0
        assert start.run({KEY: Need()}, _must_not_decide) is False
        assert store.get(KEY)[0].tenure == first

    def test_a_lower_number_is_not_applied(self, store: Store) -> None:
        start = Start(store)
        start.number = 7
        start.claim()
        start.number = 3
        assert start.run({KEY: Need()}, _must_not_decide) is False

    def test_numbers_of_two_starts_are_apart(self, store: Store) -> None:
        one, other = Start(store), Start(store)
        one.claim(named("a"))
        other.claim(named("b"))
        assert one.number == other.number == 1

    def test_begin_twice_is_begin_once(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        store.begin(start.name)
        start.number = 0
        assert start.run({KEY: Need()}, _must_not_decide) is False

    def test_an_unknown_start_applies_nothing(self, store: Store) -> None:
        with pytest.raises(StartUnknown):
            store.apply(Batch("0" * 32, 1, {KEY: Need()}, _must_not_decide))

    def test_an_error_of_the_decision_leaves_nothing_behind(self, store: Store) -> None:
        start = Start(store)

        def fail(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            start.run({KEY: Need()}, fail)
        start.number = 0
        assert start.claim().term == 1  # the same number, for the first time

    def test_two_attempts_at_one_number_decide_once(self, store: Store) -> None:
        start = Start(store)
        start.number = 1
        decided: list[Instant] = []

        def decide(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            decided.append(now)
            return Changes([])

        def attempt() -> bool:
            start_again = Start(store, start.name)
            return start_again.run({KEY: Need()}, decide)

        assert sorted(together(attempt, attempt, attempt)) == [False, False, True]
        assert len(decided) == 1

    def test_the_instant_is_the_stores(self, store: Store) -> None:
        start = Start(store)
        before = store.now()
        start.look()
        assert before <= start.now <= store.now()


class StateCases:
    """What is written is what is read, field by field."""

    def test_a_key_without_a_row_is_fresh(self, store: Store) -> None:
        assert Start(store).look() == LeaseState(KEY)
        assert store.get(KEY)[0] == LeaseState(KEY)

    def test_all_keys_of_a_batch_are_loaded(self, store: Store) -> None:
        start = Start(store)
        keys = [named(f"l{n:03}") for n in range(300)]
        start.ask(*(Claim(key, f"h-{key.lease}", DURATION) for key in keys[::2]))
        start.run(dict.fromkeys(reversed(keys), Need()), lambda states, now: Changes([]))
        assert set(start.seen) == set(keys)
        for n, key in enumerate(keys):
            tenure = start.seen[key].tenure
            assert (tenure and tenure.holder) == (None if n % 2 else f"h-{key.lease}")

    @pytest.mark.parametrize("ending", [None, "released", "expired", "revoked", "handed over"])
    def test_a_tenure_is_kept(self, store: Store, ending: object) -> None:
        tenure = Tenure("holder", 12, 1_582_979_696_789_012, 250_001, 1_582_979_697_039_013, ending)  # type: ignore[arg-type]
        self.check_kept(store, LeaseState(KEY, 12, tenure, last_place=3, pins=("a", "b")))

    def test_an_offer_is_kept(self, store: Store) -> None:
        offer = Offer(ClaimId("f" * 32, 2**40), "holder", 7, 1_000_001, 6_000_001, True)
        self.check_kept(store, LeaseState(KEY, 7, offer=offer))

    @pytest.mark.parametrize("ended", ["released", "expired", "revoked", "handed over"])
    def test_the_last_end_is_kept(self, store: Store, ended: object) -> None:
        state = LeaseState(KEY, 2**62, ended=ended, ended_term=2**62 - 1, ended_at=2**53 + 1)  # type: ignore[arg-type]
        self.check_kept(store, state)

    def test_pins_come_and_go(self, store: Store) -> None:
        for pins in (("b", "a"), ("a",), ("a", "c", "d"), ()):
            self.check_kept(store, LeaseState(KEY, pins=pins))

    def check_kept(self, store: Store, state: LeaseState) -> None:
        start = Start(store)
        start.write(state)
        for found in (start.look(), store.get(KEY)[0]):
            assert sorted(found.pins) == sorted(state.pins)
            assert _without_pins(found) == _without_pins(state)

    def test_everything_outlives_the_connections(self, store: Store, clock: Clock) -> None:
        start = Start(store)
        first = start.claim()
        start.ask(Pin(KEY, "entity"))
        start.queue(1)
        before = store.now()
        store.close()
        store.open(clock)
        found = start.look()
        assert (found.tenure, found.pins) == (first, ("entity",))
        assert [w.holder for w in found.queue] == ["w1"]
        assert store.now() >= before

    def test_open_twice_is_open_once(self, store: Store, clock: Clock) -> None:
        first = Start(store).claim()
        store.open(clock)
        assert store.get(KEY)[0].tenure == first


class ConcurrencyCases:
    """Starts side by side."""

    def test_a_counter_that_only_the_lease_guards(self, store: Store) -> None:
        counted = {"inside": 0, "entered": 0}
        terms: list[int] = []

        def work() -> None:
            start, me, rounds = Start(store), threading.current_thread().name, 0
            while rounds < 8:
                [outcome] = start.ask(Claim(KEY, me, DURATION))
                if not isinstance(outcome, Granted):
                    continue
                counted["inside"] += 1
                assert counted["inside"] == 1
                terms.append(outcome.tenure.term)
                counted["entered"], rounds = counted["entered"] + 1, rounds + 1
                counted["inside"] -= 1
                start.ask(Release(KEY, me, outcome.tenure.term))

        together(work, work, work, work)
        assert counted == {"inside": 0, "entered": 32}
        assert terms == sorted(set(terms))

    def test_batches_over_the_same_keys_do_not_lose_each_other(self, store: Store) -> None:
        keys = [named(f"k{n}") for n in range(6)]

        def work() -> None:
            start = Start(store)
            for turn in range(10):
                wanted = dict.fromkeys(keys[turn % 3 :], Need())
                start.run_whole(wanted, lambda s, now: Changes([_counted(x) for x in s.values()]))

        together(work, work, work)
        turns = [sum(turn % 3 <= n for turn in range(10)) for n in range(6)]
        assert [store.get(key)[0].last_place for key in keys] == [3 * n for n in turns]


def _must_not_decide(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
    raise AssertionError("decide was called")


def _without_pins(state: LeaseState) -> tuple[object, ...]:
    return state.term, state.tenure, state.offer, state.ended, state.ended_term, state.ended_at


def _counted(state: LeaseState) -> LeaseState:
    return LeaseState(state.key, state.term, last_place=state.last_place + 1)
