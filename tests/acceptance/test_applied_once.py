"""A batch is applied once, and its callers are told what was applied: not what some attempt meant to."""

from __future__ import annotations

import threading

import pytest
from acceptance.support import NS, pass_manager
from support.faults import (
    PATIENCE,
    FaultyStore,
    Hang,
    HangAfterCommit,
    HangAfterReading,
    passing,
    poison,
    raises,
    reply_lost,
)
from support.managers import advance_until, managing

from lease_actors import ClaimDenied, MemoryStore, StoreError
from lease_actors.testing.clock import FakeClock

DISK_FULL = StoreError("the disk is full")


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def test_an_attempt_left_behind_that_decides_at_last_is_not_what_the_next_one_comes_to(
    clock: FakeClock,
) -> None:
    shared = MemoryStore()
    store = FaultyStore(shared)
    with (
        HangAfterReading() as late,
        HangAfterCommit() as slow,
        managing(store, clock, attempt_timeout=5) as manager,
        managing(shared, clock) as elsewhere,
    ):
        store.then(late, slow)
        future = manager.claimer(NS).claim_future("app", "me", 60, wait=0)
        assert late.began.wait(PATIENCE)
        assert elsewhere.claimer(NS).claim("app", "you", 60).term == 1
        clock.advance(5)  # the attempt is over
        advance_until(clock, slow.began.is_set)
        late.release()
        assert late.ended.wait(PATIENCE)
        slow.release()
        with pytest.raises(ClaimDenied, match="you"):
            future.get(timeout=PATIENCE)


def test_what_is_told_of_an_attempt_left_behind_says_nothing_of_those_that_look_what_was_applied(
    store: FaultyStore, clock: FakeClock
) -> None:
    with (
        HangAfterCommit() as silent,
        Hang() as looking,
        managing(store, clock, attempt_timeout=5) as manager,
    ):
        store.then(silent, raises(DISK_FULL), looking)
        future = manager.claimer(NS).claim_future("app", "me", 60, wait=0)
        assert silent.began.wait(PATIENCE)
        [behind] = [t for t in threading.enumerate() if t.name.startswith("lease transactor")]
        clock.advance(5)  # the attempt is over
        advance_until(clock, looking.began.is_set)
        silent.release()
        behind.join(PATIENCE)  # then it has told
        pass_manager(manager)
        looking.release()
        assert future.get(timeout=PATIENCE).term == 1
        assert store.batches == [1, 1, 1]


@pytest.mark.parametrize("then", [reply_lost, passing])
def test_what_only_looked_whether_a_batch_was_applied_does_not_pass_for_it(
    store: FaultyStore, clock: FakeClock, then: object
) -> None:
    with managing(store, clock) as manager:
        store.then(poison("app", DISK_FULL), then)  # type: ignore[arg-type]
        future = manager.claimer(NS).claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled)
        with pytest.raises(StoreError, match="the disk is full"):
            future.get()
        assert manager.reader(NS).get("app") is None
        assert manager.claimer(NS).claim("app", "you", 60).term == 1


def test_a_failure_that_will_not_pass_leaves_as_many_attempts_to_find_out_what_was_applied(
    store: FaultyStore, clock: FakeClock
) -> None:
    with managing(store, clock, call_timeout=3600) as manager:
        store.then(*[passing] * 9, raises(DISK_FULL), *[passing] * 10)
        future = manager.claimer(NS).claim_future("app", "me", 60, wait=0)
        advance_until(clock, lambda: future.is_settled)
        with pytest.raises(StoreError, match="the disk is full"):
            future.get()
        assert store.attempts == 21
