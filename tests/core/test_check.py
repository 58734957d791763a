"""Does that holder's lease stand at this moment?"""

from __future__ import annotations

import pytest
from core.desk import HERE, KEY, NOW, ask, ended, lease, tenure, waiter

from lease_actors.core.decide import stands
from lease_actors.core.decision import DONE
from lease_actors.core.model import LeaseState
from lease_actors.core.operations import Check
from lease_actors.errors import NotHeld

CHECK = Check(KEY, "alice")


@pytest.mark.parametrize("left", [60, 0.000_001])
def test_the_holder_holds_it_to_the_last_microsecond(left: float) -> None:
    before = lease(tenure=tenure("alice", left=left))
    decision = ask(before, CHECK)
    assert decision.outcome == DONE
    assert decision.state is before


def test_nobody_holds_it_at_its_expiry() -> None:
    decision = ask(lease(tenure=tenure("alice", left=0)), CHECK)
    assert isinstance(decision.outcome, NotHeld)
    assert len(ended(decision)) == 1


def test_a_pinned_lease_is_held_past_its_expiry() -> None:
    assert ask(lease(tenure=tenure("alice", left=-60), pins=("unit",)), CHECK).outcome == DONE


@pytest.mark.parametrize("state", [LeaseState(KEY), lease(ended="expired"), lease(pins=("unit",))])
def test_a_lease_that_is_free_is_held_by_nobody(state: LeaseState) -> None:
    outcome = ask(state, CHECK).outcome
    assert isinstance(outcome, NotHeld)
    assert outcome.key == KEY
    assert "nobody does" in str(outcome)


def test_a_lease_of_another_is_not_held() -> None:
    outcome = ask(lease(tenure=tenure("bob")), CHECK).outcome
    assert isinstance(outcome, NotHeld)
    assert "'bob' does" in str(outcome)


def test_one_who_waits_does_not_hold() -> None:
    state = lease(waiter(1, HERE, "alice"), tenure=tenure("bob"))
    assert isinstance(ask(state, CHECK).outcome, NotHeld)


def test_one_whose_turn_has_come_holds() -> None:
    state = lease(waiter(1, HERE, "alice"), tenure=tenure("bob", left=0))
    assert ask(state, CHECK).outcome == DONE


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        (lease(tenure=tenure(left=0.000_001)), True),
        (lease(tenure=tenure(left=0)), False),
        (lease(tenure=tenure(left=0), pins=("unit",)), True),
        (lease(tenure=tenure(ending="revoked")), False),
        (lease(tenure=tenure(ending="revoked"), pins=("unit",)), False),
        (lease(), False),
    ],
)
def test_readers_and_checks_agree_on_what_stands(state: LeaseState, standing: bool) -> None:
    assert stands(state, NOW) is standing
    assert (ask(state, CHECK).outcome == DONE) is standing
