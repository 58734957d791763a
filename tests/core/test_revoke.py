"""A holder's tenure is ended from outside."""

from __future__ import annotations

import pytest
from core.desk import KEY, NOW, ask, claim, ended, lease, tenure

from lease_actors.core.decision import DONE, Ended
from lease_actors.core.model import LeaseState
from lease_actors.core.operations import Revoke
from lease_actors.errors import LeasePinned, NotHeld

REVOKE = Revoke(KEY, "alice")


def test_a_lease_that_never_was_is_revoked_already() -> None:
    before = LeaseState(KEY)
    decision = ask(before, REVOKE)
    assert (decision.outcome, decision.effects) == (DONE, ())
    assert decision.state is before


def test_a_free_lease_is_revoked_already() -> None:
    before = lease(ended="expired", ended_term=7)
    decision = ask(before, REVOKE)
    assert (decision.outcome, decision.effects) == (DONE, ())
    assert decision.state is before


@pytest.mark.parametrize("holder", ["alice", "bob"])
def test_an_overdue_lease_is_free_whoever_had_it(holder: str) -> None:
    decision = ask(lease(tenure=tenure(holder, left=0)), REVOKE)
    assert decision.outcome == DONE
    assert [e.how for e in ended(decision)] == ["expired"]


def test_a_free_lease_that_is_pinned_is_revoked_already() -> None:
    decision = ask(lease(pins=("unit",)), REVOKE)
    assert decision.outcome == DONE
    assert decision.state.pins == ("unit",)


def test_a_lease_of_another_is_left_alone() -> None:
    before = lease(tenure=tenure("bob"))
    decision = ask(before, REVOKE)
    assert isinstance(decision.outcome, NotHeld)
    assert "'alice' does not hold it, 'bob' does" in str(decision.outcome)
    assert decision.state is before


def test_a_pinned_lease_of_another_is_not_held_rather_than_pinned() -> None:
    outcome = ask(lease(tenure=tenure("bob"), pins=("unit",)), REVOKE).outcome
    assert isinstance(outcome, NotHeld)


def test_the_holders_tenure_ends() -> None:
    before = tenure("alice", term=7)
    decision = ask(lease(tenure=before), REVOKE)
    assert decision.outcome == DONE
    assert decision.effects == (Ended(KEY, before, "revoked", NOW),)
    assert decision.state == LeaseState(KEY, term=7, ended="revoked", ended_term=7, ended_at=NOW)


def test_it_ends_whatever_tenure_that_holder_has() -> None:
    for term in (1, 7, 1_000):
        assert ask(lease(tenure=tenure("alice", term=term)), REVOKE).state.tenure is None


@pytest.mark.parametrize("left", [60, 0, -60])
def test_a_pinned_lease_cannot_be_revoked_overdue_or_not(left: float) -> None:
    before = lease(tenure=tenure("alice", left=left), pins=("unit", "machine"))
    decision = ask(before, REVOKE)
    assert isinstance(decision.outcome, LeasePinned)
    assert decision.outcome.key == KEY
    assert "'unit', 'machine'" in str(decision.outcome)
    assert decision.state is before


def test_revoking_twice_is_revoking_once() -> None:
    state = ask(lease(tenure=tenure("alice")), REVOKE).state
    again = ask(state, REVOKE)
    assert again.outcome == DONE
    assert again.state is state


def test_a_new_tenure_after_a_revocation_has_a_higher_term() -> None:
    state = ask(lease(tenure=tenure("alice", term=7)), REVOKE, claim("alice")).state
    assert state.tenure is not None
    assert state.tenure.term == 8
