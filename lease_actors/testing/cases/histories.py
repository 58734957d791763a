"""The history: every tenure that ended is in it, once, as long as it is on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import chain, pairwise

import pytest

from lease_actors.clock import Clock
from lease_actors.core.decision import Granted
from lease_actors.core.model import Ending, Instant, Key, LeaseState, Micros, PastTenure, Tenure
from lease_actors.core.operations import Claim, Pin, Release, Revoke
from lease_actors.errors import NotValid
from lease_actors.stores.base import Changes, HistoryQuery, Store
from lease_actors.testing.cases.reads import ALIKE
from lease_actors.testing.cases.starts import DURATION, KEY, Start, named
from lease_actors.testing.cases.threads import together

_YEAR = 366 * 24 * 3600 * 1_000_000
_OVER = Tenure("gone", 7, 1_000_001, 250_001, 1_250_002)
"""Its expiry has come, by any clock."""


class HistoryCases:
    """``history``, ``set_history``, ``history_setting``."""

    def test_it_is_off_until_it_is_switched_on(self, store: Store) -> None:
        start = Start(store)
        start.release(start.claim())
        start.write(LeaseState(named("over"), 7, _OVER))
        assert store.history_setting() is None
        assert history(store) == []
        start.claim(named("over"))
        assert history(store) == []

    def test_the_setting_outlives_the_connections(self, store: Store, clock: Clock) -> None:
        for retention in (_YEAR, 0, 2**53 + 1, None, 1):
            store.set_history(retention)
            store.close()
            store.open(clock)
            assert store.history_setting() == retention

    @pytest.mark.parametrize("retention", [-1, 1.5, True, "1", timedelta(days=1), 2**62])
    def test_a_retention_that_is_none_is_refused(self, store: Store, retention: Micros) -> None:
        store.set_history(_YEAR)
        with pytest.raises(NotValid, match="retention"):
            store.set_history(retention)
        assert store.history_setting() == _YEAR

    @pytest.mark.parametrize("how", ["released", "handed over"])
    def test_a_release_is_recorded(self, store: Store, how: Ending) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        tenure = start.claim()
        start.ask(Release(KEY, "holder", tenure.term, how=how))
        past = PastTenure(KEY, "holder", tenure.term, tenure.granted_at, start.now, how)
        assert history(store) == [past]

    def test_a_revocation_is_recorded(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        tenure = start.claim()
        start.ask(Claim(KEY, "holder", DURATION * 2), Revoke(KEY, "holder"))
        past = PastTenure(KEY, "holder", tenure.term, tenure.granted_at, start.now, "revoked")
        assert history(store) == [past]

    def test_an_expiry_is_recorded_as_of_its_instant(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        start.write(LeaseState(KEY, 7, _OVER))
        before = history(store)
        start.claim()
        assert (
            history(store)
            == before
            == [PastTenure(KEY, "gone", 7, 1_000_001, 1_250_002, "expired")]
        )

    def test_what_stands_or_is_ending_is_not_past(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        start.claim()
        start.write(LeaseState(named("pinned"), 7, _OVER, pins=("p",)))
        start.write(LeaseState(named("ending"), 7, Tenure("h", 7, 1, 1, 2, "revoked")))
        start.ask(Pin(named("free"), "p"))
        assert history(store) == []

    def test_what_is_pruned_over_its_expiry_is_recorded(self, store: Store) -> None:
        store.set_history(2**61)
        Start(store).write(LeaseState(KEY, 7, _OVER), LeaseState(named("free"), 3))
        assert store.prune(0) == 2
        assert history(store) == [PastTenure(KEY, "gone", 7, 1_000_001, 1_250_002, "expired")]

    def test_a_batch_applied_before_records_nothing_again(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        end(start, past("a", 1))
        start.number -= 1
        end(start, past("a", 1))
        assert len(history(store)) == 1

    def test_it_is_read_from_the_last_end_backwards(self, store: Store) -> None:
        store.set_history(2**61)
        records = [past(lease, n) for n, lease in enumerate("abcabc", 1)]
        end(Start(store), records[2], records[0], records[5], *records[3:5], records[1])
        newest = records[::-1]
        assert history(store) == newest
        assert history(store, limit=2) == newest[:2]
        assert history(store, since=2, until=5) == newest[2:5]
        assert history(store, since=2, until=5, limit=1) == [records[3]]
        assert history(store, lease="b") == [records[4], records[1]]
        assert history(store, lease="b", limit=1) == [records[4]]
        assert history(store, lease="b", since=3) == [records[4]]
        assert history(store, lease="b", until=5) == [records[1]]
        assert history(store, lease="z") == []

    def test_the_same_bounds_hold_for_what_nobody_has_tidied_away(self, store: Store) -> None:
        store.set_history(2**61)
        states = [LeaseState(named(f"l{n}"), 1, Tenure("h", 1, 0, n, n)) for n in range(1, 5)]
        Start(store).write(*states)
        assert leases(history(store)) == ["l4", "l3", "l2", "l1"]
        assert leases(history(store, since=2, until=4)) == ["l3", "l2"]
        assert leases(history(store, limit=1, until=4)) == ["l3"]
        assert leases(history(store, lease="l2")) == ["l2"]
        assert history(store, lease="l2", since=3) == []
        assert history(store, lease="l2", until=2) == []

    def test_it_is_that_of_one_namespace_and_model_or_of_all(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        keys = [Key("ns", "m", "a"), Key("ns", "", "a"), Key("ns2", "m", "a"), Key("ns", "m", "b")]
        end(start, *(PastTenure(key, "h", 1, 1, 2, "released") for key in keys))
        start.write(LeaseState(Key("ns", "m3", "a"), 7, _OVER))
        assert keys_of(store.history(HistoryQuery("ns", ""))) == [keys[1]]
        assert keys_of(store.history(HistoryQuery("ns2", "m"))) == [keys[2]]
        assert set(keys_of(store.history(HistoryQuery("ns", "m")))) == {keys[0], keys[3]}
        assert store.history(HistoryQuery("ns", "m2")) == []
        everywhere = store.history(HistoryQuery(None, None))
        assert set(keys_of(everywhere)) == {*keys, Key("ns", "m3", "a")}
        assert len(store.history(HistoryQuery(None, None, limit=2))) == 2
        assert keys_of(store.history(HistoryQuery(None, None, until=2))) == []

    @pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE)
    def test_records_of_names_alike_are_apart(self, store: Store, alike: tuple[str, str]) -> None:
        store.set_history(_YEAR)
        keys = [Key(name, name, name) for name in alike]
        end(Start(store), *(PastTenure(key, key.lease, 1, 1, 2, "revoked") for key in keys))
        for key in keys:
            [found] = store.history(HistoryQuery(*key))
            assert (found.key, found.holder) == (key, key.lease)

    @pytest.mark.parametrize("letter", ["x", "\U0001f512"])
    def test_records_take_names_of_255_characters(self, store: Store, letter: str) -> None:
        store.set_history(_YEAR)
        long = letter * 255
        record = PastTenure(Key(long, long, long), long, 2**62, 2**60, 2**61, "handed over")
        end(Start(store), record)
        assert store.history(HistoryQuery(long, long)) == [record]

    def test_all_that_a_batch_ends_is_recorded(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        keys = [named(f"l{n:03}") for n in range(300)]
        start.ask(*(Claim(key, "h", DURATION) for key in keys))
        start.ask(*(Revoke(key, "h") for key in keys))
        assert sorted(leases(history(store, limit=1000))) == [key.lease for key in keys]
        assert len(history(store)) == 100

    def test_off_records_no_more_and_keeps_what_it_has(self, store: Store) -> None:
        store.set_history(_YEAR)
        start = Start(store)
        start.release(start.claim(named("a")), named("a"))
        store.set_history(None)
        start.release(start.claim(named("b")), named("b"))
        store.prune(_YEAR)
        assert leases(history(store)) == ["a"]
        store.set_history(0)
        start.release(start.claim(named("c")), named("c"))
        assert leases(history(store)) == ["c", "a"]

    def test_what_is_too_old_is_forgotten(self, store: Store) -> None:
        store.set_history(_YEAR)
        now = store.now()
        old = [past("old", n) for n in range(1, 8)]
        young = past("young", now - _YEAR // 2)
        end(Start(store), *old, young)
        store.prune(_YEAR, limit=3)
        assert history(store) == [young]
        store.set_history(_YEAR // 4)
        store.set_history(None)
        store.prune(_YEAR)
        assert history(store) == []

    def test_it_shows_that_no_two_tenures_overlap(self, store: Store) -> None:
        store.set_history(_YEAR)

        def work(name: str) -> list[int]:
            start = Start(store)
            terms: list[int] = []
            while len(terms) < 10:
                [outcome] = start.ask(Claim(KEY, name, DURATION))
                if isinstance(outcome, Granted):
                    terms.append(outcome.tenure.term)
                    start.ask(Release(KEY, name, outcome.tenure.term))
            return terms

        terms = together(*(partial(work, name) for name in "abc"))
        records = history(store, lease=KEY.lease)[::-1]
        assert [r.term for r in records] == sorted(chain(*terms))
        for before, after in pairwise(records):
            assert before.granted_at <= before.ended_at <= after.granted_at


def history(
    store: Store,
    lease: str | None = None,
    *,
    limit: int = 100,
    since: Instant | None = None,
    until: Instant | None = None,
) -> list[PastTenure]:
    """What is past beside ``KEY``."""
    return store.history(HistoryQuery("ns", "model", lease, limit, since, until))


def past(lease: str, ended_at: Instant) -> PastTenure:
    """A record with that end."""
    return PastTenure(named(lease), "h", ended_at, 0, ended_at, "released")


def end(start: Start, *records: PastTenure) -> None:
    """Have these recorded as what a batch has ended."""
    start.run({}, lambda states, now: Changes([], ended=records))


def leases(records: Sequence[PastTenure]) -> list[str]:
    """Whose they are."""
    return [record.key.lease for record in records]


def keys_of(records: Sequence[PastTenure]) -> list[Key]:
    """Whose they are, in full."""
    return [record.key for record in records]
