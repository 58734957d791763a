"""The queue as a batch is shown it: the live ones in front, and who was named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lease_actors.core.model import ClaimId, LeaseState, Need, Waiter
from lease_actors.core.operations import Cancel
from lease_actors.stores.base import Store
from lease_actors.testing.cases.starts import KEY, Start, named


def _shown(state: LeaseState) -> list[tuple[str, bool]]:
    return [(w.holder, w.absent) for w in state.queue]


def _live(*holders: str) -> list[tuple[str, bool]]:
    return [(holder, False) for holder in holders]


class QueueCases:
    """``Need``, ``queue`` and ``horizon``."""

    def test_waiters_stand_in_order_of_arrival(self, store: Store) -> None:
        one, other = Start(store), Start(store)
        one.claim()
        one.queue(9)
        other.queue(1)
        one.queue(3)
        waiting = store.waiting(KEY)
        assert [w.holder for w in waiting] == ["w9", "w1", "w3"]
        assert [w.claim for w in waiting] == [one.claim_id(9), other.claim_id(1), one.claim_id(3)]
        assert [w.place for w in waiting] == sorted({w.place for w in waiting})
        assert all(w.duration == 30_000_001 and w.since <= store.now() for w in waiting)

    def test_the_window_has_as_many_heads_as_are_needed(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        start.queue(1, 2, 3, 4, 5)
        state = start.look(need=Need(heads=3))
        assert _shown(state) == _live("w1", "w2", "w3")
        assert state.horizon == state.queue[-1].place
        assert (state.queued, state.last_place) == (5, 5)

    def test_no_horizon_when_nobody_stands_behind(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        start.queue(1, 2)
        for heads in (2, 3, 100):
            state = start.look(need=Need(heads))
            assert _shown(state) == _live("w1", "w2")
            assert state.horizon is None

    def test_who_is_named_is_shown_wherever_he_stands(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        start.queue(1, 2, 3, 4, 5)
        wanted = frozenset(map(start.claim_id, (5, 1, 4, 77)))
        state = start.look(need=Need(2, wanted))
        assert _shown(state) == _live("w1", "w2", "w4", "w5")
        assert state.horizon == state.queue[1].place

    def test_who_is_named_elsewhere_is_not_shown(self, store: Store) -> None:
        start, other = Start(store), named("other")
        start.claim()
        start.claim(other)
        start.queue(1, 2, 3)
        start.queue(8, 9, 10, key=other)
        state = start.look(need=Need(1, frozenset({start.claim_id(9), start.claim_id(3)})))
        assert _shown(state) == _live("w1", "w3")

    def test_anyone_can_leave_from_anywhere(self, store: Store) -> None:
        start = Start(store)
        start.claim()
        start.queue(*range(1, 8))
        for gone in (1, 7, 4):
            start.ask(Cancel(KEY, start.claim_id(gone)))
        assert [w.holder for w in store.waiting(KEY)] == ["w2", "w3", "w5", "w6"]
        state = store.get(KEY)[0]
        assert (state.queued, state.last_place, state.queue) == (4, 7, ())
        start.queue(8)
        assert store.waiting(KEY)[-1].place == 8

    def test_a_fresh_lease_can_be_written_with_queue_and_pins(self, store: Store) -> None:
        start = Start(store)
        waiter = Waiter(1, start.claim_id(4), "w", 5, 6)
        state = LeaseState(KEY, 3, queue=(waiter,), queued=1, last_place=1, pins=("p",))
        start.write(state)
        found = start.look()
        assert (found.queue, found.queued, found.pins) == ((waiter,), 1, ("p",))

    def test_an_unknown_lease_has_no_queue(self, store: Store) -> None:
        assert store.waiting(KEY) == []


class AbsenceCases:
    """Who missed an offer is passed over, until he shows himself."""

    def crowd(self, store: Store) -> Iterator[Start]:
        """The holder's start, the absent one's, a live one's; the absent one is in front."""
        holder, gone, live = Start(store), Start(store), Start(store)
        holder.claim()
        gone.queue(1, 2, 3)
        live.queue(4, 5, 6)
        holder.write(absent=frozenset({gone.name}))
        return iter((holder, gone, live))

    def test_the_absent_are_not_among_the_heads(self, store: Store) -> None:
        holder, _, _ = self.crowd(store)
        state = holder.look(need=Need(2))
        assert _shown(state) == _live("w4", "w5")
        assert state.horizon == state.queue[-1].place
        assert state.queued == 6

    def test_the_absent_do_not_make_a_horizon(self, store: Store) -> None:
        holder, gone, _ = self.crowd(store)
        gone.queue(7)
        holder.write(absent=frozenset({gone.name}))
        state = holder.look(need=Need(3))
        assert _shown(state) == _live("w4", "w5", "w6")
        assert state.horizon is None

    def test_nobody_live_is_nobody(self, store: Store) -> None:
        holder, _, live = self.crowd(store)
        holder.write(absent=frozenset({live.name}))
        state = holder.look()
        assert (state.queue, state.horizon, state.queued) == ((), None, 6)

    def test_the_absent_are_marked_when_named(self, store: Store) -> None:
        holder, gone, live = self.crowd(store)
        need = Need(1, frozenset({gone.claim_id(2), live.claim_id(6)}))
        assert _shown(holder.look(need=need)) == [("w2", True), ("w4", False), ("w6", False)]

    def test_the_absent_are_marked_in_the_whole_queue(self, store: Store) -> None:
        self.crowd(store)
        assert [w.absent for w in store.waiting(KEY)] == [True] * 3 + [False] * 3

    def test_to_write_is_to_be_there(self, store: Store) -> None:
        holder, gone, _ = self.crowd(store)
        assert _shown(gone.look(need=Need(2))) == _live("w1", "w2")
        assert _shown(holder.look(need=Need(2))) == _live("w1", "w2")
        assert not any(w.absent for w in store.waiting(KEY))

    def test_one_can_be_absent_again(self, store: Store) -> None:
        holder, gone, _ = self.crowd(store)
        gone.look()
        holder.write(absent=frozenset({gone.name}))
        assert _shown(holder.look(need=Need(1))) == _live("w4")

    def test_a_start_that_nobody_knows_is_absent(self, store: Store) -> None:
        start = Start(store)
        waiter = Waiter(1, ClaimId("e" * 32, 1), "w", 5, 6)
        start.write(LeaseState(KEY, 3, queue=(waiter,), queued=1, last_place=1))
        assert start.look().queue == ()
        assert store.waiting(KEY) == [replace(waiter, absent=True)]
        start.write(absent=frozenset({"e" * 32}))  # and marking it is nothing
