"""What is over ends, exactly at its instant, and somebody is told when to look next."""

from __future__ import annotations

import pytest
from core.desk import HERE, KEY, NOW, THERE, ask, ended, lease, offer, tenure, us, waiter

from lease_actors.core.decide import due
from lease_actors.core.decision import DONE, Ended
from lease_actors.core.model import LeaseState
from lease_actors.core.operations import Expire

EXPIRE = Expire(KEY)


@pytest.mark.parametrize("early", [1, 2, 999_999, 60_000_000])
def test_nothing_ends_before_its_instant(early: int) -> None:
    before = lease(waiter(1, HERE), tenure=tenure(left=60))
    decision = ask(before, EXPIRE, now=NOW + us(60) - early)
    assert (decision.outcome, decision.effects) == (DONE, ())
    assert decision.state is before


@pytest.mark.parametrize("late", [0, 1, 3_600_000_000])
def test_it_ends_exactly_at_its_instant_or_whenever_it_is_looked_at(late: int) -> None:
    before = tenure("alice", term=7, left=60)
    decision = ask(lease(tenure=before), EXPIRE, now=NOW + us(60) + late)
    assert decision.outcome == DONE
    assert decision.state.tenure is None
    assert decision.effects == (Ended(KEY, before, "expired", before.expiry),)


def test_it_is_recorded_as_ended_when_it_expired_not_when_it_was_seen() -> None:
    state = ask(lease(tenure=tenure(term=7, left=-30)), EXPIRE).state
    assert (state.ended, state.ended_term, state.ended_at) == ("expired", 7, NOW - us(30))


def test_an_expired_lease_keeps_its_term() -> None:
    assert ask(lease(tenure=tenure(term=7, left=0)), EXPIRE).state.term == 7


def test_a_look_at_what_is_free_finds_nothing() -> None:
    for before in (LeaseState(KEY), lease(ended="released"), lease(pins=("unit",))):
        decision = ask(before, EXPIRE)
        assert decision.state is before
        assert decision.effects == ()


def test_a_second_look_finds_nothing_more() -> None:
    once = ask(lease(waiter(1, THERE), tenure=tenure(left=0)), EXPIRE)
    twice = ask(once.state, EXPIRE)
    assert twice.state is once.state
    assert ended(twice) == []


def test_a_tenure_is_due_at_its_expiry() -> None:
    assert due(lease(tenure=tenure(left=0.25))) == NOW + 250_000


def test_a_tenure_that_is_pinned_is_never_due() -> None:
    assert due(lease(tenure=tenure(left=-1), pins=("unit",))) is None


def test_an_offer_is_due_at_its_lapse() -> None:
    first = waiter(1, THERE)
    made = offer(first)
    assert due(lease(first, offer=made)) == made.lapses_at


def test_what_is_free_is_never_due() -> None:
    assert due(LeaseState(KEY)) is None
    assert due(lease(waiter(1, THERE, absent=True))) is None


def test_what_is_ending_is_due_at_once_however_far_its_expiry() -> None:
    # Only a guard keeps it, and when that ends is not known here: it is looked at again and
    # again until it is gone.
    for pins in ((), ("unit",)):
        instant = due(lease(tenure=tenure(left=3600, seconds=7200, ending="revoked"), pins=pins))
        assert instant is not None
        assert instant <= NOW
