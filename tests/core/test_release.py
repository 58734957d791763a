"""A tenure is given back: that one, by its term, or none."""

from __future__ import annotations

import pytest
from core.desk import HERE, KEY, NOW, ask, began, claim, ended, lease, tenure, us, waiter

from lease_actors.core.decide import due
from lease_actors.core.decision import DONE, Ended
from lease_actors.core.operations import Expire, Release, Unpin

RELEASE = Release(KEY, "alice", 7)


def test_the_tenure_of_that_term_ends() -> None:
    before = tenure("alice", term=7)
    decision = ask(lease(tenure=before), RELEASE)
    assert decision.outcome == DONE
    assert decision.state.tenure is None
    assert decision.effects == (Ended(KEY, before, "released", NOW),)
    assert (decision.state.ended, decision.state.ended_term) == ("released", 7)


def test_a_claim_withdrawn_is_told_as_handed_over() -> None:
    decision = ask(lease(tenure=tenure("alice", term=7)), Release(KEY, "alice", 7, "handed over"))
    assert [e.how for e in ended(decision)] == ["handed over"]


@pytest.mark.parametrize("term", [6, 8])
def test_a_release_by_another_term_does_nothing(term: int) -> None:
    before = lease(tenure=tenure("alice", term=term))
    decision = ask(before, RELEASE)
    assert (decision.outcome, decision.effects) == (DONE, ())
    assert decision.state is before


def test_a_stale_release_does_not_end_the_same_holders_new_tenure() -> None:
    state = ask(lease(tenure=tenure("alice", term=7)), RELEASE, claim("alice"), RELEASE).state
    assert state.tenure is not None
    assert state.tenure.term == 8


def test_a_release_by_another_holder_does_nothing() -> None:
    before = lease(tenure=tenure("bob", term=7))
    assert ask(before, RELEASE).state is before


def test_a_release_of_what_is_free_does_nothing() -> None:
    before = lease(term=7)
    assert ask(before, RELEASE).state is before


def test_a_release_of_a_pinned_lease_leaves_it_its_holders() -> None:
    before = lease(tenure=tenure("alice", term=7), pins=("unit",))
    decision = ask(before, RELEASE)
    assert decision.outcome == DONE  # nothing is raised
    assert decision.state is before


def test_what_was_released_while_pinned_ends_by_expiry_after_the_last_pin() -> None:
    state = lease(tenure=tenure("alice", term=7, left=-1, seconds=30), pins=("unit",))
    state = ask(state, RELEASE, Unpin(KEY, "unit")).state
    assert state.tenure is not None
    assert due(state) == NOW + us(30)
    assert ask(state, Expire(KEY), now=NOW + us(30)).state.tenure is None


# -- only if nobody has extended it ------------------------------------------------------


def test_a_release_of_what_is_untouched_ends_it() -> None:
    before = tenure("alice", term=7)
    release = Release(KEY, "alice", 7, "handed over", untouched=before.expiry)
    assert ask(lease(tenure=before), release).state.tenure is None


def test_a_release_of_what_has_been_extended_since_does_nothing() -> None:
    # Another claim of that holder has been answered with this tenure.
    before = tenure("alice", term=7, left=10)
    release = Release(KEY, "alice", 7, "handed over", untouched=before.expiry)
    decision = ask(lease(tenure=before), claim("alice", 60), release)
    assert decision.outcome == DONE
    assert decision.state.tenure is not None
    assert decision.state.tenure.expiry == NOW + us(60)


# -- at an instant -----------------------------------------------------------------------


def test_a_release_at_an_instant_to_come_ends_it_there() -> None:
    decision = ask(
        lease(tenure=tenure("alice", term=7, left=60)), Release(KEY, "alice", 7, at=NOW + us(20))
    )
    assert (decision.outcome, decision.effects) == (DONE, ())
    assert due(decision.state) == NOW + us(20)
    before = ask(decision.state, Expire(KEY), now=NOW + us(20) - 1).state
    assert before.tenure is not None
    assert ask(decision.state, Expire(KEY), now=NOW + us(20)).state.tenure is None


def test_a_release_at_an_instant_keeps_the_term() -> None:
    release = Release(KEY, "alice", 7, at=NOW + us(20))
    state = ask(lease(tenure=tenure("alice", term=7)), release).state
    assert state.tenure is not None
    assert (state.tenure.holder, state.tenure.term) == ("alice", 7)


@pytest.mark.parametrize("later", [60, 60.000_001, 3600])
def test_a_release_at_an_instant_ends_it_no_later_than_its_expiry(later: float) -> None:
    release = Release(KEY, "alice", 7, at=NOW + us(later))
    state = ask(lease(tenure=tenure("alice", term=7, left=60)), release).state
    assert due(state) == NOW + us(60)


@pytest.mark.parametrize("ago", [0, 0.000_001, 30])
def test_a_release_at_an_instant_that_has_come_ends_it_now(ago: float) -> None:
    release = Release(KEY, "alice", 7, at=NOW - us(ago))
    decision = ask(lease(tenure=tenure("alice", term=7)), release)
    assert decision.state.tenure is None
    assert [e.at for e in ended(decision)] == [NOW]


def test_at_that_instant_the_queue_goes_on() -> None:
    release = Release(KEY, "alice", 7, at=NOW + us(20))
    state = ask(lease(waiter(1, HERE), tenure=tenure("alice", term=7, left=60)), release).state
    decision = ask(state, Expire(KEY), now=NOW + us(20))
    assert [b.tenure.holder for b in began(decision)] == ["here/1"]


def test_a_stale_release_at_an_instant_does_nothing() -> None:
    before = lease(tenure=tenure("alice", term=8))
    assert ask(before, Release(KEY, "alice", 7, at=NOW + us(1))).state is before
