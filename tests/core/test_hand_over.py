"""When a tenure ends, the queue's first live claim has the lease in the same decision."""

from __future__ import annotations

import pytest
from core.desk import (
    HERE,
    KEY,
    NOW,
    THERE,
    WINDOW,
    YONDER,
    ask,
    began,
    claim,
    ended,
    holders,
    lease,
    offered,
    tenure,
    us,
    waiter,
)

from lease_actors.core.decision import Ended, Granted, Offered
from lease_actors.core.model import ClaimId, Offer, Tenure
from lease_actors.core.operations import (
    Cancel,
    Check,
    Expire,
    Operation,
    Pin,
    Release,
    Revoke,
    Unpin,
    Wait,
)

ENDS: list[Operation] = [Revoke(KEY, "alice"), Release(KEY, "alice", 7)]
LOOKS: list[Operation] = [
    claim("bob"),
    claim("bob", id=ClaimId(HERE, 90)),
    Revoke(KEY, "bob"),
    Release(KEY, "alice", 7),
    Check(KEY, "alice"),
    Pin(KEY, "unit"),
    Unpin(KEY, "unit"),
    Wait(KEY),
    Cancel(KEY, ClaimId(HERE, 90)),
    Expire(KEY),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda op: op.kind)
def test_a_claim_of_this_process_has_it_at_once(end: Operation) -> None:
    decision = ask(lease(waiter(1, HERE, seconds=0.25), tenure=tenure("alice", term=7)), end)
    assert decision.state.tenure == Tenure("here/1", 8, NOW, us(0.25), NOW + us(0.25))
    assert (decision.state.queue, decision.state.queued) == ((), 0)
    [begun] = began(decision)
    assert (begun.tenure, begun.claim) == (decision.state.tenure, ClaimId(HERE, 1))


@pytest.mark.parametrize("end", ENDS, ids=lambda op: op.kind)
def test_a_claim_of_another_process_is_offered_it(end: Operation) -> None:
    first = waiter(1, THERE)
    decision = ask(lease(first, tenure=tenure("alice", term=7)), end)
    made = Offer(first.claim, "there/1", 8, NOW, NOW + WINDOW)
    assert decision.state.offer == made
    assert decision.state.tenure is None
    assert decision.state.term == 8
    assert holders(decision.state) == ["there/1"]  # until it confirms
    assert offered(decision) == [Offered(KEY, made)]


@pytest.mark.parametrize("look", LOOKS, ids=lambda op: op.kind)
def test_whatever_is_asked_of_an_overdue_lease_hands_it_over_first(look: Operation) -> None:
    decision = ask(lease(waiter(1, HERE), tenure=tenure("alice", left=0)), look)
    assert decision.state.tenure is not None
    assert decision.state.tenure.holder == "here/1"
    assert [e.how for e in ended(decision)] == ["expired"]


def test_the_end_is_told_before_the_beginning() -> None:
    before = tenure("alice")
    decision = ask(lease(waiter(1, HERE), tenure=before), Revoke(KEY, "alice"))
    assert decision.effects == (Ended(KEY, before, "revoked", NOW), *began(decision))


def test_the_duration_of_a_hand_over_counts_from_the_decision_not_from_the_expiry() -> None:
    decision = ask(lease(waiter(1, HERE, seconds=5), tenure=tenure("alice", left=-3)), Expire(KEY))
    assert decision.state.tenure is not None
    assert decision.state.tenure.expiry == NOW + us(5)


def test_how_the_last_tenure_ended_is_kept_beside_the_next() -> None:
    state = ask(lease(waiter(1, HERE), tenure=tenure("alice", term=7)), Revoke(KEY, "alice")).state
    assert (state.ended, state.ended_term, state.ended_at) == ("revoked", 7, NOW)


def test_only_one_is_woken() -> None:
    queue = [waiter(place, HERE) for place in range(1, 9)]
    decision = ask(lease(*queue, tenure=tenure("alice")), Revoke(KEY, "alice"))
    assert [b.tenure.holder for b in began(decision)] == ["here/1"]
    assert len(decision.state.queue) == 7


def test_a_live_claim_elsewhere_goes_before_a_later_one_here() -> None:
    decision = ask(
        lease(waiter(1, THERE), waiter(2, HERE), tenure=tenure("alice")), Revoke(KEY, "alice")
    )
    assert [o.offer.holder for o in offered(decision)] == ["there/1"]
    assert not began(decision)


def test_a_lease_with_a_live_waiter_is_never_left_free() -> None:
    for start in (HERE, THERE, YONDER):
        for end in (*ENDS, Expire(KEY)):
            left = 0 if isinstance(end, Expire) else 60
            state = ask(lease(waiter(1, start), tenure=tenure("alice", left=left)), end).state
            assert state.tenure or state.offer


def test_the_next_holder_may_be_the_same_one() -> None:
    decision = ask(
        lease(waiter(1, HERE, "alice"), tenure=tenure("alice", term=7)), Revoke(KEY, "alice")
    )
    assert decision.state.tenure is not None
    assert (decision.state.tenure.holder, decision.state.tenure.term) == ("alice", 8)


def test_two_ends_in_one_batch_hand_over_twice() -> None:
    state = lease(waiter(1, HERE), waiter(2, HERE), tenure=tenure("alice"))
    state = ask(state, Revoke(KEY, "alice"), Revoke(KEY, "here/1")).state
    assert state.tenure is not None
    assert (state.tenure.holder, state.tenure.term) == ("here/2", 9)


def test_a_free_lease_with_a_live_waiter_is_handed_on_by_any_look() -> None:
    for look in LOOKS:
        state = ask(lease(waiter(1, HERE)), look).state
        assert state.tenure is not None
        assert state.tenure.holder == "here/1"


def test_a_pinned_lease_goes_on_pinned() -> None:
    # A pin on a lease that is past its tenure is the lease's, not the holder's.
    decision = ask(lease(waiter(1, HERE), pins=("unit",)), Expire(KEY))
    assert began(decision)[0].pinned
    assert decision.state.pins == ("unit",)


def test_a_claim_that_frees_nothing_gets_nothing() -> None:
    decision = ask(lease(waiter(1, HERE), tenure=tenure("alice")), claim("here/1"))
    assert not isinstance(decision.outcome, Granted)
