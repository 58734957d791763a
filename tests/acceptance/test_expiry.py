"""Expiries are acted on at their instant, if anybody waits, and cost nothing if nobody does."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median

import pytest
from acceptance.conftest import OpenManager
from acceptance.support import (
    NS,
    PATIENCE,
    WatchedStore,
    is_pending,
    key,
    pass_expiry,
    pass_manager,
    pass_time,
    settle,
)
from prometheus_client import CollectorRegistry
from support.managers import until

from lease_actors import MAX_SLEEP, Claim, Claimer, Manager, Store
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


def look(manager: Manager) -> None:
    """Return when the ticks that fell due have been dealt with; asks nothing of the store."""
    for _ in range(3):
        pass_expiry(manager)
        pass_manager(manager)


def ticks(registry: CollectorRegistry) -> float | None:
    """How often the manager was told to look."""
    return registry.get_sample_value("lease_tick_late_seconds_count")


# -- at its instant ----------------------------------------------------------------------


def test_each_expiry_in_a_long_row_is_served_at_its_instant(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    expiry = claimer.claim("db", "app-0", 1).expiry
    futures = [claimer.claim_future("db", f"app-{i}", 1) for i in range(1, 31)]
    for future in futures:
        pass_time(manager, clock, 1)
        lease = future.get(timeout=PATIENCE)
        assert lease.granted_at == expiry
        expiry = lease.expiry


def test_shorter_lease_wakes_a_manager_that_sleeps_longer(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    futures = []
    for lease, seconds in (("hour", 3600), ("minute", 60), ("blink", 0.125)):
        claimer.claim(lease, "app-1", seconds)
        futures.append(claimer.claim_future(lease, "app-2", 3600))
        settle(manager)
    assert all(map(is_pending, futures))

    pass_time(manager, clock, 0.125)
    assert [is_pending(f) for f in futures] == [True, True, False]
    pass_time(manager, clock, 59.875)
    assert [is_pending(f) for f in futures] == [True, False, False]
    pass_time(manager, clock, 3540)
    assert [is_pending(f) for f in futures] == [False, False, False]


def test_expiries_of_one_instant_are_all_served(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    futures = []
    for i in range(20):
        claimer.claim(f"db-{i}", "app-1", 10)
        futures.append(claimer.claim_future(f"db-{i}", "app-2", 10))
    pass_time(manager, clock, 10)
    assert {f.get(timeout=PATIENCE).term for f in futures} == {2}


def test_expiries_that_were_slept_through_are_all_served(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    futures = []
    for i in range(20):
        claimer.claim(f"db-{i}", "app-1", 1 + i)
        futures.append(claimer.claim_future(f"db-{i}", "app-2", 3600))
    pass_time(manager, clock, 1000)
    assert {f.get(timeout=PATIENCE).term for f in futures} == {2}


def test_look_that_finds_nothing_is_followed_by_the_next(
    open_manager: OpenManager, clock: FakeClock
) -> None:
    """The lease is extended by another manager, so that this one looks too early."""
    one, other = open_manager(), open_manager()
    one.claimer(NS).claim("db", "app-1", 10)
    future = other.claimer(NS).claim_future("db", "app-2", 10)
    settle(other)
    pass_time(other, clock, 9)
    for _ in range(5):
        one.claimer(NS).claim("db", "app-1", 10)
        pass_time(other, clock, 1)  # the expiry that the other knows of
        assert is_pending(future)
        pass_time(other, clock, 8)

    pass_time(other, clock, 0.999_999)
    assert is_pending(future)
    pass_time(other, clock, 0.000_001)
    assert future.get(timeout=PATIENCE).term == 2


def test_what_expired_while_no_manager_ran_is_free_at_once(
    open_manager: OpenManager, clock: FakeClock
) -> None:
    with open_manager() as manager:
        manager.claimer(NS).claim("db", "app-1", 10)
    clock.advance(3600)
    assert open_manager().claimer(NS).claim("db", "app-2", 10).term == 2


def test_what_stands_when_a_manager_starts_is_served_at_its_expiry(
    open_manager: OpenManager, clock: FakeClock
) -> None:
    with open_manager() as manager:
        manager.claimer(NS).claim("db", "app-1", 10)
    manager = open_manager()
    future = manager.claimer(NS).claim_future("db", "app-2", 10)
    pass_time(manager, clock, 9.999_999)
    assert is_pending(future)
    pass_time(manager, clock, 0.000_001)
    assert future.get(timeout=PATIENCE).term == 2


# -- how long it sleeps ------------------------------------------------------------------


def test_max_sleep_is_a_minute_unless_told_otherwise() -> None:
    assert timedelta(minutes=1) == MAX_SLEEP


@pytest.mark.parametrize("max_sleep", [60, 7.5])
@pytest.mark.parametrize("waited_for", [False, True])
def test_manager_looks_every_max_sleep_however_far_the_next_expiry(
    open_manager: OpenManager,
    watched: WatchedStore,
    clock: FakeClock,
    max_sleep: float,
    waited_for: bool,
) -> None:
    registry = CollectorRegistry()
    manager = open_manager(store=watched, max_sleep=max_sleep, prometheus_registerer=registry)
    manager.claimer(NS).claim("db", "app-1", 365 * 86_400)
    if waited_for:
        manager.claimer(NS).claim_future("db", "app-2", 10)
    settle(manager)
    for rounds in range(1, 4):
        clock.advance(max_sleep - 0.000_001)
        look(manager)
        assert ticks(registry) == watched.pruned == rounds - 1
        clock.advance(0.000_001)
        look(manager)
        assert ticks(registry) == rounds
        until(lambda: watched.pruned == ticks(registry), "its pruning")


def test_a_manager_that_is_never_idle_prunes_between_two_batches(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock
) -> None:
    manager = open_manager(store=watched, max_sleep=2)
    claimer = manager.claimer(NS)
    watched.way_in.close()
    one = claimer.claim_future("one", "app-1", 600)
    clock.advance(2)
    look(manager)
    other = claimer.claim_future("other", "app-1", 600)
    watched.way_in.open()
    assert [future.get(timeout=PATIENCE).term for future in (one, other)] == [1, 1]
    until(lambda: watched.pruned == 1, "the pruning")


def test_where_much_is_pruned_it_goes_on_until_little_is_left(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock
) -> None:
    manager = open_manager(store=watched, max_sleep=60)
    watched.gone = [300, 100, 99]
    clock.advance(60)
    look(manager)
    until(lambda: watched.pruned == 3, "three prunings")
    clock.advance(59)
    settle(manager)
    assert watched.pruned == 3


# -- what it costs -----------------------------------------------------------------------


def test_expiry_that_nobody_waits_for_costs_nothing(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock
) -> None:
    manager = open_manager(store=watched)
    for i in range(50):
        manager.claimer(NS).claim(f"db-{i}", "app-1", 1 + i)
    settle(manager)
    before = len(watched.applied)
    for _ in range(59):
        clock.advance(1)
        look(manager)
    assert len(watched.applied) == before
    assert watched.pruned == 0


def test_look_touches_only_what_is_due(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    for i in range(300):
        manager.tell(Claim(key(f"other-{i}"), "app-1", timedelta(seconds=10)))
    for lease, seconds in (("db", 10), ("later", 11)):
        claimer.claim(lease, "app-1", seconds)
        claimer.claim_future(lease, "app-2", 10)
    settle(manager)
    watched.applied.clear()

    pass_time(manager, clock, 10)

    # Barriers touch one lease each, and so does the look; they may meet in one batch.
    assert max(watched.applied) <= 2
    assert set(manager.reader(NS).leases()) == {"db", "later"}


# -- by the machine's clock --------------------------------------------------------------


def test_expiry_is_served_within_50_ms_of_its_instant(real_manager: Manager, store: Store) -> None:
    """The median of some tries: the machine may be busy with something else now and then."""
    claimer = real_manager.claimer(NS)
    claimer.claim("an-hour", "app-1", 3600)
    claimer.claim_future("an-hour", "app-2", 1)  # that the manager sleeps for
    late = []
    for i in range(9):
        lease = claimer.claim("db", f"app-{i}", 0.06)
        future = claimer.claim_future("db", f"app-{i + 1}", 0.06)
        granted = future.get(timeout=PATIENCE)
        late.append(granted.granted_at - lease.expiry)
        ends = time.monotonic() + granted.remaining().total_seconds()
        claimer.wait_until_expired("db")
        late.append(timedelta(seconds=time.monotonic() - ends))
    assert min(late) >= timedelta(milliseconds=-1)  # the two clocks are read one after the other
    assert median(late) < timedelta(milliseconds=50)


def test_wait_with_timeout_ends_in_time_by_the_machines_clock(real_manager: Manager) -> None:
    claimer = real_manager.claimer(NS)
    claimer.claim("db", "app-1", 3600)
    for call in (
        lambda: claimer.wait_until_expired("db", timeout=0.05),
        lambda: claimer.claim("db", "app-2", 1, wait=0.05),
        lambda: claimer.claim_future("db", "app-2", 1, wait=0.05).get(),
    ):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            call()
        assert time.monotonic() - began >= 0.049
