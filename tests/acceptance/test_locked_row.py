"""A lease whose row somebody else keeps locked: only what is asked of it is delayed."""

from __future__ import annotations

import pytest
from support.faults import FaultyStore, locked_elsewhere
from support.managers import Log, advance_until, managing, until

from lease_actors import ClaimDenied, LeaseTimeout
from lease_actors.testing.clock import FakeClock


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def test_others_are_answered_meanwhile(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.always(locked_elsewhere("stuck"))
        stuck = claimer.claim_future("stuck", "me", 60)
        until(lambda: manager.report()["retries"] == 1)
        assert claimer.claim("free", "me", 60).term == 1  # no time has passed
        assert manager.report()["outstanding-claims"] == 1
        store.always(None)
        advance_until(clock, lambda: stuck.is_settled)
        assert stuck.get().term == 1


def test_those_of_one_batch_too(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("stuck", "other", 60)
        # Whatever joins which batch: all of them are under way at once.
        store.always(locked_elsewhere("stuck"))
        leases = ["a", "stuck", "b", "stuck", "c"]
        futures = [claimer.claim_future(lease, "me", 60, wait=0) for lease in leases]
        for free in futures[::2]:
            assert free.get(timeout=20).term == 1
        assert not any(f.is_settled for f in futures[1::2])
        store.always(None)
        advance_until(clock, lambda: all(f.is_settled for f in futures))
        for future in futures[1::2]:
            with pytest.raises(ClaimDenied):
                future.get()


def test_what_is_asked_of_it_stays_in_order(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.always(locked_elsewhere("stuck"))
        first = claimer.claim_future("stuck", "one", 60, wait=0)
        until(lambda: manager.report()["retries"] == 1)
        store.always(None)  # free again, but the first one does not know yet
        second = claimer.claim_future("stuck", "two", 60, wait=0)
        claimer.claim("free", "me", 60)
        assert not second.is_settled
        advance_until(clock, lambda: first.is_settled and second.is_settled)
        assert first.get().holder == "one"
        with pytest.raises(ClaimDenied):
            second.get()


def test_it_is_tried_ten_times(store: FaultyStore, clock: FakeClock) -> None:
    log = Log()
    with managing(store, clock, call_timeout=3600, logger=log.logger) as manager:
        store.always(locked_elsewhere("stuck"))
        stuck = manager.claimer("ns").claim_future("stuck", "me", 60, wait=0)
        advance_until(clock, lambda: stuck.is_settled)
        with pytest.raises(LeaseTimeout, match=r"'stuck'.*locked"):
            stuck.get()
        assert manager.report()["retries"] == 10
        store.always(None)
        assert manager.claimer("ns").claim("stuck", "other", 60).term == 1


def test_who_has_left_meanwhile_gets_nothing(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        store.always(locked_elsewhere("stuck"))
        stuck = claimer.claim_future("stuck", "me", 60)
        until(lambda: manager.report()["retries"] == 1)
        assert stuck.cancel()
        store.always(None)
        clock.advance(20)
        assert claimer.claim("stuck", "other", 60).term == 1


def test_a_manager_that_stops_waits_for_it(store: FaultyStore, clock: FakeClock) -> None:
    with managing(store, clock) as manager:
        store.always(locked_elsewhere("stuck"))
        stuck = manager.claimer("ns").claim_future("stuck", "me", 60, wait=0)
        until(lambda: manager.report()["retries"] == 1)
        manager.kill()
        store.always(None)
        advance_until(clock, lambda: stuck.is_settled)
        assert stuck.get().term == 1
        manager.wait(20)
