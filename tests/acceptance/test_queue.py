"""The queue: first in, first out; left by a timeout, a cancel, an exception, and never else."""

from __future__ import annotations

import gc
import threading
from datetime import timedelta
from functools import partial

import pykka
import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import (
    NS,
    PATIENCE,
    WatchedStore,
    is_pending,
    key,
    pass_manager,
    pass_secretary,
    pass_time,
    settle,
    wait_for_queue,
)
from support.interrupting import interrupted
from support.managers import NO_TIMES

from lease_actors import (
    ClaimDenied,
    Claimer,
    ClaimFuture,
    Lease,
    Manager,
    ManagerStopped,
    NotHeld,
    NotValid,
    WaitCancelled,
    WaitTimeout,
)
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


def queue(manager: Manager) -> list[str]:
    settle(manager)
    return [w.holder for w in manager.reader(NS).waiting("db")]


# -- order -------------------------------------------------------------------------------


def test_claims_of_many_threads_have_the_lease_in_the_order_in_which_they_came(
    manager: Manager, claimer: Claimer, run: Run
) -> None:
    claimer.claim("db", "app-0", 60)
    calls = []
    for i in range(1, 13):
        calls.append(run(partial(claimer.claim, "db", f"app-{i}", 60, wait=None)))
        wait_for_queue(manager, i)

    order = []
    for i, call in enumerate(calls):
        manager.revoker(NS).revoke("db", f"app-{i}")
        lease = call.outcome()
        order.append(lease.holder)
        assert manager.reader(NS).leases() == {"db": lease.holder}
        assert lease.term == i + 2

    assert order == [f"app-{i}" for i in range(1, 13)]


def test_no_two_threads_are_in_at_once(real_manager: Manager, run: Run) -> None:
    claimer, revoker = real_manager.claimer(NS), real_manager.revoker(NS)
    entered: list[tuple[int, int]] = []
    inside = 0

    def work(name: str) -> None:
        nonlocal inside
        for _ in range(8):
            lease = claimer.claim("db", name, 60, wait=None)
            inside += 1  # unguarded on purpose
            entered.append((inside, lease.term))
            inside -= 1
            revoker.revoke("db", name)

    for call in [run(partial(work, f"app-{i}")) for i in range(8)]:
        call.outcome()

    assert entered == [(1, term) for term in range(1, 65)]


def test_who_would_not_wait_does_not_pass_those_who_do(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 60)
    queued = claimer.claim_future("db", "app-2", 60)
    settle(manager)
    clock.advance(60)

    with pytest.raises(ClaimDenied):
        claimer.claim("db", "app-3", 60)

    assert queued.get(timeout=PATIENCE).holder == "app-2"


def test_who_was_revoked_queues_at_the_end(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    futures = [claimer.claim_future("db", f"app-{i}", 60) for i in (2, 3)]
    manager.revoker(NS).revoke("db", "app-1")
    futures.append(claimer.claim_future("db", "app-1", 60))

    assert queue(manager) == ["app-3", "app-1"]
    assert futures[0].get(timeout=PATIENCE).holder == "app-2"


# -- how long ----------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [5, 5.0, timedelta(seconds=5)])
def test_blocked_claim_times_out_when_its_wait_is_over(
    claimer: Claimer, manager: Manager, clock: FakeClock, run: Run, wait: float | timedelta
) -> None:
    claimer.claim("db", "app-1", 60)
    call = run(partial(claimer.claim, "db", "app-2", 60, wait=wait))
    future = claimer.claim_future("db", "app-3", 60, wait=wait)
    wait_for_queue(manager, 2)

    pass_time(manager, clock, 4.999_999)
    assert not call.is_over
    assert is_pending(future)

    pass_time(manager, clock, 0.000_001)
    with pytest.raises(WaitTimeout, match="cannot claim lease 'db' for holder 'app-2'") as e:
        call.outcome()
    assert e.value.key == key("db")
    with pytest.raises(WaitTimeout, match="'app-3'"):
        future.get(timeout=PATIENCE)
    assert queue(manager) == []


def test_claim_that_may_wait_for_ever_does(
    claimer: Claimer, manager: Manager, clock: FakeClock, run: Run
) -> None:
    claimer.claim("db", "app-1", 30 * 86_400)
    call = run(partial(claimer.claim, "db", "app-2", 60, wait=None))
    wait_for_queue(manager, 1)
    for _ in range(29):
        pass_time(manager, clock, 86_400)
    assert not call.is_over

    pass_time(manager, clock, 86_400)
    assert call.outcome().holder == "app-2"


def test_future_waits_for_ever_unless_told_otherwise(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 86_400)
    future = claimer.claim_future("db", "app-2", 60)
    pass_time(manager, clock, 86_399)
    assert is_pending(future)


def test_get_that_gave_up_leaves_the_claim_in_the_queue(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    future = claimer.claim_future("db", "app-2", 60)
    with pytest.raises(pykka.Timeout):
        future.get(timeout=0.001)

    manager.revoker(NS).revoke("db", "app-1")
    assert future.get(timeout=PATIENCE).holder == "app-2"


def test_next_in_line_does_not_wait_for_one_whose_time_was_over(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 60)
    first = claimer.claim_future("db", "app-2", 60, wait=5)
    second = claimer.claim_future("db", "app-3", 60)
    pass_time(manager, clock, 5)
    pass_time(manager, clock, 55)

    with pytest.raises(WaitTimeout):
        first.get(timeout=PATIENCE)
    assert second.get(timeout=PATIENCE).term == 2


@pytest.mark.parametrize("wait", NO_TIMES)
def test_what_is_no_time_to_wait_is_refused(claimer: Claimer, wait: object) -> None:
    with pytest.raises(NotValid, match=r"cannot claim lease 'db' .* not a time to wait"):
        claimer.claim("db", "app-1", 60, wait=wait)  # type: ignore[arg-type]
    future = claimer.claim_future("db", "app-1", 60, wait=wait)  # type: ignore[arg-type]
    with pytest.raises(NotValid):
        future.get(timeout=0)
    assert future.cancel()


# -- leaving -----------------------------------------------------------------------------


def test_cancelled_claim_is_never_attributed(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    future = claimer.claim_future("db", "app-2", 60)
    settle(manager)

    assert future.cancel()
    assert future.cancel()  # it is as true as before
    with pytest.raises(WaitCancelled, match="lease 'db' for holder 'app-2'") as e:
        future.get(timeout=0)
    assert e.value.key == key("db")

    assert queue(manager) == []
    manager.revoker(NS).revoke("db", "app-1")
    settle(manager)
    assert manager.reader(NS).get("db") is None


def test_claim_cancelled_in_the_middle_lets_the_next_through(
    claimer: Claimer, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    futures = [claimer.claim_future("db", f"app-{i}", 60) for i in (2, 3, 4)]
    assert futures[0].cancel()
    assert futures[1].cancel()
    assert queue(manager) == ["app-4"]
    manager.revoker(NS).revoke("db", "app-1")
    assert futures[2].get(timeout=PATIENCE).term == 2


def test_attributed_claim_cannot_be_cancelled(claimer: Claimer, manager: Manager) -> None:
    future = claimer.claim_future("db", "app-1", 60)
    lease = future.get(timeout=PATIENCE)

    assert not future.cancel()
    assert future.get() == lease
    settle(manager)
    assert manager.reader(NS).get("db") == lease


def test_claim_cancelled_on_its_way_into_the_queue_is_not_in_it(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    settle(manager)
    watched.way_out.close()
    future = claimer.claim_future("db", "app-2", 60)
    watched.way_out.await_one()

    assert future.cancel()
    watched.way_out.open()

    assert queue(manager) == []
    assert manager.report()["blocked-claims"] == 0


def test_claim_cancelled_when_its_attribution_was_on_the_way_gives_it_back(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    settle(manager)
    watched.way_out.close()
    future = claimer.claim_future("db", "app-1", 60)
    watched.way_out.await_one()

    assert future.cancel()
    watched.way_out.open()

    settle(manager)
    assert manager.reader(NS).get("db") is None
    assert claimer.claim("db", "app-2", 60).term == 2


def test_attribution_that_was_given_back_goes_to_the_next(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    first = claimer.claim_future("db", "app-2", 60)
    second = claimer.claim_future("db", "app-3", 60)
    settle(manager)
    watched.way_out.close()
    revoked = threading.Thread(target=manager.revoker(NS).revoke, args=("db", "app-1"))
    revoked.start()
    watched.way_out.await_one()

    assert first.cancel()
    watched.way_out.open()

    revoked.join(PATIENCE)
    assert second.get(timeout=PATIENCE).term == 3
    assert manager.reader(NS).leases() == {"db": "app-3"}


def test_attribution_stays_if_another_claim_of_that_holder_has_been_answered_with_it(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    settle(manager)
    watched.way_in.close()
    stopper = claimer.claim_future("other", "app-1", 60)
    watched.way_in.await_one()
    left, stays = [claimer.claim_future("db", "app-1", 60) for _ in range(2)]
    pass_secretary(manager)
    watched.way_out.close()
    watched.way_in.open()
    watched.way_out.await_one()
    watched.way_out.let_one()
    stopper.get(timeout=PATIENCE)
    watched.way_out.await_one()  # the two, in one batch
    assert left.cancel()
    watched.way_out.open()

    assert stays.get(timeout=PATIENCE).term == 1
    settle(manager)
    assert manager.reader(NS).leases() == {"db": "app-1", "other": "app-1"}


# -- the future --------------------------------------------------------------------------


def test_leaving_the_block_cancels_what_is_not_attributed(
    claimer: Claimer, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    with claimer.claim_future("db", "app-2", 60) as future:
        assert queue(manager) == ["app-2"]
    assert queue(manager) == []
    with pytest.raises(WaitCancelled):
        future.get(timeout=0)


def test_leaving_the_block_by_an_error_cancels_and_lets_the_error_through(
    claimer: Claimer, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    with pytest.raises(ZeroDivisionError), claimer.claim_future("db", "app-2", 60):
        raise ZeroDivisionError
    assert queue(manager) == []


def test_leaving_the_block_leaves_what_is_attributed(claimer: Claimer, manager: Manager) -> None:
    with claimer.claim_future("db", "app-1", 60) as future:
        lease = future.get(timeout=PATIENCE)
    settle(manager)
    assert manager.reader(NS).get("db") == lease


def test_future_that_nobody_keeps_stays_in_the_queue(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    claimer.claim_future("db", "app-2", 60)
    settle(manager)
    gc.collect()

    assert queue(manager) == ["app-2"]
    manager.revoker(NS).revoke("db", "app-1")
    settle(manager)
    assert manager.reader(NS).leases() == {"db": "app-2"}


def test_blocked_claims_end_with_the_manager_and_leave_the_queue(
    open_manager: OpenManager, run: Run
) -> None:
    manager, other = open_manager(), open_manager()
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    call = run(partial(claimer.claim, "db", "app-2", 60, wait=None))
    future = claimer.claim_future("db", "app-3", 60)
    wait_for_queue(manager, 2)

    manager.kill()
    manager.wait(PATIENCE)

    with pytest.raises(ManagerStopped):
        call.outcome()
    with pytest.raises(ManagerStopped):
        future.get(timeout=PATIENCE)
    assert not future.cancel()
    assert other.reader(NS).waiting("db") == []


def test_claim_that_is_on_its_way_into_the_queue_when_the_manager_is_killed_leaves_it(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    other, manager = open_manager(), open_manager(store=watched)
    claimer = manager.claimer(NS)
    other.claimer(NS).claim("db", "app-1", 60)
    settle(manager)
    watched.way_out.close()
    future = claimer.claim_future("db", "app-2", 60)
    watched.way_out.await_one()
    manager.kill()
    pass_manager(manager)  # the stop has been begun
    watched.way_out.open()

    with pytest.raises(ManagerStopped):
        future.get(timeout=PATIENCE)
    manager.wait(PATIENCE)
    assert other.reader(NS).waiting("db") == []


# -- one holder, many claims -------------------------------------------------------------


def test_two_claims_of_one_holder_at_once_both_succeed(real_manager: Manager, run: Run) -> None:
    claimer = real_manager.claimer(NS)
    for i in range(5):
        calls = [run(partial(claimer.claim, f"db-{i}", "app-1", 60)) for _ in range(8)]
        assert {call.outcome().term for call in calls} == {1}


def test_all_queued_claims_of_a_holder_succeed_as_soon_as_it_has_the_lease(
    claimer: Claimer, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    names = ["app-2", "app-3", "app-2", "app-2"]
    futures = [claimer.claim_future("db", name, 60 + i) for i, name in enumerate(names)]
    manager.revoker(NS).revoke("db", "app-1")
    settle(manager)

    assert [is_pending(f) for f in futures] == [False, True, False, False]
    assert {f.get().term for f in futures if f is not futures[1]} == {2}
    assert queue(manager) == ["app-3"]
    lease = manager.reader(NS).get("db")
    assert lease is not None
    assert lease.duration == timedelta(seconds=63)


def test_queued_claim_succeeds_when_its_holder_has_the_lease_by_another_way(
    claimer: Claimer, manager: Manager, clock: FakeClock, run: Run
) -> None:
    claimer.claim("db", "app-1", 60)
    queued = [claimer.claim_future("db", name, 60) for name in ("app-2", "app-3")]
    settle(manager)
    clock.advance(60)
    # The queue's first has it with this claim, whether or not the tick has come before.
    assert claimer.claim("db", "app-2", 90).term == 2
    assert queued[0].get(timeout=PATIENCE).term == 2
    assert is_pending(queued[1])


# -- Ctrl-C ------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [None, 3600])
def test_interrupted_claim_leaves_the_queue(
    claimer: Claimer, manager: Manager, wait: float | None
) -> None:
    claimer.claim("db", "app-1", 60)

    with interrupted(lambda: wait_for_queue(manager, 1)), pytest.raises(KeyboardInterrupt):
        claimer.claim("db", "app-2", 60, wait=wait)

    assert queue(manager) == []
    assert manager.report()["blocked-claims"] == 0
    manager.revoker(NS).revoke("db", "app-1")
    settle(manager)
    assert manager.reader(NS).get("db") is None


@pytest.mark.parametrize("wait", [0, None])
def test_interrupted_claim_gives_back_what_was_on_its_way(
    open_manager: OpenManager, watched: WatchedStore, wait: float | None
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    settle(manager)
    watched.way_out.close()

    with interrupted(watched.way_out.await_one), pytest.raises(KeyboardInterrupt):
        claimer.claim("db", "app-1", 60, wait=wait)
    watched.way_out.open()

    settle(manager)
    assert manager.reader(NS).get("db") is None
    with pytest.raises(NotHeld):
        manager.checker(NS).token("db", "app-1").check()


def test_interrupted_extension_takes_nothing_from_its_holder(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    lease: Lease = claimer.claim("db", "app-1", 60)
    settle(manager)
    watched.way_out.close()

    with interrupted(watched.way_out.await_one), pytest.raises(KeyboardInterrupt):
        claimer.claim("db", "app-1", 90)
    watched.way_out.open()

    settle(manager)
    kept = manager.reader(NS).get("db")
    assert kept is not None
    assert kept.term == lease.term


def test_claim_future_is_what_claim_future_returns(claimer: Claimer) -> None:
    future = claimer.claim_future("db", "app-1", 60)
    assert isinstance(future, ClaimFuture)
    assert isinstance(future, pykka.Future)
    assert isinstance(future.get(timeout=PATIENCE), Lease)
