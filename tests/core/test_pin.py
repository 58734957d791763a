"""A pinned lease neither expires nor is revoked; a pin on a lease that nobody holds is kept."""

from __future__ import annotations

from core.desk import HERE, KEY, NOW, ask, began, claim, ended, lease, tenure, us, waiter

from lease_actors.core.decide import due
from lease_actors.core.decision import DONE, Granted
from lease_actors.core.model import ClaimId, LeaseState
from lease_actors.core.operations import Check, Expire, Pin, Revoke
from lease_actors.errors import LeasePinned

PIN = Pin(KEY, "unit")


def test_a_pin_is_per_entity() -> None:
    state = ask(lease(tenure=tenure()), PIN, Pin(KEY, "machine")).state
    assert sorted(state.pins) == ["machine", "unit"]


def test_pinning_twice_is_once() -> None:
    once = ask(lease(tenure=tenure()), PIN).state
    twice = ask(once, PIN)
    assert twice.outcome == DONE
    assert twice.state is once


def test_a_pin_leaves_the_tenure_as_it_is() -> None:
    before = tenure()
    decision = ask(lease(tenure=before), PIN)
    assert decision.state.tenure == before
    assert decision.effects == ()


def test_a_pinned_lease_does_not_expire() -> None:
    before = lease(waiter(1, HERE), tenure=tenure("alice", left=0), pins=("unit",))
    for later in (0, 1, 3600, 10**9):
        decision = ask(before, Expire(KEY), now=NOW + us(later))
        assert decision.state is before
        assert decision.effects == ()


def test_a_pin_at_the_last_microsecond_keeps_it() -> None:
    state = ask(lease(tenure=tenure("alice", left=0.000_001)), PIN).state
    later = ask(state, Check(KEY, "alice"), now=NOW + us(60))
    assert later.outcome == DONE


def test_a_pin_at_the_instant_of_expiry_comes_too_late() -> None:
    decision = ask(lease(tenure=tenure("alice", left=0)), PIN)
    assert decision.outcome == DONE
    assert decision.state.tenure is None
    assert len(ended(decision)) == 1
    assert decision.state.pins == ("unit",)


def test_a_pinned_lease_asks_for_no_look() -> None:
    assert due(lease(tenure=tenure(), pins=("unit",))) is None


def test_a_pin_forbids_revocation_from_then_on() -> None:
    outcome = ask(lease(tenure=tenure("alice")), PIN, Revoke(KEY, "alice")).outcome
    assert isinstance(outcome, LeasePinned)


def test_a_pin_on_a_lease_that_never_was_is_kept() -> None:
    state, outcome, _ = ask(LeaseState(KEY, term=4), PIN)
    assert outcome == DONE
    assert state == LeaseState(KEY, term=4, pins=("unit",))
    assert not state.idle  # such a row is not pruned


def test_the_next_claimant_gets_it_pinned() -> None:
    decision = ask(lease(), PIN, claim("alice", 1))
    assert isinstance(decision.outcome, Granted)
    assert decision.outcome.pinned
    later = ask(decision.state, Check(KEY, "alice"), now=NOW + us(3600))
    assert later.outcome == DONE


def test_the_pins_stay_when_a_tenure_that_was_overdue_ends() -> None:
    state = ask(lease(tenure=tenure(left=0)), PIN, Pin(KEY, "machine"), claim("bob")).state
    assert state.pins == ("unit", "machine")


def test_pinning_a_lease_that_was_due_hands_it_over_first() -> None:
    decision = ask(lease(waiter(1, HERE), tenure=tenure("alice", left=0)), PIN)
    assert [b.tenure.holder for b in began(decision)] == ["here/1"]
    assert decision.state.pins == ("unit",)


def test_claims_queue_behind_a_pinned_lease_and_wait_as_long_as_it_is() -> None:
    state = ask(lease(tenure=tenure(left=1), pins=("unit",)), claim("bob", id=ClaimId(HERE, 1)))
    later = ask(state.state, Expire(KEY), now=NOW + us(3600)).state
    assert later.queued == 1
    assert later.tenure is not None
