"""An offer that is relied on already becomes a tenure, under its term or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core.desk import (
    HERE,
    KEY,
    NOW,
    THERE,
    WINDOW,
    ask,
    began,
    ended,
    holders,
    lease,
    offer,
    offered,
    tenure,
    us,
    waiter,
)

from lease_actors.core.batch import needs
from lease_actors.core.decision import RENEWED, Decision
from lease_actors.core.model import ClaimId, LeaseState
from lease_actors.core.operations import Claim, Confirm, Expire, Revoke
from lease_actors.errors import LeaseLost

MINE = waiter(1, HERE, "alice")
NEXT = waiter(2, THERE, "bob")
ON_OFFER = lease(MINE, NEXT, offer=offer(MINE, term=8))
CONFIRM = Confirm(KEY, "alice", 8, timedelta(seconds=60), MINE.claim)


def reason(decision: Decision) -> str:
    assert isinstance(decision.outcome, LeaseLost)
    assert "cannot confirm lease 'lease' for holder 'alice', term 8" in str(decision.outcome)
    return decision.outcome.reason


def test_it_is_a_tenure_under_the_offers_term_and_queued_no_more() -> None:
    decision = ask(ON_OFFER, CONFIRM)
    state = decision.state
    assert decision.outcome == RENEWED
    assert state.tenure is not None
    assert (state.offer, state.tenure.holder, state.tenure.term, state.term) == (
        None,
        "alice",
        8,
        8,
    )
    assert (holders(state), state.queued) == (["bob"], 1)
    assert [(e.tenure, e.claim) for e in began(decision)] == [(state.tenure, MINE.claim)]


def test_it_was_granted_when_the_offer_was_made_and_lasts_from_now_on() -> None:
    made = NOW - us(3)
    state = ask(lease(MINE, offer=offer(MINE, term=8, made=made)), CONFIRM).state
    assert state.tenure is not None
    assert (state.tenure.granted_at, state.tenure.expiry) == (made, NOW + us(60))


def test_what_another_claim_of_that_holder_has_confirmed_it_extends() -> None:
    other = Claim(KEY, "alice", timedelta(seconds=20), ClaimId(THERE, 9))
    decision = ask(ON_OFFER, other, CONFIRM)
    assert decision.outcome == RENEWED
    assert decision.state.tenure is not None
    assert (decision.state.tenure.term, decision.state.tenure.expiry) == (8, NOW + us(60))
    assert (holders(decision.state), began(decision)) == (["bob"], [])


def test_twice_is_once() -> None:
    once = ask(ON_OFFER, CONFIRM).state
    assert ask(once, CONFIRM).state is once


@pytest.mark.parametrize(
    "state",
    [
        ask(ON_OFFER, Revoke(KEY, "alice")).state,
        ask(ON_OFFER, Expire(KEY), now=NOW + WINDOW, start=THERE).state,
        lease(MINE, term=8, queued=1),
        lease(MINE, tenure=tenure("alice", term=9)),
    ],
    ids=["revoked", "lapsed", "nobody has it", "a later tenure"],
)
def test_what_is_on_offer_no_more_is_not_had_and_the_claim_has_left(state: LeaseState) -> None:
    decision = ask(state, CONFIRM)
    assert isinstance(decision.outcome, LeaseLost)
    assert MINE.claim not in [w.claim for w in decision.state.queue]
    assert decision.state.tenure == state.tenure


def test_an_offer_that_has_lapsed_goes_to_the_next_and_not_to_that_claim_again() -> None:
    decision = ask(lease(MINE, NEXT, offer=offer(MINE, made=NOW - WINDOW)), CONFIRM)
    assert reason(decision) == "unknown"
    assert [e.offer.claim for e in offered(decision)] == [NEXT.claim]
    alone = ask(lease(MINE, offer=offer(MINE, made=NOW - WINDOW)), CONFIRM)
    assert reason(alone) == "unknown"
    assert (alone.state.tenure, alone.state.offer, alone.state.queued) == (None, None, 0)


def test_a_later_offer_to_the_same_claim_is_declined() -> None:
    decision = ask(lease(MINE, NEXT, offer=offer(MINE, term=9)), CONFIRM)
    assert reason(decision) == "unknown"
    assert [(e.offer.claim, e.offer.term) for e in offered(decision)] == [(NEXT.claim, 10)]


def test_a_tenure_that_has_expired_since_is_not_revived() -> None:
    state = lease(tenure=tenure("alice", term=8, left=0))
    decision = ask(state, CONFIRM)
    assert reason(decision) == "expired"
    assert [e.how for e in ended(decision)] == ["expired"]


def test_one_that_only_a_guard_keeps_is_lost() -> None:
    state = lease(tenure=tenure("alice", term=8, ending="revoked"), guarded=True)
    decision = ask(state, CONFIRM)
    assert reason(decision) == "revoked"
    assert decision.state is state


def test_a_batch_looks_for_the_claim_wherever_it_stands_in_the_queue() -> None:
    assert needs([CONFIRM])[KEY].claims == {MINE.claim}
