"""What a manager learns of the others: by looking, and by notices where the store has them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from lease_actors.core.model import ClaimId, Key, LeaseState, Need, Notice, Offer
from lease_actors.stores.base import Changes, Store
from lease_actors.testing.cases.starts import KEY, Start, named

__all__ = ["ListenCases", "PeekCases"]

_PATIENCE = 20.0


class PeekCases:
    """``peek`` and ``version``."""

    def test_a_look_has_the_leases_that_were_asked_for_in_order(self, store: Store) -> None:
        start = Start(store)
        start.claim(named("b"), "bob")
        start.claim(named("a"), "ann")
        keys = [named("b"), named("missing"), named("a")]
        peek = store.peek(start.name, keys)
        assert [s.key for s in peek.states] == keys
        assert [s.tenure.holder if s.tenure else None for s in peek.states] == ["bob", None, "ann"]
        assert peek.states[0] == store.get(named("b"))[0]
        assert peek.now <= store.now()

    def test_a_look_at_nothing_finds_the_offers_all_the_same(self, store: Store) -> None:
        one, other = Start(store), Start(store)
        made = Offer(one.claim_id(1), "w1", 1, 2, 3)
        other.write(
            LeaseState(KEY, 1, offer=made),
            LeaseState(named("others"), 1, offer=Offer(other.claim_id(1), "w1", 1, 2, 3)),
        )
        assert store.offered(one.name)
        peek = store.peek(one.name, [])
        assert (list(peek.offers), list(peek.states)) == ([(KEY, made)], [])
        one.edit(KEY, lambda s: LeaseState(KEY, s.term), Need())
        assert list(store.peek(one.name, []).offers) == []
        assert not store.offered(one.name)
        assert store.offered(other.name)

    def test_a_look_tells_a_start_that_it_is_absent(self, store: Store) -> None:
        one, other = Start(store), Start(store)
        assert not store.peek(one.name, []).absent
        other.run({}, lambda states, now: Changes([], frozenset([one.name])))
        assert store.peek(one.name, []).absent
        assert not store.peek(other.name, []).absent
        one.look()
        assert not store.peek(one.name, []).absent

    def test_a_look_has_the_pins(self, store: Store) -> None:
        start = Start(store)
        start.write(LeaseState(KEY))
        start.edit(KEY, lambda s: LeaseState(KEY, pins=("p", "q")), Need())
        assert sorted(store.peek(start.name, [KEY]).states[0].pins) == ["p", "q"]

    def test_a_look_at_very_many_leases(self, store: Store) -> None:
        start = Start(store)
        start.claim(named("300"))
        keys = [named(str(n)) for n in range(600)]
        states = store.peek(start.name, keys).states
        assert [s.key for s in states] == keys
        assert [s.key.lease for s in states if s.tenure] == ["300"]

    def test_the_version_differs_when_anything_was_written(self, store: Store) -> None:
        start = Start(store)
        before = store.version()
        if before is None:
            return  # this store has no cheap one, and says so
        assert store.version() == before
        start.claim()
        assert store.version() != before


class ListenCases:
    """``listen``, where the store can tell."""

    hears = True
    """Do notices arrive? If not, through a pooler for instance, no listener may say so."""

    def _ear(self, store: Store, start: str) -> _Ear:
        return _Ear(store, start, self.hears)

    def test_a_listener_works_only_where_notices_arrive(self, store: Store) -> None:
        ear = self._ear(store, Start(store).name)
        assert ear.works in (None, self.hears)
        ear.close()

    def test_a_claim_of_the_listener_is_told_of_its_turn(self, store: Store) -> None:
        one, other = Start(store), Start(store)
        ear = self._ear(store, one.name)
        notice = Notice(KEY, one.claim_id(7))
        other.run({}, lambda states, now: Changes([], notices=[notice]))
        assert ear.hears(notice)
        ear.close()

    def test_what_concerns_all_is_told_to_all_others(self, store: Store) -> None:
        one, two, other = Start(store), Start(store), Start(store)
        ears = [self._ear(store, one.name), self._ear(store, two.name)]
        notice = Notice(Key("näme", "", "lease with 'quotes\\"))
        other.run({}, lambda states, now: Changes([], notices=[notice]))
        assert all(ear.hears(notice) for ear in ears)
        for ear in ears:
            ear.close()

    def test_nobody_is_told_of_what_concerns_somebody_else(self, store: Store) -> None:
        one, two, other = Start(store), Start(store), Start(store)
        ear = self._ear(store, one.name)
        for_two, for_all = Notice(KEY, two.claim_id(1)), Notice(KEY)
        other.run({}, lambda states, now: Changes([], notices=[for_two]))
        other.run({}, lambda states, now: Changes([], notices=[for_all]))
        assert ear.hears(for_all)
        assert for_two not in ear.heard
        ear.close()

    def test_names_of_any_length_are_told_or_everything_is_to_be_looked_at(
        self, store: Store
    ) -> None:
        one, other = Start(store), Start(store)
        ear = self._ear(store, one.name)
        long = Key("\U0001f512" * 255, "\U0001f513" * 255, "\U0001f510" * 255)
        notices = [Notice(long, ClaimId(one.name, n)) for n in range(20)]
        other.run({}, lambda states, now: Changes([], notices=notices))
        assert ear.hears(notices[-1])
        ear.close()

    def test_after_close_nothing_is_heard(self, store: Store) -> None:
        one, two, other = Start(store), Start(store), Start(store)
        closed, open_ = self._ear(store, one.name), self._ear(store, two.name)
        closed.close()
        other.run({}, lambda states, now: Changes([], notices=[Notice(KEY)]))
        assert open_.hears(Notice(KEY))
        assert closed.heard == []
        open_.close()


class _Ear:
    """Listens, if the store can; if not, hears all that it is asked for."""

    def __init__(self, store: Store, start: str, arrives: bool) -> None:
        self.heard: list[Notice] = []
        self._everything = False
        self._changed = threading.Condition()
        self._listener = store.listen(start, self._hear)
        self._arrives = arrives and self._listener is not None
        if self._arrives:
            self._wait_until_it_works()

    @property
    def works(self) -> bool | None:
        """Whether the listener says that notices arrive; None: there is none."""
        return None if self._listener is None else self._listener.working

    def _wait_until_it_works(self) -> None:
        tick = threading.Event()
        for _ in range(round(_PATIENCE / 0.01)):
            if self.works:
                return
            tick.wait(0.01)
        raise AssertionError("the listener does not come to work")

    def _hear(self, notices: Sequence[Notice]) -> None:
        with self._changed:
            self.heard += notices
            self._everything |= not notices
            self._changed.notify_all()

    def hears(self, notice: Notice) -> bool:
        if not self._arrives:
            return True
        with self._changed:
            return self._changed.wait_for(
                lambda: notice in self.heard or self._everything, _PATIENCE
            )

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
