"""A claim of a lease that is free, held by another, or on its way to another."""

from __future__ import annotations

from datetime import timedelta

import pytest
from core.desk import HERE, KEY, NOW, SECOND, THERE, ask, began, claim, lease, offer, tenure, us
from core.desk import ended as endings
from core.desk import waiter as blocked

from lease_actors.core.decision import DONE, QUEUED, Granted
from lease_actors.core.model import ClaimId, LeaseState, Tenure
from lease_actors.core.operations import Claim, Pin
from lease_actors.errors import ClaimDenied

MINE = ClaimId(HERE, 99)


def test_a_lease_never_seen_before_is_attributed_with_term_one() -> None:
    state, outcome, _ = ask(LeaseState(KEY), claim("alice", 60))
    assert state.tenure == Tenure("alice", 1, NOW, us(60), NOW + us(60))
    assert outcome == Granted(state.tenure, pinned=False, extended=False)


def test_a_fresh_row_starts_above_the_floor() -> None:
    state = ask(LeaseState(KEY, term=41), claim("alice")).state
    assert state.tenure is not None
    assert state.tenure.term == state.term == 42


def test_a_free_lease_is_attributed_with_the_next_term() -> None:
    state = ask(lease(term=7, ended="released"), claim("alice")).state
    assert state.tenure is not None
    assert (state.tenure.term, state.term) == (8, 8)


def test_the_term_counts_on_from_tenure_to_tenure() -> None:
    state = lease(term=0)
    for turn in range(1, 5):
        state = ask(state, claim(f"holder/{turn}", 1), now=NOW + turn * us(2)).state
        assert state.tenure is not None
        assert state.tenure.term == turn


def test_an_attribution_tells_that_a_tenure_began() -> None:
    decision = ask(lease(), claim("alice"))
    [begun] = began(decision)
    assert (begun.key, begun.tenure, begun.claim) == (KEY, decision.state.tenure, None)


def test_a_queueing_claim_of_a_free_lease_is_attributed_without_joining_the_queue() -> None:
    decision = ask(lease(), claim("alice", id=MINE))
    assert isinstance(decision.outcome, Granted)
    assert (decision.state.queue, decision.state.queued) == ((), 0)
    assert began(decision)[0].claim == MINE


@pytest.mark.parametrize("micros", [1, 250_000, 999_999, 1_000_001, 366 * 86400 * SECOND])
def test_a_duration_is_kept_to_the_microsecond(micros: int) -> None:
    state = ask(lease(), Claim(KEY, "alice", timedelta(microseconds=micros))).state
    assert state.tenure is not None
    assert (state.tenure.duration, state.tenure.expiry) == (micros, NOW + micros)


def test_a_lease_held_by_another_is_denied_and_untouched() -> None:
    before = lease(tenure=tenure("alice"))
    decision = ask(before, claim("bob"))
    assert isinstance(decision.outcome, ClaimDenied)
    assert decision.state is before
    assert decision.effects == ()


def test_a_denial_names_lease_claimant_and_holder() -> None:
    outcome = ask(lease(tenure=tenure("alice")), claim("bob")).outcome
    assert isinstance(outcome, ClaimDenied)
    assert outcome.key == KEY
    for word in ("'lease'", "'bob'", "'alice'"):
        assert word in str(outcome)


def test_a_lease_one_microsecond_before_its_expiry_is_denied() -> None:
    outcome = ask(lease(tenure=tenure("alice", left=0.000_001)), claim("bob")).outcome
    assert isinstance(outcome, ClaimDenied)


def test_a_lease_exactly_at_its_expiry_is_free() -> None:
    decision = ask(lease(tenure=tenure("alice", term=7, left=0)), claim("bob"))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.term == 8
    assert [e.how for e in endings(decision)] == ["expired"]


def test_an_overdue_lease_is_attributed_though_nobody_has_tidied_it() -> None:
    decision = ask(lease(tenure=tenure("alice", left=-3600)), claim("bob"))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.holder == "bob"


def test_the_former_holder_of_an_overdue_lease_gets_a_new_term_and_no_extension() -> None:
    outcome = ask(lease(tenure=tenure("alice", term=7, left=0)), claim("alice")).outcome
    assert isinstance(outcome, Granted)
    assert (outcome.tenure.term, outcome.extended) == (8, False)


def test_an_overdue_lease_that_is_pinned_is_denied() -> None:
    outcome = ask(lease(tenure=tenure("alice", left=-9), pins=("unit",)), claim("bob")).outcome
    assert isinstance(outcome, ClaimDenied)


def test_a_lease_offered_to_another_is_denied() -> None:
    first = blocked(1, THERE)
    before = lease(first, offer=offer(first))
    decision = ask(before, claim("bob"))
    assert isinstance(decision.outcome, ClaimDenied)
    assert "offered to 'there/1'" in str(decision.outcome)
    assert decision.state is before


def test_a_lease_whose_waiters_are_not_all_known_is_denied() -> None:
    before = lease(horizon=4, queued=9, last_place=12)
    decision = ask(before, claim("bob"))
    assert isinstance(decision.outcome, ClaimDenied)
    assert "others wait in front" in str(decision.outcome)


def test_a_free_lease_with_only_absent_waiters_is_attributed_to_a_newcomer() -> None:
    decision = ask(lease(blocked(1, THERE, absent=True)), claim("bob"))
    assert isinstance(decision.outcome, Granted)
    assert decision.state.queued == 1  # it keeps its place


def test_a_grant_says_whether_the_lease_is_pinned() -> None:
    decision = ask(lease(), Pin(KEY, "unit"))
    assert decision.outcome == DONE
    decision = ask(decision.state, claim("alice"))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.pinned
    assert began(decision)[0].pinned


def test_leases_with_other_names_share_nothing() -> None:
    # The rules look at one state; whose it is, is never compared.
    other = KEY._replace(lease="another")
    decision = ask(LeaseState(other, term=3), Claim(other, "alice", timedelta(seconds=1)))
    assert decision.state.key == other
    assert began(decision)[0].key == other


def test_asking_does_not_change_what_was_asked_about() -> None:
    before = lease(tenure=tenure("alice"))
    copy = lease(tenure=tenure("alice"))
    ask(before, claim("alice", 600), claim("bob", id=MINE))
    assert before == copy


def test_a_claim_asked_twice_under_one_id_is_the_same_claim() -> None:
    decision = ask(lease(tenure=tenure()), claim("bob", id=MINE), claim("bob", id=MINE))
    assert decision.outcome == QUEUED
    assert decision.state.queued == len(decision.state.queue) == 1
