"""Which tenure stands, that its end may be waited for?"""

from __future__ import annotations

from core.desk import HERE, KEY, THERE, ask, claim, lease, offer, tenure, waiter

from lease_actors.core.decision import DONE, Standing
from lease_actors.core.model import LeaseState
from lease_actors.core.operations import Revoke, Wait

WAIT = Wait(KEY)


def test_it_is_over_at_once_if_none_stands() -> None:
    for state in (LeaseState(KEY), lease(ended="expired"), lease(pins=("unit",))):
        decision = ask(state, WAIT)
        assert decision.outcome == DONE
        assert decision.state is state


def test_it_names_the_tenure_that_stands() -> None:
    before = tenure("alice", term=7)
    assert ask(lease(tenure=before), WAIT).outcome == Standing(before._replace(watched=True))


def test_it_is_written_down_that_somebody_waits_so_that_others_tell_of_the_end() -> None:
    before = lease(tenure=tenure("alice"))
    waited_for = ask(before, WAIT).state
    assert waited_for.tenure is not None
    assert waited_for.tenure.watched
    assert ask(waited_for, WAIT).state is waited_for  # once is enough


def test_it_is_over_at_the_instant_of_expiry() -> None:
    assert ask(lease(tenure=tenure(left=0.000_001)), WAIT).outcome != DONE
    assert ask(lease(tenure=tenure(left=0)), WAIT).outcome == DONE


def test_a_pinned_lease_stands_past_its_expiry() -> None:
    before = tenure(left=-60)
    assert ask(lease(tenure=before, pins=("unit",)), WAIT).outcome == Standing(
        before._replace(watched=True)
    )


def test_a_tenure_that_is_ending_has_not_ended() -> None:
    before = tenure(ending="revoked")
    assert ask(lease(tenure=before, guarded=True), WAIT).outcome == Standing(
        before._replace(watched=True)
    )


def test_an_offer_is_no_tenure() -> None:
    first = waiter(1, THERE)
    assert ask(lease(first, offer=offer(first)), WAIT).outcome == DONE


def test_the_next_tenure_has_another_term_so_that_its_predecessors_waits_are_over() -> None:
    before = lease(waiter(1, HERE), tenure=tenure("alice"))
    then = ask(before, WAIT).outcome
    now = ask(before, Revoke(KEY, "alice"), WAIT).outcome
    assert isinstance(then, Standing)
    assert isinstance(now, Standing)
    assert now.tenure.term > then.tenure.term


def test_an_extension_goes_on_being_the_same_tenure() -> None:
    before = lease(tenure=tenure("alice", left=1))
    then = ask(before, WAIT).outcome
    now = ask(before, claim("alice", 600), WAIT).outcome
    assert isinstance(then, Standing)
    assert isinstance(now, Standing)
    assert now.tenure.term == then.tenure.term
