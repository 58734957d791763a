"""When the last pin goes, the holder has its full duration again from that moment."""

from __future__ import annotations

from core.desk import HERE, KEY, NOW, THERE, ask, began, lease, offer, tenure, us, waiter

from lease_actors.core.decide import due
from lease_actors.core.decision import DONE
from lease_actors.core.model import LeaseState
from lease_actors.core.operations import Check, Expire, Unpin

UNPIN = Unpin(KEY, "unit")


def test_the_last_unpin_refreshes_the_full_duration() -> None:
    before = tenure(left=10, seconds=60)
    state, outcome, effects = ask(lease(tenure=before, pins=("unit",)), UNPIN)
    assert (outcome, effects) == (DONE, ())
    assert state.pins == ()
    assert state.tenure is not None
    assert state.tenure.expiry == NOW + us(60)
    assert state.tenure.duration == us(60)


def test_an_overdue_lease_lives_on_when_the_last_pin_goes() -> None:
    state = ask(lease(tenure=tenure("alice", left=-3600, seconds=60), pins=("unit",)), UNPIN).state
    assert due(state) == NOW + us(60)
    assert ask(state, Check(KEY, "alice"), now=NOW + us(60) - 1).outcome == DONE
    assert ask(state, Expire(KEY), now=NOW + us(60)).state.tenure is None


def test_it_keeps_the_term() -> None:
    state = ask(lease(tenure=tenure(term=7, left=-1), pins=("unit",)), UNPIN).state
    assert state.tenure is not None
    assert state.tenure.term == state.term == 7


def test_an_unpin_never_shortens() -> None:
    # Its expiry is further away than its duration: the server's clock was set back, say.
    before = tenure(left=90, seconds=60)
    state = ask(lease(tenure=before, pins=("unit",)), UNPIN).state
    assert state.tenure == before


def test_while_another_pin_remains_nothing_is_refreshed() -> None:
    before = tenure(left=-5, seconds=60)
    state = ask(lease(tenure=before, pins=("machine", "unit")), UNPIN).state
    assert state.pins == ("machine",)
    assert state.tenure == before


def test_unpinning_what_is_not_pinned_is_nothing() -> None:
    for before in (
        LeaseState(KEY),
        lease(tenure=tenure(left=10)),
        lease(tenure=tenure(left=10), pins=("machine",)),
    ):
        decision = ask(before, UNPIN)
        assert decision.outcome == DONE
        assert decision.state is before


def test_the_last_pin_of_a_free_lease_goes_and_nothing_is_left() -> None:
    state = ask(lease(pins=("unit",)), UNPIN).state
    assert state.tenure is None
    assert state.idle


def test_unpinning_does_not_prolong_an_offer() -> None:
    first = waiter(1, THERE)
    state = ask(lease(first, offer=offer(first), pins=("unit",)), UNPIN).state
    assert state.offer == offer(first)


def test_the_queue_waits_out_the_refreshed_duration() -> None:
    state = ask(
        lease(waiter(1, HERE), tenure=tenure(left=-5, seconds=60), pins=("unit",)), UNPIN
    ).state
    assert state.queued == 1
    decision = ask(state, Expire(KEY), now=NOW + us(60))
    assert [b.tenure.holder for b in began(decision)] == ["here/1"]


def test_a_tenure_that_is_ending_is_not_refreshed() -> None:
    before = tenure(left=10, ending="revoked")
    state = ask(lease(tenure=before, pins=("unit",), guarded=True), UNPIN).state
    assert state.tenure == before
