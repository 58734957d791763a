"""Blocked claims: their places, and who is next."""

from __future__ import annotations

import pytest
from core.desk import (
    HERE,
    KEY,
    NOW,
    SECOND,
    THERE,
    YONDER,
    ask,
    began,
    claim,
    holders,
    lease,
    offer,
    offered,
    tenure,
    us,
    waiter,
)

from lease_actors.core.decision import QUEUED, Granted, LookAgain
from lease_actors.core.model import ClaimId, Waiter
from lease_actors.core.operations import Expire, Revoke
from lease_actors.errors import ClaimDenied


def test_a_blocked_claim_joins_behind_all_others() -> None:
    state, outcome, effects = ask(
        lease(waiter(1, THERE), tenure=tenure(), last_place=4),
        claim("bob", 0.25, id=ClaimId(HERE, 17)),
    )
    assert outcome == QUEUED
    assert state.queue[-1] == Waiter(5, ClaimId(HERE, 17), "bob", us(0.25), NOW)
    assert (state.queued, state.last_place) == (2, 5)
    assert effects == ()


def test_a_place_is_never_given_twice() -> None:
    # Whoever stood at place 9 has left; the next one stands behind all the same.
    state = ask(lease(tenure=tenure(), last_place=9), claim("bob", id=ClaimId(HERE, 1))).state
    assert state.queue[0].place == 10


def test_places_follow_the_order_of_asking() -> None:
    state = ask(
        lease(tenure=tenure()),
        claim("bob", id=ClaimId(HERE, 3)),
        claim("carol", id=ClaimId(HERE, 1)),
        claim("dave", id=ClaimId(HERE, 2)),
    ).state
    assert holders(state) == ["bob", "carol", "dave"]


def test_a_claim_asked_again_keeps_its_place_and_its_time() -> None:
    bob, carol = ClaimId(HERE, 1), ClaimId(HERE, 2)
    first = ask(lease(tenure=tenure()), claim("bob", id=bob), claim("carol", id=carol)).state
    again = ask(first, claim("bob", id=bob), now=NOW + SECOND)
    assert again.outcome == QUEUED
    assert again.state is first


def test_claims_of_one_number_from_two_starts_are_two() -> None:
    state = ask(
        lease(tenure=tenure()),
        claim("bob", id=ClaimId(HERE, 1)),
        claim("bob", id=ClaimId(THERE, 1)),
    ).state
    assert state.queued == 2


def test_one_holder_may_wait_more_than_once() -> None:
    state = ask(
        lease(tenure=tenure()), claim("bob", id=ClaimId(HERE, 1)), claim("bob", id=ClaimId(HERE, 2))
    ).state
    assert holders(state) == ["bob", "bob"]


def test_the_first_in_is_the_first_out() -> None:
    state = lease(waiter(1, HERE), waiter(2, HERE), waiter(3, HERE), tenure=tenure("alice"))
    order = ["alice"]
    while state.queued:
        decision = ask(state, Revoke(KEY, order[-1]))
        state = decision.state
        order += [b.tenure.holder for b in began(decision)]
    assert order == ["alice", "here/1", "here/2", "here/3"]


def test_the_queue_goes_before_a_newcomer_even_at_the_instant_of_expiry() -> None:
    decision = ask(lease(waiter(1, HERE), tenure=tenure("alice", left=0)), claim("bob"))
    assert isinstance(decision.outcome, ClaimDenied)
    assert decision.state.tenure is not None
    assert decision.state.tenure.holder == "here/1"


def test_the_queue_goes_before_a_newcomer_who_then_waits_behind_it() -> None:
    decision = ask(
        lease(waiter(1, HERE), waiter(2, THERE), tenure=tenure("alice", left=0)),
        claim("bob", id=ClaimId(HERE, 9)),
    )
    assert decision.outcome == QUEUED
    assert holders(decision.state) == ["there/2", "bob"]


def test_the_former_holder_waits_behind_the_queue() -> None:
    decision = ask(
        lease(waiter(1, HERE), tenure=tenure("alice", left=0)), claim("alice", id=ClaimId(HERE, 9))
    )
    assert decision.outcome == QUEUED
    assert holders(decision.state) == ["alice"]


def test_a_blocked_claim_asked_at_the_expiry_has_the_lease_and_was_not_extended() -> None:
    first = waiter(1, HERE, "bob")
    decision = ask(lease(first, tenure=tenure("alice", left=0)), claim("bob", id=first.claim))
    assert isinstance(decision.outcome, Granted)
    assert not decision.outcome.extended
    assert len(began(decision)) == 1


def test_another_claim_of_that_holder_at_the_expiry_is_an_extension() -> None:
    first = waiter(1, HERE, "bob")
    decision = ask(lease(first, tenure=tenure("alice", left=0)), claim("bob", id=ClaimId(HERE, 50)))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.extended
    assert [b.claim for b in began(decision)] == [first.claim]


def test_absent_claims_are_passed_over_and_keep_their_places() -> None:
    decision = ask(
        lease(waiter(1, THERE, absent=True), waiter(2, HERE), tenure=tenure("alice")),
        Revoke(KEY, "alice"),
    )
    assert decision.state.tenure is not None
    assert decision.state.tenure.holder == "here/2"
    assert holders(decision.state) == ["there/1"]


def test_claims_of_a_start_found_absent_earlier_in_the_batch_are_passed_over() -> None:
    decision = ask(
        lease(waiter(1, THERE), waiter(2, YONDER), tenure=tenure("alice")),
        Revoke(KEY, "alice"),
        absent=[THERE],
    )
    assert [o.offer.holder for o in offered(decision)] == ["yonder/2"]


def test_a_lease_that_only_the_absent_wait_for_is_left_free() -> None:
    decision = ask(
        lease(
            waiter(1, THERE, absent=True), waiter(2, YONDER, absent=True), tenure=tenure("alice")
        ),
        Revoke(KEY, "alice"),
    )
    assert (decision.state.tenure, decision.state.offer) == (None, None)
    assert decision.state.queued == 2
    assert not [e for e in decision.effects if isinstance(e, LookAgain)]


def test_a_returned_process_is_served_by_its_own_next_batch() -> None:
    # Its claims are live again when it writes; the lease has been free meanwhile.
    decision = ask(lease(waiter(1, HERE), waiter(2, YONDER, absent=True)), Expire(KEY))
    assert [b.tenure.holder for b in began(decision)] == ["here/1"]


def test_nobody_behind_the_horizon_is_taken_for_the_first() -> None:
    # Place 9 was named by an operation; between it and the horizon others may stand.
    state = lease(
        waiter(1, THERE), waiter(9, HERE), tenure=tenure("alice"), horizon=1, queued=9, last_place=9
    )
    decision = ask(state, Revoke(KEY, "alice"), absent=[THERE])
    assert (decision.state.tenure, decision.state.offer) == (None, None)
    assert decision.effects[-1] == LookAgain(KEY)


def test_a_claim_is_blocked_while_somebody_unseen_may_be_in_front() -> None:
    state = lease(horizon=3, queued=5, last_place=8)
    decision = ask(state, claim("bob", id=ClaimId(HERE, 1)))
    assert decision.outcome == QUEUED
    assert decision.state.queue[0].place == 9
    assert decision.state.tenure is None


def test_one_who_joins_behind_the_horizon_is_not_next() -> None:
    state = lease(waiter(1, HERE), tenure=tenure("alice"), horizon=1, queued=3, last_place=3)
    decision = ask(
        state, claim("bob", id=ClaimId(HERE, 99)), Revoke(KEY, "alice"), Revoke(KEY, "here/1")
    )
    assert decision.state.tenure is None
    assert decision.effects[-1] == LookAgain(KEY)
    assert decision.state.queued == 3  # two unseen, and bob


@pytest.mark.parametrize("pins", [(), ("unit",)])
def test_claims_queue_behind_a_lease_pinned_or_not(pins: tuple[str, ...]) -> None:
    decision = ask(
        lease(tenure=tenure("alice", left=60), pins=pins), claim("bob", id=ClaimId(HERE, 1))
    )
    assert decision.outcome == QUEUED


def test_a_claim_of_an_offered_lease_waits_behind_the_queue() -> None:
    first, second = waiter(1, THERE), waiter(2, YONDER)
    decision = ask(lease(first, second, offer=offer(first)), claim("bob", id=ClaimId(HERE, 1)))
    assert decision.outcome == QUEUED
    assert holders(decision.state) == ["there/1", "yonder/2", "bob"]
