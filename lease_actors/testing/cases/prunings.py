"""Pruning: what goes, what stays, and that no term is ever given twice."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from lease_actors.core.decision import Granted
from lease_actors.core.model import ClaimId, Key, LeaseState, Offer, Tenure
from lease_actors.core.operations import Claim, Pin, Release
from lease_actors.stores.base import Store, StorePassing
from lease_actors.testing.cases.starts import DURATION, KEY, Start, named
from lease_actors.testing.cases.threads import together

_YEAR = 366 * 24 * 3600 * 1_000_000


class PruneCases:
    """``prune``."""

    def test_a_free_lease_is_forgotten(self, store: Store) -> None:
        start = Start(store)
        start.release(start.claim())
        assert store.prune(_YEAR) == 0
        assert store.prune(0) == 1
        assert store.prune(0) == 0

    def test_what_something_hangs_on_stays(self, store: Store) -> None:
        start = Start(store)
        start.claim(named("held"))
        start.ask(Pin(named("pinned"), "p"))
        offer = Offer(ClaimId(start.name, 1), "w", 1, 2, 3)
        start.write(LeaseState(named("offered"), 1, offer=offer))
        start.write(LeaseState(named("ending"), 1, Tenure("h", 1, 1, 1, 2, "released")))
        start.claim(named("queued"))
        start.queue(1, key=named("queued"))
        assert store.prune(0) == 0

    def test_a_tenure_long_over_is_forgotten(self, store: Store) -> None:
        start = Start(store)
        start.write(LeaseState(KEY, 41, Tenure("h", 41, 1, 1, 2)))
        assert store.prune(0) == 1
        assert start.claim().term > 41

    def test_terms_go_on_above_what_was_forgotten(self, store: Store) -> None:
        start = Start(store)
        for _ in range(5):
            start.release(start.claim())
        start.release(start.claim(named("other")), named("other"))
        last = start.claim().term
        start.release(Tenure("holder", last, 0, 0, 0))
        assert store.prune(0) == 2
        assert start.look(named("never seen")).term >= last
        assert store.get(named("never seen"))[0].term >= last
        assert start.claim().term > last
        assert start.claim(named("other")).term > last

    def test_each_call_goes_on_where_the_last_one_stopped(self, store: Store) -> None:
        start = Start(store)
        keys = [named(f"l{n}") for n in range(10)]
        start.ask(*(Claim(key, "h", DURATION) for key in keys))
        start.ask(*(Release(key, "h", 1) for key in keys[1::2]))
        gone = [store.prune(0, limit=3) for _ in range(8)]
        assert all(n <= 3 for n in gone)
        assert sum(gone) == 5
        left = sorted(s.key.lease for s in store.leases("ns", "model")[0])
        assert left == sorted(key.lease for key in keys[::2])

    def test_no_interleaving_gives_a_term_twice(self, store: Store) -> None:
        keys = [named(f"l{n}") for n in range(3)]
        done: list[int] = []

        def work(key: Key) -> list[int]:
            start, terms = Start(store), []
            for _ in range(25):
                [outcome] = start.ask(Claim(key, "h", DURATION))
                assert isinstance(outcome, Granted)
                terms.append(outcome.tenure.term)
                start.ask(Release(key, "h", outcome.tenure.term))
            done.append(1)
            return terms

        def prune() -> list[int]:
            while len(done) < len(keys):
                prune_once(store)
            return []

        *all_terms, _ = together(*(partial(work, key) for key in keys), prune)
        for terms in all_terms:
            assert terms == sorted(set(terms))


def prune_once(store: Store) -> None:
    """Prune; what may pass is left to the next time."""
    with suppress(StorePassing):
        store.prune(0)
