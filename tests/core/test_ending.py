"""A user's transaction guards the tenure: it is not given away until that transaction ends."""

from __future__ import annotations

import pytest
from core.desk import (
    HERE,
    KEY,
    NOW,
    THERE,
    ask,
    began,
    claim,
    ended,
    lease,
    offered,
    tenure,
    us,
    waiter,
)

from lease_actors.core.decide import stands
from lease_actors.core.decision import DONE, QUEUED, Decision, Granted, Pending
from lease_actors.core.model import ClaimId, Ending, LeaseState, Waiter
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
from lease_actors.errors import ClaimDenied, LeasePinned, NotHeld

REVOKE, RELEASE = Revoke(KEY, "alice"), Release(KEY, "alice", 7)
EVERYTHING: list[Operation] = [
    claim("alice", 600),
    claim("alice", 600, id=ClaimId(HERE, 80)),
    claim("bob"),
    claim("bob", id=ClaimId(HERE, 81)),
    REVOKE,
    Revoke(KEY, "bob"),
    RELEASE,
    Release(KEY, "alice", 7, at=NOW),
    Check(KEY, "alice"),
    Pin(KEY, "unit"),
    Unpin(KEY, "unit"),
    Wait(KEY),
    Cancel(KEY, ClaimId(HERE, 80)),
    Expire(KEY),
]
ENDINGS: list[Ending] = ["revoked", "released", "expired", "handed over"]


def guarded(*queue: Waiter, left: float = 60, ending: Ending | None = None) -> LeaseState:
    """Held by alice under term 7, and guarded."""
    return lease(
        *queue,
        tenure=tenure("alice", 7, left=left, ending=ending),
        guarded=True,
    )


def free_of_guards(decision: Decision) -> LeaseState:
    """The same, as the next batch sees it when the transaction has ended."""
    return decision.state._replace(guarded=False)


# -- while it is guarded -----------------------------------------------------------------


def test_a_guarded_tenure_is_extended_and_checked_as_ever() -> None:
    decision = ask(guarded(left=5), claim("alice", 60))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.tenure.expiry == NOW + us(60)
    assert ask(guarded(), Check(KEY, "alice")).outcome == DONE


def test_a_claim_by_another_is_denied_or_queued_as_if_it_stood() -> None:
    for state in (guarded(), guarded(left=-5), guarded(ending="revoked")):
        assert isinstance(ask(state, claim("bob")).outcome, ClaimDenied)
        assert ask(state, claim("bob", id=ClaimId(HERE, 1))).outcome == QUEUED


@pytest.mark.parametrize("left", [0, -3600])
def test_a_guarded_tenure_past_its_expiry_is_marked_and_not_given_away(left: float) -> None:
    decision = ask(guarded(waiter(1, HERE), left=left), Expire(KEY))
    assert decision.state.tenure is not None
    assert decision.state.tenure.ending == "expired"
    assert (began(decision), ended(decision)) == ([], [])


def test_past_the_expiry_no_claim_extends_it_its_holders_neither() -> None:
    decision = ask(guarded(left=0), claim("alice", 600))
    assert isinstance(decision.outcome, ClaimDenied)
    assert "until the transaction that guards it ends" in str(decision.outcome)
    queued = ask(guarded(left=0), claim("alice", 600, id=ClaimId(HERE, 1)))
    assert queued.outcome == QUEUED


def test_a_pinned_tenure_past_its_expiry_is_not_marked() -> None:
    state = lease(tenure=tenure("alice", left=-5), guarded=True, pins=("unit",))
    decision = ask(state, claim("alice", 60))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.extended


# -- revoked or released under a guard ---------------------------------------------------


def test_a_revocation_that_meets_a_guard_marks_and_waits() -> None:
    decision = ask(guarded(waiter(1, HERE)), REVOKE)
    assert decision.outcome == Pending(7)
    assert decision.effects == ()
    assert decision.state.tenure is not None
    assert decision.state.tenure.ending == "revoked"


def test_a_release_that_meets_a_guard_marks_and_returns_at_once() -> None:
    hows: list[Ending] = ["released", "handed over"]
    for how in hows:
        decision = ask(guarded(waiter(1, HERE)), Release(KEY, "alice", 7, how))
        assert decision.outcome == DONE
        assert decision.state.tenure is not None
        assert decision.state.tenure.ending == how


def test_a_pinned_lease_is_not_marked() -> None:
    state = lease(tenure=tenure("alice"), guarded=True, pins=("unit",))
    assert isinstance(ask(state, REVOKE).outcome, LeasePinned)
    for operation in (REVOKE, RELEASE):
        assert ask(state, operation).state is state


def test_a_revocation_of_anothers_guarded_lease_marks_nothing() -> None:
    before = guarded()
    decision = ask(before, Revoke(KEY, "bob"))
    assert isinstance(decision.outcome, NotHeld)
    assert decision.state is before


def test_a_stale_release_marks_nothing() -> None:
    before = guarded()
    assert ask(before, Release(KEY, "alice", 6)).state is before


def test_a_second_revocation_waits_for_the_same_term() -> None:
    decision = ask(guarded(ending="released"), REVOKE)
    assert decision.outcome == Pending(7)
    assert decision.state.tenure is not None
    assert decision.state.tenure.ending == "released"  # as it was first ended


# -- ending ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_ending_does_not_stand(ending: Ending) -> None:
    state = guarded(ending=ending)
    assert not stands(state, NOW)
    outcome = ask(state, Check(KEY, "alice")).outcome
    assert isinstance(outcome, NotHeld)
    assert "its tenure is ending" in str(outcome)


@pytest.mark.parametrize("operation", EVERYTHING, ids=repr)
@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_ends_extends_or_gives_away_what_is_ending_under_a_guard(
    ending: Ending, operation: Operation
) -> None:
    before = guarded(waiter(1, HERE), ending=ending)
    decision = ask(before, operation)
    assert before.tenure is not None
    assert decision.state.tenure in (before.tenure, before.tenure._replace(watched=True))
    assert decision.effects == ()
    assert not isinstance(decision.outcome, Granted)


def test_the_mark_is_not_taken_away_by_a_pin() -> None:
    decision = ask(guarded(ending="revoked"), Pin(KEY, "unit"))
    assert decision.state.tenure is not None
    assert decision.state.tenure.ending == "revoked"
    after = ask(free_of_guards(decision), Expire(KEY))
    assert after.state.tenure is None
    assert after.state.pins == ("unit",)  # it goes to the next claimant


# -- the guard ends ----------------------------------------------------------------------


@pytest.mark.parametrize("operation", EVERYTHING, ids=repr)
@pytest.mark.parametrize("ending", ENDINGS)
def test_when_the_last_guard_has_ended_any_look_hands_it_on(
    ending: Ending, operation: Operation
) -> None:
    marked = Decision(guarded(waiter(1, HERE), ending=ending), DONE)
    decision = ask(free_of_guards(marked), operation)
    assert [e.how for e in ended(decision)][:1] == [ending]
    assert [b.tenure.holder for b in began(decision)][:1] == ["here/1"]


def test_it_is_offered_to_another_process_as_ever() -> None:
    marked = ask(guarded(waiter(1, THERE)), REVOKE)
    decision = ask(free_of_guards(marked), Expire(KEY))
    assert [o.offer.term for o in offered(decision)] == [8]


def test_it_ends_when_the_guard_did_unless_it_expired() -> None:
    later = NOW + us(3)
    revoked = ask(free_of_guards(ask(guarded(), REVOKE)), Expire(KEY), now=later)
    assert [(e.how, e.at) for e in ended(revoked)] == [("revoked", later)]
    overdue = ask(free_of_guards(ask(guarded(left=0), Expire(KEY))), Expire(KEY), now=later)
    assert [(e.how, e.at) for e in ended(overdue)] == [("expired", NOW)]


def test_its_holder_gets_a_new_term_then() -> None:
    marked = ask(guarded(), RELEASE)
    decision = ask(free_of_guards(marked), claim("alice"))
    assert isinstance(decision.outcome, Granted)
    assert (decision.outcome.tenure.term, decision.outcome.extended) == (8, False)


def test_the_next_tenure_is_not_taken_for_guarded() -> None:
    marked = ask(guarded(waiter(1, HERE), waiter(2, HERE)), REVOKE)
    decision = ask(free_of_guards(marked), Revoke(KEY, "here/1"))
    assert decision.outcome == DONE
    assert decision.state.tenure is not None
    assert decision.state.tenure.holder == "here/2"
