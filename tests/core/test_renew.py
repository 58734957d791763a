"""A renewal names its term: it extends that tenure while it stands, or fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from core.desk import HERE, KEY, NOW, ask, claim, ended, lease, offer, tenure, us, waiter

from lease_actors.core.decision import RENEWED, Decision
from lease_actors.core.model import Ending, LeaseState
from lease_actors.core.operations import Expire, Pin, Release, Renew, Revoke, Unpin
from lease_actors.errors import LeaseLost


def renew(seconds: float = 60, term: int = 7, holder: str = "alice") -> Renew:
    return Renew(KEY, holder, term, timedelta(seconds=seconds))


def reason(decision: Decision) -> str:
    assert isinstance(decision.outcome, LeaseLost)
    assert decision.outcome.key == KEY
    return decision.outcome.reason


def test_the_tenure_stands_for_the_whole_duration_again() -> None:
    decision = ask(lease(tenure=tenure("alice", term=7, left=40)), renew(60))
    assert (decision.outcome, decision.effects) == (RENEWED, ())
    assert decision.state.tenure is not None
    assert decision.state.tenure.expiry == NOW + us(60)
    assert (decision.state.term, decision.state.tenure.term) == (7, 7)


def test_a_renewal_never_shortens() -> None:
    before = lease(tenure=tenure("alice", term=7, left=3600, seconds=3600))
    decision = ask(before, renew(60))
    assert decision.outcome == RENEWED
    assert decision.state is before


def test_a_renewal_by_nothing_only_asks() -> None:
    before = lease(tenure=tenure("alice", term=7, left=0.000001))
    decision = ask(before, renew(0))
    assert (decision.outcome, decision.state) == (RENEWED, before)


def test_what_others_wait_for_is_renewed_all_the_same() -> None:
    before = lease(waiter(1, HERE), tenure=tenure("alice", term=7, left=1))
    decision = ask(before, renew(60))
    assert decision.outcome == RENEWED
    assert decision.state.queue == before.queue


def test_an_extension_by_a_claim_in_between_keeps_the_term_and_the_renewal() -> None:
    decision = ask(lease(tenure=tenure("alice", term=7)), claim("alice", 600), renew(60))
    assert decision.outcome == RENEWED
    assert decision.state.tenure is not None
    assert decision.state.tenure.expiry == NOW + us(600)


@pytest.mark.parametrize("left", [0, -0.000001, -3600])
def test_a_tenure_whose_expiry_has_come_is_not_revived_even_if_nobody_took_it(left: float) -> None:
    decision = ask(lease(tenure=tenure("alice", term=7, left=left)), renew(60))
    assert reason(decision) == "expired"
    assert decision.state.tenure is None
    assert [e.how for e in ended(decision)] == ["expired"]


def test_a_pinned_tenure_is_renewed_past_its_expiry() -> None:
    before = lease(tenure=tenure("alice", term=7, left=-5), pins=("unit",))
    decision = ask(before, renew(60), Unpin(KEY, "unit"))
    assert decision.state.tenure is not None
    assert decision.state.tenure.expiry == NOW + us(60)


def test_pins_that_come_and_go_do_not_confuse_it() -> None:
    state = ask(
        lease(tenure=tenure("alice", term=7, left=20)), Pin(KEY, "u"), renew(60), Unpin(KEY, "u")
    ).state
    assert ask(state, renew(60)).outcome == RENEWED


def test_a_renewal_never_begins_a_tenure() -> None:
    before = lease(term=7)
    decision = ask(before, renew(60))
    assert (reason(decision), decision.state) == ("unknown", before)


def test_a_renewal_does_not_confirm_an_offer() -> None:
    first = waiter(1, HERE, "alice")
    before = lease(first, offer=offer(first, term=7))
    decision = ask(before, renew(60))
    assert isinstance(decision.outcome, LeaseLost)
    assert decision.state is before


@pytest.mark.parametrize("term", [6, 8])
def test_another_term_of_the_same_holder_is_not_renewed(term: int) -> None:
    before = lease(tenure=tenure("alice", term=term))
    decision = ask(before, renew(60))
    assert isinstance(decision.outcome, LeaseLost)
    assert decision.state is before


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ask(lease(tenure=tenure("alice", term=7)), Revoke(KEY, "alice")).state, "revoked"),
        (
            ask(lease(tenure=tenure("alice", term=7)), Revoke(KEY, "alice"), claim("bob")).state,
            "revoked",
        ),
        (ask(lease(tenure=tenure("alice", term=7, left=-1)), Expire(KEY)).state, "expired"),
        (ask(lease(tenure=tenure("alice", term=7, left=-1)), claim("bob")).state, "taken"),
        (ask(lease(tenure=tenure("alice", term=7, left=-1)), claim("alice")).state, "taken"),
        (
            ask(
                lease(tenure=tenure("alice", term=7)),
                Revoke(KEY, "alice"),
                claim("bob"),
                Revoke(KEY, "bob"),
                claim("carol"),
            ).state,
            "taken",  # of how the tenure ended nothing is told any more
        ),
        (
            ask(
                lease(tenure=tenure("alice", term=7)),
                Release(KEY, "alice", 7),
            ).state,
            "unknown",
        ),
        (lease(term=9), "unknown"),  # the row was pruned meanwhile
    ],
)
def test_a_refusal_tells_how_the_tenure_ended(state: LeaseState, expected: str) -> None:
    assert reason(ask(state, renew(60))) == expected


@pytest.mark.parametrize(
    ("ending", "expected"),
    [("revoked", "revoked"), ("expired", "expired"), ("released", "unknown")],
)
def test_a_tenure_that_only_a_guard_keeps_is_not_renewed(ending: Ending, expected: str) -> None:
    before = lease(tenure=tenure("alice", term=7, ending=ending), guarded=True)
    decision = ask(before, renew(60))
    assert (reason(decision), decision.state) == (expected, before)


def test_a_revocation_that_waits_for_a_guard_ends_the_renewals_at_once() -> None:
    before: Any = lease(tenure=tenure("alice", term=7), guarded=True)
    assert reason(ask(before, Revoke(KEY, "alice"), renew(60))) == "revoked"


def test_the_words_say_what_on_which_lease_for_whom_and_why_not() -> None:
    state = ask(lease(tenure=tenure("alice", term=7, left=-1)), claim("bob")).state
    assert str(ask(state, renew(60)).outcome) == (
        "cannot renew lease 'lease' for holder 'alice', term 7: 'bob' holds it under a later term"
    )
