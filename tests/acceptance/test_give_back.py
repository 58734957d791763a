"""What a caller was given who has left is given back; not from under another claim of that holder."""

from __future__ import annotations

import pytest
from acceptance.support import NS, pass_manager, settle
from support.faults import PATIENCE, FaultyStore, HangAfterCommit, passing, reply_lost
from support.managers import advance_until, managing

from lease_actors import ClaimDenied, ClaimFuture, LeaseTimeout, Manager
from lease_actors.testing.clock import FakeClock


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def leave(manager: Manager, future: ClaimFuture) -> None:
    """As Ctrl-C makes its caller, who has been answered but has not seen it."""
    manager._crew.door.abandon(future, KeyboardInterrupt())


def test_who_leaves_just_after_the_answer_leaves_a_free_lease(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        future = claimer.claim_future("app", "me", 60)
        assert future.get(timeout=PATIENCE).term == 1
        leave(manager, future)
        assert claimer.claim("app", "you", 60, wait=PATIENCE).term == 2


@pytest.mark.parametrize("seconds", [5, 60, 600])
def test_another_claim_that_was_answered_meanwhile_keeps_it(
    store: FaultyStore, clock: FakeClock, seconds: float
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        future = claimer.claim_future("app", "me", 60)
        assert future.get(timeout=PATIENCE).term == 1
        assert claimer.claim("app", "me", seconds).term == 1
        leave(manager, future)
        pass_manager(manager)
        with pytest.raises(ClaimDenied):
            claimer.claim("app", "you", 60)


@pytest.mark.parametrize("seconds", [5, 60, 600])
def test_a_claim_that_another_manager_has_answered_meanwhile_keeps_it(
    store: FaultyStore, clock: FakeClock, seconds: float
) -> None:
    with managing(store, clock) as manager, managing(store.inner, clock) as other:
        with HangAfterCommit() as slow:
            store.then(slow)
            leaving = manager.claimer(NS).claim_future("app", "me", 60)
            assert slow.began.wait(PATIENCE)
            assert other.claimer(NS).claim("app", "me", seconds).term == 1
            assert leaving.cancel()
        settle(manager)
        assert manager.reader(NS).leases() == {"app": "me"}


def test_a_pin_does_not_keep_what_nobody_has_seen(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        claimer, pinner = manager.claimer(NS), manager.pinner(NS)
        pinner.pin("app", "entity")
        future = claimer.claim_future("app", "me", 60)
        assert future.get(timeout=PATIENCE).pinned
        leave(manager, future)
        lease = claimer.claim("app", "you", 60, wait=PATIENCE)
        assert (lease.term, lease.pinned) == (2, True)


@pytest.mark.parametrize("seconds", [5, 60, 600])
def test_a_claim_behind_a_batch_that_was_given_up_has_a_term_of_its_own(
    store: FaultyStore, clock: FakeClock, seconds: float
) -> None:
    with managing(store, clock, call_timeout=3600) as manager:
        claimer = manager.claimer(NS)
        store.then(reply_lost, *[passing] * 10)
        given_up = claimer.claim_future("app", "me", 60)
        assert store.wait_for_attempts(1)
        behind = claimer.claim_future("app", "me", seconds)
        advance_until(clock, lambda: given_up.is_settled)
        with pytest.raises(LeaseTimeout):
            given_up.get()
        assert behind.get(timeout=PATIENCE).term == 2
        with pytest.raises(ClaimDenied):
            claimer.claim("app", "you", 60)
