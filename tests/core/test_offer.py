"""A lease on its way to a claim of another process: confirmed, declined, revoked, missed."""

from __future__ import annotations

from typing import Any

import pytest
from core.desk import (
    HERE,
    KEY,
    NOW,
    SECOND,
    THERE,
    WINDOW,
    YONDER,
    ask,
    began,
    claim,
    context,
    ended,
    holders,
    lease,
    offer,
    offered,
    tenure,
    us,
    waiter,
)

from lease_actors.core.batch import decide_batch
from lease_actors.core.decide import due
from lease_actors.core.decision import DONE, QUEUED, Decision, Granted, LookAgain, Missed
from lease_actors.core.model import ClaimId, LeaseState, Waiter
from lease_actors.core.operations import Cancel, Check, Expire, Pin, Release, Revoke, Wait
from lease_actors.errors import ClaimDenied, NotHeld

FIRST, NEXT = waiter(1, THERE), waiter(2, YONDER)
MADE = NOW - SECOND


def on_offer(*queue: Waiter, made: int = MADE, **fields: Any) -> LeaseState:
    """The lease is offered to ``there``'s first claim, under term 8."""
    waiting = queue or (FIRST,)
    return lease(*waiting, offer=offer(FIRST, 8, made=made), **fields)


def lapsed(*queue: Waiter, **fields: Any) -> LeaseState:
    """That offer lapses at this very instant."""
    return on_offer(*queue, made=NOW - WINDOW, **fields)


# -- while it stands ---------------------------------------------------------------------


def test_nobody_holds_what_is_only_offered() -> None:
    for holder in ("there/1", "alice"):
        outcome = ask(on_offer(), Check(KEY, holder)).outcome
        assert isinstance(outcome, NotHeld)
        assert "has not confirmed" in str(outcome)


def test_no_tenure_stands_while_it_is_offered() -> None:
    assert ask(on_offer(), Wait(KEY)).outcome == DONE


def test_it_must_be_looked_at_when_it_lapses() -> None:
    assert due(on_offer()) == MADE + WINDOW
    assert due(on_offer(pins=("unit",))) == MADE + WINDOW


def test_a_look_before_its_lapse_changes_nothing() -> None:
    before = on_offer(FIRST, NEXT, made=NOW - WINDOW + 1)
    decision = ask(before, Expire(KEY))
    assert decision.state is before
    assert decision.effects == ()


def test_a_release_does_not_touch_it() -> None:
    before = on_offer()
    assert ask(before, Release(KEY, "there/1", 8)).state is before


# -- confirmed ---------------------------------------------------------------------------


def test_it_is_confirmed_by_the_claim_it_was_made_to() -> None:
    state, outcome, effects = ask(on_offer(), claim("there/1", 30, id=FIRST.claim), start=THERE)
    assert state.tenure is not None
    assert outcome == Granted(state.tenure, pinned=False, extended=False)
    assert (state.offer, state.queue, state.queued) == (None, (), 0)
    assert [b.claim for b in began(Decision(state, outcome, effects))] == [FIRST.claim]


def test_the_confirmed_tenure_has_the_offers_term() -> None:
    state = ask(on_offer(), claim("there/1", id=FIRST.claim), start=THERE).state
    assert state.tenure is not None
    assert (state.tenure.term, state.term) == (8, 8)


def test_the_duration_counts_from_the_confirmation() -> None:
    state = ask(on_offer(), claim("there/1", 30, id=FIRST.claim), start=THERE).state
    assert state.tenure is not None
    assert (state.tenure.granted_at, state.tenure.expiry) == (NOW, NOW + us(30))


def test_it_is_confirmed_by_any_other_claim_of_that_holder() -> None:
    decision = ask(on_offer(), claim("there/1", 30), start=HERE)
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.term == 8
    assert holders(decision.state) == ["there/1"]  # the first claim is answered when asked again
    again = ask(decision.state, claim("there/1", 30, id=FIRST.claim), start=THERE)
    assert isinstance(again.outcome, Granted)
    assert again.outcome.extended
    assert again.state.queued == 0


def test_another_claim_that_is_shorter_does_not_cut_what_it_was_offered_for() -> None:
    state = ask(on_offer(FIRST), claim(FIRST.holder, 0.25)).state
    assert state.tenure is not None
    assert (state.tenure.expiry, state.tenure.duration) == (MADE + WINDOW, us(0.25))
    own = ask(on_offer(FIRST), claim(FIRST.holder, 0.25, FIRST.claim)).state
    assert own.tenure is not None
    assert own.tenure.expiry == NOW + us(0.25)


def test_a_queueing_claim_that_confirms_for_its_holder_does_not_queue() -> None:
    other = ClaimId(HERE, 40)
    decision = ask(on_offer(), claim("there/1", id=other), start=HERE)
    assert isinstance(decision.outcome, Granted)
    assert [b.claim for b in began(decision)] == [other]
    assert decision.state.queued == 1


def test_it_is_confirmed_one_microsecond_before_its_lapse() -> None:
    decision = ask(on_offer(made=NOW - WINDOW + 1), claim("there/1", id=FIRST.claim), start=THERE)
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.term == 8


def test_the_confirmed_lease_is_pinned_if_pins_were_kept() -> None:
    decision = ask(on_offer(), Pin(KEY, "unit"), claim("there/1", id=FIRST.claim), start=THERE)
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.pinned


def test_another_claim_of_the_same_process_but_another_holder_confirms_nothing() -> None:
    second = waiter(2, THERE)
    decision = ask(on_offer(FIRST, second), claim("there/2", id=second.claim), start=THERE)
    assert decision.outcome == QUEUED
    assert decision.state.offer is not None


# -- too late ----------------------------------------------------------------------------


def test_a_confirmation_at_the_lapse_confirms_nothing_and_stays_queued() -> None:
    decision = ask(lapsed(FIRST, NEXT), claim("there/1", id=FIRST.claim), start=THERE)
    assert decision.outcome == QUEUED
    assert [o.offer.holder for o in offered(decision)] == ["yonder/2"]
    assert holders(decision.state) == ["there/1", "yonder/2"]  # it keeps its place


def test_a_late_confirmation_by_another_claim_of_that_holder_is_denied() -> None:
    decision = ask(lapsed(FIRST, NEXT), claim("there/1"), start=HERE)
    assert isinstance(decision.outcome, ClaimDenied)


def test_one_who_is_late_but_alone_has_it_under_a_new_term() -> None:
    decision = ask(lapsed(), claim("there/1", id=FIRST.claim), start=THERE)
    assert isinstance(decision.outcome, Granted)
    assert (decision.outcome.tenure.term, decision.outcome.extended) == (9, False)
    assert decision.state.queued == 0


def test_a_decider_never_finds_itself_absent() -> None:
    # Its own claims would be passed over by its own batch, and nobody would look again.
    decision = ask(lapsed(), Expire(KEY), start=THERE)
    assert Missed(THERE) not in decision.effects
    assert [b.tenure.holder for b in began(decision)] == ["there/1"]


def test_a_decider_that_missed_its_own_turn_lets_the_next_one_go_first() -> None:
    own = waiter(2, THERE)
    decision = ask(lapsed(FIRST, own, waiter(3, YONDER)), Expire(KEY), start=THERE)
    assert [b.tenure.holder for b in began(decision)] == ["there/2"]
    assert holders(decision.state) == ["there/1", "yonder/3"]


def test_missing_ones_own_offer_leaves_ones_claims_on_other_leases_live() -> None:
    other = KEY._replace(lease="other")
    states = {
        KEY: lapsed(FIRST, NEXT),
        other: lease(waiter(1, THERE), tenure=tenure("alice"))._replace(key=other),
    }
    decided = decide_batch(states, [Expire(KEY), Revoke(other, "alice")], context(start=THERE))
    after = decided.states[other].tenure
    assert after is not None
    assert after.holder == "there/1"
    assert decided.absent == frozenset()


# -- missed ------------------------------------------------------------------------------


def test_a_lapse_marks_the_process_absent_and_passes_on_in_the_same_decision() -> None:
    decision = ask(lapsed(FIRST, NEXT), Expire(KEY))
    assert decision.effects[0] == Missed(THERE)
    assert decision.state.offer is not None
    assert decision.state.offer.holder == "yonder/2"
    assert decision.state.offer.term == 9
    assert [w.absent for w in decision.state.queue] == [True, False]


def test_a_lapse_hands_the_lease_to_a_claim_of_the_decider_at_once() -> None:
    decision = ask(lapsed(FIRST, waiter(2, HERE)), Expire(KEY))
    assert decision.state.tenure is not None
    assert (decision.state.tenure.holder, decision.state.tenure.term) == ("here/2", 9)


def test_one_missed_offer_passes_over_all_claims_of_that_process() -> None:
    queue = [*(waiter(place, THERE) for place in range(1, 6)), waiter(6, HERE)]
    decision = ask(lease(*queue, offer=offer(queue[0], 8, made=NOW - WINDOW)), Expire(KEY))
    assert decision.state.tenure is not None
    assert decision.state.tenure.holder == "here/6"
    assert holders(decision.state) == [f"there/{place}" for place in range(1, 6)]


def test_a_process_found_absent_is_passed_over_on_every_later_lease_of_the_batch() -> None:
    other = KEY._replace(lease="other")
    states = {
        KEY: lapsed(FIRST),
        other: lease(waiter(1, THERE), waiter(2, YONDER), tenure=tenure("alice"))._replace(
            key=other
        ),
    }
    decided = decide_batch(states, [Expire(KEY), Revoke(other, "alice")], context())
    assert decided.absent == {THERE}
    after = decided.states[other].offer
    assert after is not None
    assert after.holder == "yonder/2"


def test_a_missed_offer_with_nobody_behind_leaves_the_lease_free() -> None:
    decision = ask(lapsed(), Expire(KEY))
    assert (decision.state.offer, decision.state.tenure) == (None, None)
    assert decision.effects == (Missed(THERE),)
    assert decision.state.queued == 1


def test_the_term_of_a_missed_offer_is_not_given_again() -> None:
    decision = ask(lapsed(), claim("bob"))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.term == 9


@pytest.mark.parametrize("pins", [(), ("unit",)])
def test_it_lapses_pinned_or_not(pins: tuple[str, ...]) -> None:
    decision = ask(lapsed(FIRST, NEXT, pins=pins), Expire(KEY))
    assert decision.state.offer is not None
    assert decision.state.offer.holder == "yonder/2"
    assert decision.state.pins == pins


def test_a_lapse_that_uses_up_the_window_asks_for_another_look() -> None:
    state = lease(
        FIRST,
        waiter(2, THERE),
        offer=offer(FIRST, 8, made=NOW - WINDOW),
        horizon=2,
        queued=5,
        last_place=5,
    )
    decision = ask(state, Expire(KEY))
    assert decision.effects == (Missed(THERE), LookAgain(KEY))


# -- not judged --------------------------------------------------------------------------


def test_an_offer_made_before_the_decider_was_cut_off_is_renewed_not_judged() -> None:
    before = lapsed(FIRST, NEXT)
    decision = ask(before, Expire(KEY), reached_since=NOW - 1)
    assert decision.state.offer is not None
    assert decision.state.offer.claim == FIRST.claim
    assert decision.state.offer.lapses_at == NOW + WINDOW
    assert not [e for e in decision.effects if isinstance(e, Missed)]
    assert len(offered(decision)) == 1  # its process is told again


def test_a_renewed_offer_keeps_its_term() -> None:
    decision = ask(lapsed(), Expire(KEY), reached_since=NOW)
    assert decision.state.offer is not None
    assert (decision.state.offer.term, decision.state.term) == (8, 8)


def test_it_is_renewed_once_and_then_judged() -> None:
    reached = NOW - 1
    renewed = ask(lapsed(FIRST, NEXT), Expire(KEY), reached_since=reached).state
    early = ask(renewed, Expire(KEY), now=NOW + WINDOW - 1, reached_since=reached)
    assert early.state is renewed
    late = ask(renewed, Expire(KEY), now=NOW + WINDOW, reached_since=reached)
    assert late.effects[0] == Missed(THERE)


def test_of_those_who_have_just_started_one_renews_it_and_the_next_judges() -> None:
    renewed = ask(lapsed(FIRST, NEXT), Expire(KEY), reached_since=NOW).state
    later = NOW + 2 * WINDOW
    decision = ask(renewed, Expire(KEY), now=later, reached_since=later)
    assert decision.effects[0] == Missed(THERE)


def test_whoever_was_cut_off_renews_it_every_time() -> None:
    renewed = ask(lapsed(FIRST, NEXT), Expire(KEY), reached_since=NOW).state
    later = NOW + 2 * WINDOW
    again = ask(renewed, Expire(KEY), now=later, reached_since=later, interrupted=True)
    assert not [e for e in again.effects if isinstance(e, Missed)]
    assert again.state.offer is not None
    assert again.state.offer.lapses_at == later + WINDOW


def test_an_offer_made_when_the_decider_could_reach_its_store_is_judged() -> None:
    decision = ask(lapsed(FIRST, NEXT), Expire(KEY), reached_since=NOW - WINDOW)
    assert decision.effects[0] == Missed(THERE)


def test_a_renewed_offer_is_confirmed_as_any_other() -> None:
    decision = ask(lapsed(), claim("there/1", id=FIRST.claim), start=THERE, reached_since=NOW)
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.term == 8


# -- declined, revoked -------------------------------------------------------------------


def test_a_declined_offer_goes_to_the_next_at_once() -> None:
    decision = ask(on_offer(FIRST, NEXT), Cancel(KEY, FIRST.claim), start=THERE)
    assert decision.state.offer is not None
    assert (decision.state.offer.holder, decision.state.offer.term) == ("yonder/2", 9)
    assert holders(decision.state) == ["yonder/2"]


def test_declining_makes_nobody_absent() -> None:
    second = waiter(2, THERE)
    decision = ask(on_offer(FIRST, second), Cancel(KEY, FIRST.claim), start=THERE)
    assert [b.tenure.holder for b in began(decision)] == ["there/2"]


def test_a_revocation_of_an_offered_lease_passes_it_on() -> None:
    decision = ask(on_offer(FIRST, NEXT), Revoke(KEY, "there/1"))
    assert decision.outcome == DONE
    assert decision.state.offer is not None
    assert (decision.state.offer.holder, decision.state.offer.term) == ("yonder/2", 9)
    assert holders(decision.state) == ["there/1", "yonder/2"]  # it keeps its place


def test_a_revocation_passes_an_offered_lease_to_the_deciders_own_claim_at_once() -> None:
    decision = ask(on_offer(FIRST, waiter(2, HERE)), Revoke(KEY, "there/1"))
    assert [b.tenure.holder for b in began(decision)] == ["here/2"]


def test_a_revoked_offer_falls_back_to_the_one_who_waits_alone() -> None:
    decision = ask(on_offer(FIRST, waiter(2, YONDER, absent=True)), Revoke(KEY, "there/1"))
    assert decision.outcome == DONE
    assert decision.state.offer is not None
    assert (decision.state.offer.holder, decision.state.offer.term) == ("there/1", 9)


def test_what_was_revoked_is_confirmed_no_more() -> None:
    state = ask(on_offer(FIRST, NEXT), Revoke(KEY, "there/1")).state
    late = ask(state, claim("there/1", id=FIRST.claim), start=THERE)
    assert late.outcome == QUEUED


def test_only_the_one_it_is_offered_to_can_have_an_offer_revoked() -> None:
    before = on_offer(FIRST, NEXT)
    decision = ask(before, Revoke(KEY, "yonder/2"))
    assert isinstance(decision.outcome, NotHeld)
    assert decision.state is before


def test_an_offer_that_comes_to_nothing_ended_no_tenure() -> None:
    before = on_offer(FIRST, NEXT, ended="released", ended_term=7, ended_at=NOW - us(9))
    for operation in (Revoke(KEY, "there/1"), Cancel(KEY, FIRST.claim)):
        decision = ask(before, operation)
        assert ended(decision) == []
        assert (decision.state.ended, decision.state.ended_term) == ("released", 7)
