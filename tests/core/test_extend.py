"""A claim by the one who holds the lease: an extension."""

from __future__ import annotations

import pytest
from core.desk import HERE, KEY, NOW, ask, began, claim, lease, tenure, us, waiter

from lease_actors.core.decision import QUEUED, Granted
from lease_actors.core.model import ClaimId
from lease_actors.core.operations import Unpin


def test_an_extension_reaches_its_duration_beyond_now() -> None:
    state, outcome, _ = ask(lease(tenure=tenure("alice", left=10)), claim("alice", 60))
    assert state.tenure is not None
    assert state.tenure.expiry == NOW + us(60)
    assert outcome == Granted(state.tenure, pinned=False, extended=True)


def test_an_extension_keeps_the_term_and_the_instant_it_was_granted() -> None:
    before = tenure("alice", term=7, left=10)
    state = ask(lease(tenure=before), claim("alice", 60)).state
    assert state.tenure is not None
    assert (state.tenure.term, state.term) == (7, 7)
    assert state.tenure.granted_at == before.granted_at


@pytest.mark.parametrize("seconds", [0.000_001, 9, 9.999_999, 10])
def test_an_extension_never_shortens_and_leaves_its_trace(seconds: float) -> None:
    before = tenure("alice", left=10)
    state, outcome, _ = ask(lease(tenure=before), claim("alice", seconds))
    assert state.tenure == before._replace(expiry=before.expiry + 1)
    assert outcome == Granted(state.tenure, pinned=False, extended=True)


def test_an_extension_by_one_microsecond_counts() -> None:
    state = ask(lease(tenure=tenure("alice", left=10)), claim("alice", 10.000_001)).state
    assert state.tenure is not None
    assert state.tenure.expiry == NOW + us(10) + 1


def test_an_extension_that_moves_the_expiry_makes_its_duration_the_leases() -> None:
    state = ask(lease(tenure=tenure("alice", left=5, seconds=60)), claim("alice", 10)).state
    assert state.tenure is not None
    assert state.tenure.duration == us(10)


def test_an_extension_that_moves_nothing_leaves_the_duration() -> None:
    state = ask(lease(tenure=tenure("alice", left=50, seconds=60)), claim("alice", 10)).state
    assert state.tenure is not None
    assert state.tenure.duration == us(60)


def test_an_extension_tells_of_no_beginning() -> None:
    assert began(ask(lease(tenure=tenure("alice", left=1)), claim("alice"))) == []


def test_one_microsecond_before_its_expiry_a_lease_is_still_extended() -> None:
    outcome = ask(lease(tenure=tenure("alice", left=0.000_001)), claim("alice")).outcome
    assert isinstance(outcome, Granted)
    assert outcome.extended


def test_a_pinned_lease_is_extended_even_when_overdue() -> None:
    state, outcome, _ = ask(
        lease(tenure=tenure("alice", term=7, left=-5), pins=("unit",)), claim("alice", 60)
    )
    assert isinstance(outcome, Granted)
    assert (outcome.extended, outcome.pinned, outcome.tenure.term) == (True, True, 7)
    assert state.tenure is not None
    assert state.tenure.expiry == NOW + us(60)


def test_an_extension_passes_by_the_queue() -> None:
    state, outcome, _ = ask(lease(waiter(1, HERE), tenure=tenure("alice")), claim("alice", 600))
    assert isinstance(outcome, Granted)
    assert state.queued == 1


def test_two_claims_of_one_holder_both_succeed() -> None:
    first = ask(lease(), claim("alice", 60))
    second = ask(first.state, claim("alice", 30))
    assert isinstance(first.outcome, Granted)
    assert isinstance(second.outcome, Granted)
    assert first.outcome.tenure.term == second.outcome.tenure.term
    assert [first.outcome.extended, second.outcome.extended] == [False, True]


def test_a_queued_claim_succeeds_once_its_holder_has_the_lease() -> None:
    blocked = ClaimId(HERE, 3)
    state = ask(lease(tenure=tenure("alice")), claim("bob", id=blocked)).state
    assert state.queued == 1
    # "bob" gets it by another of his claims; the blocked one is asked again.
    bobs = ask(lease(*state.queue, tenure=tenure("bob", term=9, left=5)), claim("bob", id=blocked))
    assert isinstance(bobs.outcome, Granted)
    assert (bobs.outcome.extended, bobs.outcome.tenure.term) == (True, 9)
    assert (bobs.state.queue, bobs.state.queued) == ((), 0)


def test_an_extension_survives_the_unpinning_that_follows() -> None:
    state = ask(
        lease(tenure=tenure("alice", left=10), pins=("unit",)),
        claim("alice", 600),
        Unpin(KEY, "unit"),
    ).state
    assert state.tenure is not None
    assert state.tenure.expiry == NOW + us(600)


def test_a_claim_by_another_is_no_extension() -> None:
    decision = ask(lease(tenure=tenure("alice")), claim("Alice", id=ClaimId(HERE, 1)))
    assert decision.outcome == QUEUED  # names compare code point by code point
