"""What must be done although its caller has gone (to release, to leave the queue) is done, however
often the store refuses it."""

from __future__ import annotations

import pytest
from acceptance.support import NS, inside, pass_secretary, settle
from support.faults import PATIENCE, FaultyStore, Hang, passing, raises, reply_lost, start_lost
from support.managers import Calling, advance_until, blocked, managing, until

from lease_actors import LeaseTimeout, Manager, StoreError, WaitTimeout
from lease_actors.testing.clock import FakeClock

FULL = raises(OSError("no space left on device"))


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def queue(manager: Manager) -> list[str]:
    return [waiter.holder for waiter in manager.reader(NS).waiting("app")]


def test_a_release_that_the_store_has_refused_is_done_when_it_works_again(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        with manager.claimer(NS).hold("app", "me", 3600):
            store.always(FULL)
        clock.advance(60)
        assert manager.reader(NS).leases() == {"app": "me"}
        store.always(None)
        advance_until(clock, lambda: manager.reader(NS).leases() == {})


def test_a_release_that_was_lost_with_the_start_is_done_under_the_next(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        claimer.claim("other", "you", 3600)
        waiting = claimer.claim_future("other", "me", 60)
        blocked(manager, 1)  # so that nobody can say what was applied
        with claimer.hold("app", "me", 3600):
            store.then(start_lost)
        with pytest.raises(LeaseTimeout):
            waiting.get()
        advance_until(clock, lambda: manager.reader(NS).leases() == {"other": "you"})


def test_a_claim_that_left_while_the_store_refused_everything_leaves_the_queue(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        claimer.claim("app", "you", 3600)
        waiting = claimer.claim_future("app", "me", 60, wait=1)
        blocked(manager, 1)
        store.always(FULL)
        clock.advance(1)
        with pytest.raises(WaitTimeout):
            waiting.get()
        clock.advance(60)
        assert queue(manager) == ["me"]
        store.always(None)
        advance_until(clock, lambda: queue(manager) == [])


def test_a_blocked_claim_that_could_not_be_asked_again_leaves_the_queue(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        claimer.claim("app", "me", 10)
        waiting = claimer.claim_future("app", "you", 60)
        blocked(manager, 1)
        store.then(FULL, FULL)
        with managing(store.inner, clock) as other:
            other.revoker(NS).revoke("app", "me")  # the lease is on offer to the claim that waits
            with pytest.raises(StoreError):
                waiting.get()
        advance_until(clock, lambda: queue(manager) == [] and not manager.reader(NS).leases())


def test_what_is_asked_of_that_lease_meanwhile_fails_and_does_not_overtake_it(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        with claimer.hold("app", "me", 3600):
            store.always(FULL)
        future = claimer.claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled, step=0.05)
        with pytest.raises(StoreError):
            future.get()
        future = claimer.claim_future("app", "me", 60, wait=0)
        store.always(None)
        advance_until(clock, lambda: future.is_settled, step=0.05)
        assert future.get().term == 2
        settle(manager)
        assert manager.reader(NS).leases() == {"app": "me"}


def test_an_errand_that_cannot_be_done_delays_no_other_lease(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        with manager.claimer(NS).hold("app", "me", 3600):
            store.always(FULL)
        until(lambda: manager.report()["retries"] > 0)
        store.always(None)
        assert manager.claimer(NS).claim("other", "me", 60).term == 1


def test_a_manager_that_stops_tries_once_more_and_no_longer(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock) as manager:
        with manager.claimer(NS).hold("app", "me", 3600):
            store.always(FULL)
        until(lambda: manager.report()["retries"] > 0)
        manager.kill()
        manager.wait(PATIENCE)


def test_a_claim_that_had_its_turn_in_the_batch_that_queued_it_is_given_back_with_that(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock, call_timeout=3600) as manager, Hang() as slow:
        claimer = manager.claimer(NS)
        claimer.claim("app", "you", 3600)
        store.then(slow, reply_lost, *[passing] * 10)
        claimer.claim_future("first", "me", 60)
        assert slow.began.wait(PATIENCE)
        claim = claimer.claim_future("app", "me", 3600)
        pass_secretary(manager)
        revoking = Calling(manager.revoker(NS).revoke, "app", "you")
        until(lambda: len(inside(manager)) == 3)
        pass_secretary(manager)
        slow.release()
        advance_until(clock, lambda: claim.is_settled)
        for answer in (claim.get, revoking.outcome):
            with pytest.raises(LeaseTimeout):
                answer()
        advance_until(clock, lambda: "app" not in manager.reader(NS).leases())
