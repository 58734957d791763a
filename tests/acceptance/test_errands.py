"""What must be done although its caller has gone (to release, to leave the queue) is done, however
often the store refuses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from acceptance.support import NS, inside, pass_manager, pass_secretary, settle
from support.faults import (
    PATIENCE,
    FaultyStore,
    Hang,
    healthy,
    passing,
    raises,
    reply_lost,
    start_lost,
)
from support.managers import Calling, advance_until, blocked, managing, until

from lease_actors import LeaseTimeout, Manager, StoreError, SystemClock, WaitTimeout
from lease_actors.testing.clock import FakeClock

FULL = raises(OSError("no space left on device"))


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def manager(store: FaultyStore, clock: FakeClock) -> Iterator[Manager]:
    with managing(store, clock) as manager:
        yield manager


def end_a_hold(manager: Manager, store: FaultyStore) -> None:
    """Its release is refused, and so is everything from now on."""
    with manager.claimer(NS).hold("app", "me", 3600):
        store.always(FULL)


def queue(manager: Manager) -> list[str]:
    return [waiter.holder for waiter in manager.reader(NS).waiting("app")]


def test_a_release_that_the_store_has_refused_is_done_when_it_works_again(
    manager: Manager, store: FaultyStore, clock: FakeClock
) -> None:
    end_a_hold(manager, store)
    clock.advance(60)
    assert manager.reader(NS).leases() == {"app": "me"}
    store.always(None)
    advance_until(clock, lambda: manager.reader(NS).leases() == {})


def test_a_release_that_was_lost_with_the_start_is_done_under_the_next(
    manager: Manager, store: FaultyStore, clock: FakeClock
) -> None:
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
    manager: Manager, store: FaultyStore, clock: FakeClock
) -> None:
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
    manager: Manager, store: FaultyStore, clock: FakeClock
) -> None:
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


def test_a_claim_of_that_holder_does_not_overtake_its_release(
    manager: Manager, store: FaultyStore, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    end_a_hold(manager, store)
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
    manager: Manager, store: FaultyStore
) -> None:
    end_a_hold(manager, store)
    until(lambda: manager.report()["retries"] > 0)
    store.always(None)
    assert manager.claimer(NS).claim("other", "me", 60).term == 1


def test_what_others_ask_of_that_lease_does_not_wait_for_it(
    manager: Manager, store: FaultyStore
) -> None:
    claimer, token = manager.claimer(NS), manager.checker(NS).token("app", "me")
    with claimer.hold("app", "me", 60) as held:
        left = claimer.claim_future("app", "you", 60)
        blocked(manager, 1)
        store.always(FULL)
        left.cancel()
        until(lambda: manager.report()["retries"] > 0)
        store.always(None)
        token.check()  # and so would a renewal, though the time stands still
        held.check()


def test_what_is_asked_together_with_it_is_tried(manager: Manager, store: FaultyStore) -> None:
    with Hang() as busy:
        claimer, token = manager.claimer(NS), manager.checker(NS).token("app", "me")
        claimer.claim("app", "me", 3600)
        left = claimer.claim_future("app", "you", 60)
        blocked(manager, 1)
        # First what keeps it busy. Then both, and whether they were applied; then it alone, and so on.
        store.then(busy, FULL, healthy, FULL, healthy)
        other = claimer.claim_future("other", "me", 60)
        assert busy.began.wait(PATIENCE)
        left.cancel()
        pass_manager(manager)
        checking = Calling(token.check)
        until(lambda: len(inside(manager)) == 2)
        pass_secretary(manager)
        busy.release()
        checking.outcome()
        assert other.get(timeout=PATIENCE).term == 1


def test_all_that_was_refused_waits_together(
    manager: Manager, store: FaultyStore, clock: FakeClock
) -> None:
    with ExitStack() as holds:
        for number in range(200):
            holds.enter_context(manager.claimer(NS).hold(f"app-{number}", "me", 3600))
        store.always(FULL)
    pass_manager(manager)
    assert manager.report()["retries"] == 1
    before = store.attempts
    clock.advance(2)
    until(lambda: manager.report()["retries"] == 2)
    assert store.attempts == before + 2  # all of them, and whether that was applied
    store.always(None)
    advance_until(clock, lambda: manager.reader(NS).leases() == {})


def test_a_claim_of_which_nothing_was_decided_leaves_nothing_to_be_done(
    manager: Manager, store: FaultyStore
) -> None:
    store.always(FULL)
    for _ in range(5):
        with pytest.raises(StoreError):
            manager.claimer(NS).claim("app", "me", 60, wait=60)
    store.always(None)
    settle(manager)
    assert manager.report()["retries"] == 0


class LateStore(FaultyStore):
    """A look at the lease, from before anybody waited for it, is long on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.looked, self.arrive = threading.Event(), threading.Event()

    def peek(self, start: str, keys: Any) -> Any:
        seen = super().peek(start, keys)
        if keys and not self.looked.is_set():
            self.looked.set()
            self.arrive.wait(PATIENCE)
        return seen


def test_what_a_claim_was_offered_while_it_was_refused_is_not_declined() -> None:
    store, clock = LateStore(), SystemClock()
    with (
        managing(store, clock) as manager,
        managing(store.inner, clock) as other,
        Hang(FULL) as refused,
        ExitStack() as mine,
    ):
        first = other.claimer(NS).hold("app", "first", 30)
        first.__enter__()
        Calling(manager.claimer(NS).wait_until_expired, "app")
        assert store.looked.wait(PATIENCE)
        hold = manager.claimer(NS).hold("app", "me", 30)
        holding = Calling(mine.enter_context, hold)
        blocked(manager, 1)
        third = other.claimer(NS).claim_future("app", "third", 30)
        blocked(other, 1)
        store.then(refused)
        store.always(FULL)
        store.arrive.set()  # nobody waits, it says: so the claim is asked again
        assert refused.began.wait(PATIENCE)
        first.__exit__(None, None, None)
        held = holding.outcome()  # by the offer, which is not confirmed yet
        refused.release()
        until(lambda: manager.report()["last-batch"] > 0 and store.attempts > 4)
        store.always(None)
        assert held.remaining().total_seconds() > 0  # confirmed
        assert other.reader(NS).leases() == {"app": "me"}
        third.cancel()


def test_a_manager_that_stops_tries_once_more_and_no_longer(
    manager: Manager, store: FaultyStore
) -> None:
    end_a_hold(manager, store)
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
