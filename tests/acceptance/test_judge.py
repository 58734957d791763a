"""Nobody is judged by a silence during which the judge itself could not reach the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from acceptance.support import NS, PATIENCE, key
from support.faults import FaultyStore, passing
from support.managers import advance_until, blocked, managing, until

from lease_actors import ClaimDenied, LeaseTimeout, Manager, MemoryStore
from lease_actors.stores import StorePassing
from lease_actors.testing.clock import FakeClock

LONG, WINDOW = 3600, 5


class Court:
    """Two managers on one store. The one waits in the queue; the other is to judge its silence."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.shared = MemoryStore()
        self.judges, self.waiters = FaultyStore(self.shared), FaultyStore(self.shared)
        """The store, as the one reaches it and as the other does."""

    def offer(self, judge: Manager, waiter: Manager) -> None:
        """The lease is offered to the claim that waits, which cannot confirm it."""
        judge.claimer(NS).claim("db", "app-0", LONG)
        self.future = waiter.claimer(NS).claim_future("db", "app-1", LONG)
        blocked(waiter, 1)
        self.waiters.always(passing)
        judge.revoker(NS).revoke("db", "app-0")
        self.clock.advance(1)

    def assert_not_judged_by(self, judge: Manager) -> None:
        """When the offer has lapsed it is made once more, and who waits comes in time for that."""
        with pytest.raises(ClaimDenied):
            judge.claimer(NS).claim("db", "app-2", LONG)
        self.waiters.always(None)
        advance_until(self.clock, lambda: self.future.is_settled)
        assert self.future.get().term == 2


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def court(clock: FakeClock) -> Court:
    return Court(clock)


@pytest.fixture
def waiter(court: Court, clock: FakeClock) -> Iterator[Manager]:
    with managing(court.waiters, clock) as manager:
        yield manager
        court.waiters.always(None)
        clock.advance(10)  # the pause before the next attempt is over


def test_who_was_silent_though_the_judge_could_reach_the_store_is_passed_over(
    court: Court, waiter: Manager, clock: FakeClock
) -> None:
    with managing(court.judges, clock) as judge:
        court.offer(judge, waiter)
        clock.advance(WINDOW)
        assert judge.claimer(NS).claim("db", "app-2", LONG).holder == "app-2"


def test_who_was_passed_over_shows_itself_though_another_holds_the_lease(
    court: Court, waiter: Manager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has heard nothing of its offer: it sees that it is taken for absent."""

    def fail() -> None:
        raise StorePassing("the connection was lost")

    monkeypatch.setattr("lease_actors.actors.lookout._BESIDES", 0.01)
    court.waiters.listen = lambda start, heard: None  # type: ignore[method-assign]
    with managing(court.judges, clock) as judge:
        judge.claimer(NS).claim("db", "app-0", LONG)
        future = waiter.claimer(NS).claim_future("db", "app-1", LONG)
        blocked(waiter, 1)
        court.waiters.on_read = fail
        judge.revoker(NS).revoke("db", "app-0")
        clock.advance(WINDOW)
        judge.claimer(NS).claim("db", "app-2", LONG)
        [place] = court.shared.waiting(key("db"))
        assert place.absent
        court.waiters.on_read = lambda: None
        until(lambda: not court.shared.waiting(key("db"))[0].absent, "a sign of life")
        judge.revoker(NS).revoke("db", "app-2")
        assert future.get(timeout=PATIENCE).term == 4


def test_a_judge_that_has_just_started_grants_a_window(
    court: Court, waiter: Manager, clock: FakeClock
) -> None:
    with managing(court.judges, clock) as before:
        court.offer(before, waiter)
    clock.advance(WINDOW)
    with managing(court.judges, clock) as judge:
        court.assert_not_judged_by(judge)


def test_a_judge_whose_own_batches_failed_meanwhile_grants_a_window(
    court: Court, waiter: Manager, clock: FakeClock
) -> None:
    with managing(court.judges, clock) as judge:
        court.offer(judge, waiter)
        court.judges.always(passing)
        probe = judge.claimer(NS).claim_future("probe", "app-3", LONG, wait=0)
        advance_until(clock, lambda: probe.is_settled)
        with pytest.raises(LeaseTimeout):
            probe.get(timeout=PATIENCE)
        clock.advance(WINDOW)
        court.judges.always(None)
        court.assert_not_judged_by(judge)


def test_a_judge_that_could_not_look_meanwhile_grants_a_window(
    court: Court, waiter: Manager, clock: FakeClock
) -> None:
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise StorePassing("the connection was lost")

    with managing(court.judges, clock) as judge:
        court.offer(judge, waiter)
        court.judges.on_read = fail
        claimer = judge.claimer(NS)
        for lease in ("one", "two"):  # when it looks at the second, it has told of the first
            failed.clear()
            claimer.claim(lease, "app-3", LONG)
            claimer.claim_future(lease, "app-4", LONG)
            assert failed.wait(PATIENCE)
        court.judges.on_read = lambda: None
        clock.advance(WINDOW)
        court.assert_not_judged_by(judge)
