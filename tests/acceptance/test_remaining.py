"""What remains of a lease is counted from before it was asked for."""

from __future__ import annotations

import pickle
from datetime import timedelta

from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, PATIENCE, WatchedStore, pass_time, settle
from acceptance.test_names import Slow

from lease_actors import Lease, Manager
from lease_actors.secretaries import FixedSecretaries
from lease_actors.testing import FakeClock

ZERO = timedelta(0)


def seconds(lease: Lease) -> float:
    return lease.remaining().total_seconds()


def test_it_runs_down_to_zero_and_not_below(manager: Manager, clock: FakeClock) -> None:
    lease = manager.claimer(NS).claim("db", "app-1", 10)
    seen = []
    for step in (0, 4, 5.999_999, 0.000_001, 100):
        clock.advance(step)
        seen.append(seconds(lease))
    assert seen == [10, 6, 0.000_001, 0, 0]


def test_steps_of_the_wall_clock_do_not_move_it(manager: Manager, clock: FakeClock) -> None:
    lease = manager.claimer(NS).claim("db", "app-1", 10)
    for step in (3600, -86_400):
        clock.step_wall(step)
        assert seconds(lease) == 10
    assert manager.claimer(NS).claim("db", "app-1", 5).granted_at == lease.granted_at
    clock.advance(3)
    assert seconds(lease) == 7


def test_it_is_counted_from_when_the_call_began(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock, run: Run
) -> None:
    manager = open_manager(store=watched)
    settle(manager)
    watched.way_in.close()
    call = run(lambda: manager.claimer(NS).claim("db", "app-1", 10))
    future = manager.claimer(NS).claim_future("cache", "app-1", 10)
    watched.way_in.await_one()
    clock.advance(3)
    watched.way_in.open()

    for lease in (call.outcome(), future.get(timeout=PATIENCE)):
        # It stands for ten seconds from now, but of that its holder knows only seven for certain.
        assert seconds(lease) == 7
        read = manager.reader(NS).get(lease.key.lease)
        assert read is not None
        assert seconds(read) == 10


def test_what_a_secretary_takes_is_counted_too(
    open_manager: OpenManager, clock: FakeClock, run: Run
) -> None:
    slow = Slow()
    manager = open_manager(secretary_finder=FixedSecretaries({NS: slow}))
    call = run(lambda: manager.claimer(NS).claim("db", "app-1", 10))
    assert slow.come.wait(PATIENCE)
    clock.advance(3)
    slow.go.set()
    assert seconds(call.outcome()) == 7


def test_extension_is_counted_from_when_it_was_asked_for(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock, run: Run
) -> None:
    manager = open_manager(store=watched)
    manager.claimer(NS).claim("db", "app-1", 10)
    settle(manager)
    clock.advance(5)
    watched.way_in.close()
    call = run(lambda: manager.claimer(NS).claim("db", "app-1", 10))
    watched.way_in.await_one()
    clock.advance(2)
    watched.way_in.open()
    assert seconds(call.outcome()) == 8


def test_extension_that_moves_nothing_has_what_is_left(manager: Manager, clock: FakeClock) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 10)
    clock.advance(4)
    assert seconds(claimer.claim("db", "app-1", 1)) == 6.000_001


def test_queued_claim_is_counted_from_the_batch_that_attributed_it(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock, run: Run
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 100)
    future = claimer.claim_future("db", "app-2", 10)
    pass_time(manager, clock, 50)
    watched.way_in.close()
    revocation = run(lambda: manager.revoker(NS).revoke("db", "app-1"))
    watched.way_in.await_one()
    clock.advance(3)
    watched.way_in.open()
    revocation.outcome()

    lease = future.get(timeout=PATIENCE)
    assert seconds(lease) == 7
    assert lease.expiry - lease.granted_at == timedelta(seconds=10)


def test_claim_handed_over_at_an_expiry_has_its_whole_duration(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 20)
    future = claimer.claim_future("db", "app-2", 10)
    pass_time(manager, clock, 20)
    lease = future.get(timeout=PATIENCE)
    assert seconds(lease) == 10
    clock.advance(4)
    assert seconds(lease) == 6
    assert seconds(future.get()) == 6


def test_pickled_lease_has_left_its_clock_behind(manager: Manager) -> None:
    lease = manager.claimer(NS).claim("db", "app-1", 10)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        travelled = pickle.loads(pickle.dumps(lease, protocol))
        assert travelled == lease
        assert hash(travelled) == hash(lease)
        assert travelled.remaining() == ZERO


def test_what_remains_is_certain_by_the_machines_clock(real_manager: Manager) -> None:
    lease = real_manager.claimer(NS).claim("db", "app-1", 10)
    read = real_manager.reader(NS).get("db")
    assert read is not None
    assert timedelta(seconds=5) < lease.remaining() <= timedelta(seconds=10)
    assert timedelta(seconds=5) < read.remaining() <= timedelta(seconds=10)
