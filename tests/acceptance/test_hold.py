"""``hold()``: claimed, kept alive while the block runs, and then released."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, WatchedStore, key, settle, wait_for_queue
from prometheus_client import CollectorRegistry
from support.faults import Apply, FaultyStore
from support.interrupting import interrupted
from support.managers import Calling, until

from lease_actors import (
    ClaimDenied,
    HeldLease,
    Lease,
    LeaseLost,
    Manager,
    ManagerConfig,
    NotHeld,
    NotValid,
    Store,
    WaitTimeout,
)
from lease_actors import held as held_module
from lease_actors.actors import keeper
from lease_actors.stores import Batch
from lease_actors.testing import FakeClock


def us(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_the_lease_is_claimed_on_entry_and_released_when_the_block_ends(manager: Manager) -> None:
    claimer, reader = manager.claimer(NS), manager.reader(NS)
    with claimer.hold("app", "me", 30) as held:
        assert isinstance(held, HeldLease)
        assert isinstance(held, Lease)
        assert (held.key.lease, held.holder, held.term, held.duration) == ("app", "me", 1, us(30))
        assert reader.leases() == {"app": "me"}
        held.check()
        assert not held.lost.is_set()
    assert reader.leases() == {}
    assert claimer.claim("app", "you", 30).term == 2


def test_nothing_is_claimed_before_the_block_begins(manager: Manager) -> None:
    manager.claimer(NS).hold("app", "me", 30)
    assert manager.reader(NS).leases() == {}


def test_it_is_kept_alive_for_as_long_as_the_block_runs(manager: Manager, clock: FakeClock) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        clock.advance(3600)
        held.check()
        assert manager.reader(NS).leases() == {"app": "me"}
        manager.checker(NS).token("app", "me").check()
        lease = manager.reader(NS).get("app")
        assert lease is not None
        assert lease.term == held.term


def test_it_is_renewed_at_a_third_of_the_duration(
    watched: WatchedStore, clock: FakeClock, open_manager: OpenManager
) -> None:
    manager = open_manager(store=watched)
    with manager.claimer(NS).hold("app", "me", 30):
        before = len(watched.applied)
        clock.advance(9.999999)
        assert len(watched.applied) == before
        clock.advance(0.000001)
        assert len(watched.applied) == before + 1
        clock.advance(10)
        assert len(watched.applied) == before + 2


def test_leases_that_are_due_together_go_in_one_transaction(
    watched: WatchedStore, clock: FakeClock, open_manager: OpenManager
) -> None:
    claimer = open_manager(store=watched).claimer(NS)
    holds = [claimer.hold(f"app-{n}", "me", 30) for n in range(100)]
    for hold in holds:
        hold.__enter__()
    before = len(watched.applied)
    clock.advance(10)
    assert watched.applied[before:] == [100]
    for hold in holds:
        hold.__exit__(None, None, None)


def test_leases_that_are_due_soon_go_along_and_stay_together(
    watched: WatchedStore, clock: FakeClock, open_manager: OpenManager
) -> None:
    claimer = open_manager(store=watched).claimer(NS)
    with claimer.hold("early", "me", 30):
        clock.advance(1)
        with claimer.hold("soon", "me", 30):
            clock.advance(1)
            with claimer.hold("late", "me", 30) as late:
                before = len(watched.applied)
                clock.advance(8)
                assert watched.applied[before:] == [2]
                clock.advance(2)
                assert watched.applied[before:] == [2, 1]
                clock.advance(8)
                assert watched.applied[before:] == [2, 1, 2]
                late.check()


def test_the_deadline_counts_from_before_the_last_success_less_a_thousandth(
    manager: Manager, clock: FakeClock
) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        assert held.remaining() == us(29.97)
        clock.advance(9)
        assert held.remaining() == us(20.97)
        assert held.deadline == datetime.fromtimestamp(clock.wall() / 1e6, timezone.utc) + us(20.97)
        clock.advance(1)
        assert held.remaining() == us(29.97)
    assert held.remaining() == us(0)


@pytest.mark.usefixtures("hanging")
def test_the_deadline_of_a_renewal_counts_from_before_it_was_sent(
    watched: WatchedStore, clock: FakeClock, open_manager: OpenManager
) -> None:
    manager = open_manager(store=watched, attempt_timeout=3600)
    with manager.claimer(NS).hold("app", "me", 30) as held:
        watched.way_in.close()
        clock.advance(14)  # the renewal was sent four seconds ago, and has only now an answer
        watched.way_in.open()
        until(lambda: held.remaining() == us(25.97))


def test_no_wait_is_denied_at_once(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("app", "you", 60)
    with pytest.raises(ClaimDenied), claimer.hold("app", "me", 30, wait=0):
        pytest.fail("it had the lease")


def test_a_wait_that_is_over_raises_and_leaves_the_queue(
    manager: Manager, clock: FakeClock, run: Run
) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("app", "you", 60)
    call = run(lambda: claimer.hold("app", "me", 30, wait=5).__enter__())
    wait_for_queue(manager, 1)
    clock.advance(5)
    with pytest.raises(WaitTimeout):
        call.outcome()
    settle(manager)
    assert manager.reader(NS).waiting("app") == []


def test_it_queues_until_it_has_the_lease(manager: Manager, run: Run) -> None:
    claimer = manager.claimer(NS)

    def block() -> int:
        with claimer.hold("app", "me", 30) as held:
            held.check()
            return held.term

    with claimer.hold("app", "you", 30):
        call = run(block)
        wait_for_queue(manager, 1)
    assert call.outcome() == 2
    assert manager.reader(NS).leases() == {}


def test_the_time_of_a_queued_one_counts_from_when_it_was_attributed(
    manager: Manager, clock: FakeClock, run: Run
) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("app", "you", 60)
    hold = claimer.hold("app", "me", 30)
    call = run(hold.__enter__)
    wait_for_queue(manager, 1)
    clock.advance(60)
    held = call.outcome()
    assert held.remaining() == us(29.97)
    clock.advance(300)
    held.check()
    hold.__exit__(None, None, None)


def test_ctrl_c_while_it_waits_withdraws_the_claim(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("app", "you", 3600)
    with (
        interrupted(lambda: wait_for_queue(manager, 1)),
        pytest.raises(KeyboardInterrupt),
        claimer.hold("app", "me", 30),
    ):
        pytest.fail("it had the lease")
    settle(manager)
    assert manager.reader(NS).waiting("app") == []
    assert manager.report()["kept-leases"] == 0


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_it_is_released_when_the_block_raises_and_the_error_goes_on(
    manager: Manager, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised, manager.claimer(NS).hold("app", "me", 30):
        raise error
    assert raised.value is error
    assert manager.reader(NS).leases() == {}


@pytest.mark.parametrize(
    ("lease", "holder", "duration", "wait"),
    [
        ("", "me", 30, None),
        ("app", "", 30, None),
        ("app", [], 30, None),
        ("app", "me", 0, None),
        ("app", "me", "soon", None),
        ("app", "me", 30, -1),
        ("app", "me", 30, "long"),
    ],
)
def test_what_is_wrong_is_refused_on_entry_as_a_claim_refuses_it(
    manager: Manager, lease: Any, holder: Any, duration: Any, wait: Any
) -> None:
    hold = manager.claimer(NS).hold(lease, holder, duration, wait=wait)
    with manager.claimer(NS).hold("other", "me", 30), pytest.raises(NotValid) as raised:
        hold.__enter__()
    with pytest.raises(NotValid) as claim:
        manager.claimer(NS).claim(lease, holder, duration, wait=wait)
    assert str(raised.value) == str(claim.value)


@pytest.mark.parametrize("name", ["on_lost", "on_endangered"])
def test_a_callback_that_cannot_be_called_is_refused(manager: Manager, name: str) -> None:
    with pytest.raises(NotValid, match=f"{name}='no'") as refused:
        manager.claimer(NS).hold("app", "me", 30, **{name: "no"})  # type: ignore[arg-type]
    assert refused.value.key == key("app")


def test_one_hold_serves_one_block_at_a_time(manager: Manager) -> None:
    hold = manager.claimer(NS).hold("app", "me", 30)
    with hold as first, pytest.raises(RuntimeError, match="in use"):
        hold.__enter__()
    with hold as second:
        assert (first.term, second.term) == (1, 2)


def test_of_two_threads_that_enter_one_hold_at_once_one_is_refused(manager: Manager) -> None:
    manager.claimer(NS).claim("app", "you", 30)
    hold = manager.claimer(NS).hold("app", "me", 30)

    def work() -> None:
        with hold:
            pass

    calls = [Calling(work), Calling(work)]
    until(lambda: any(call.is_over for call in calls))
    [refused] = [call for call in calls if call.is_over]
    assert isinstance(refused.ended(), RuntimeError)
    manager.revoker(NS).revoke("app", "you")
    calls.remove(refused)
    assert calls[0].ended() is None
    assert manager.report()["kept-leases"] == 0
    with hold:  # and can be used again
        pass


def test_a_block_that_the_garbage_collector_ends_on_a_thread_of_ours_delays_nobody(
    open_manager: OpenManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python does with a generator that was forgotten in the midst of its block."""
    monkeypatch.setattr(held_module, "_PATIENCE", 3600)
    store = FaultyStore()
    manager = open_manager(store=store)
    hold = manager.claimer(NS).hold("app", "me", 30)
    ended: list[str] = []

    def collecting(apply: Apply, batch: Batch) -> bool:
        hold.__exit__(None, None, None)
        ended.append(threading.current_thread().name)
        return apply(batch)

    hold.__enter__()
    store.then(collecting)
    manager.claimer(NS).claim("other", "me", 30)
    settle(manager)
    assert [name.split()[1] for name in ended] == ["transactor"]
    assert manager.reader(NS).leases() == {"other": "me"}


def test_the_report_counts_what_is_kept(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("other", "me", 30)
    with claimer.hold("one", "me", 30), claimer.hold("two", "me", 30):
        assert manager.report()["kept-leases"] == 2
    assert manager.report()["kept-leases"] == 0


def test_what_is_kept_and_renewed_is_measured(open_manager: OpenManager, clock: FakeClock) -> None:
    registry = CollectorRegistry()
    manager = open_manager(prometheus_registerer=registry)
    with manager.claimer(NS).hold("app", "me", 30):
        clock.advance(300)
        until(lambda: registry.get_sample_value("lease_renewals_total") == 30)
        until(lambda: registry.get_sample_value("lease_kept") == 1)
        assert registry.get_sample_value("lease_held") == 1
    until(lambda: registry.get_sample_value("lease_kept") == 0)


def test_pickled_it_is_a_lease(manager: Manager) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        copy = pickle.loads(pickle.dumps(held))
    assert type(copy) is Lease
    assert (copy.key, copy.holder, copy.term) == (held.key, held.holder, held.term)


# -- pins, and claims of the same holder ------------------------------------------------


def test_a_pinned_lease_is_left_to_expire_after_its_last_pin(
    manager: Manager, clock: FakeClock
) -> None:
    claimer, pinner, reader = manager.claimer(NS), manager.pinner(NS), manager.reader(NS)
    with claimer.hold("app", "me", 30) as held:
        pinner.pin("app", "unit")
        clock.advance(100)
        held.check()
    assert manager.report()["kept-leases"] == 0
    clock.advance(100)
    assert reader.leases() == {"app": "me"}
    pinner.unpin("app", "unit")
    clock.advance(29)
    assert reader.leases() == {"app": "me"}
    clock.advance(1)
    assert reader.leases() == {}


def test_a_lease_that_was_left_pinned_can_be_held_again(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30):
        manager.pinner(NS).pin("app", "unit")
    with claimer.hold("app", "me", 30) as held:
        assert held.term == 1
        manager.pinner(NS).unpin("app", "unit")
    assert manager.reader(NS).leases() == {}


def test_pins_that_come_and_go_change_nothing(manager: Manager, clock: FakeClock) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        for _ in range(5):
            clock.advance(7)
            with manager.pinner(NS).pinning("app", "unit"):
                clock.advance(45)
        held.check()
    assert manager.reader(NS).leases() == {}


def test_a_claim_of_the_same_holder_keeps_the_term_and_the_hold(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30) as held:
        assert claimer.claim("app", "me", 60).term == held.term
        clock.advance(500)
        held.check()
    assert manager.reader(NS).leases() == {}


def test_a_lease_that_was_claimed_before_is_kept_and_then_released(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    before = claimer.claim("app", "me", 30)
    with claimer.hold("app", "me", 30) as held:
        assert held.term == before.term
        clock.advance(500)
        held.check()
    assert manager.reader(NS).leases() == {}


# -- released before the block ends -----------------------------------------------------


def test_it_can_be_released_before_the_block_ends(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30) as held:
        held.release()
        assert manager.reader(NS).leases() == {}
        with pytest.raises(LeaseLost, match="it was released") as raised:
            held.check()
        assert raised.value.reason == "unknown"
        assert held.remaining() == us(0)
        assert not held.lost.is_set()
        assert claimer.claim("app", "you", 30, wait=0).term == 2
        held.release()  # twice is once
    assert manager.reader(NS).leases() == {"app": "you"}


def store_time(clock: FakeClock) -> datetime:
    return datetime.fromtimestamp(clock.wall() / 1e6, timezone.utc)


@pytest.mark.parametrize("when", ["in the block", "after a renewal"])
def test_released_at_an_instant_it_ends_there_kept_by_nobody(
    manager: Manager, clock: FakeClock, when: str
) -> None:
    reader = manager.reader(NS)
    with manager.claimer(NS).hold("app", "me", 30) as held:
        if when == "after a renewal":
            clock.advance(15)
        held.release(at=store_time(clock) + us(20))
        assert manager.report()["kept-leases"] == 0
    assert reader.leases() == {"app": "me"}
    clock.advance(19.999999)
    assert reader.leases() == {"app": "me"}
    with pytest.raises(NotHeld):
        manager.revoker(NS).revoke("app", "you")
    clock.advance(0.000001)
    assert reader.leases() == {}


def test_released_at_an_instant_behind_its_expiry_it_ends_by_expiry(
    manager: Manager, clock: FakeClock
) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        held.release(at=store_time(clock) + us(3600))
    clock.advance(29)
    assert manager.reader(NS).leases() == {"app": "me"}
    clock.advance(1)
    assert manager.reader(NS).leases() == {}


def test_released_at_an_instant_that_has_come_it_ends_at_once(
    manager: Manager, clock: FakeClock
) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        held.release(at=store_time(clock))
        assert manager.reader(NS).leases() == {}


def test_a_release_at_an_instant_outlives_a_clean_stop(
    store: Store, clock: FakeClock, open_manager: OpenManager
) -> None:
    with (
        Manager(ManagerConfig(store, clock=clock)) as manager,
        manager.claimer(NS).hold("app", "me", 30) as held,
    ):
        held.release(at=store_time(clock) + us(20))
    other = open_manager()
    clock.advance(19)
    assert other.reader(NS).leases() == {"app": "me"}
    clock.advance(1)
    assert other.reader(NS).leases() == {}


@pytest.mark.parametrize("at", [datetime(2030, 1, 1), 17, "now"])  # noqa: DTZ001
def test_an_instant_without_its_zone_is_refused(manager: Manager, at: Any) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:
        with pytest.raises(NotValid, match="not an aware datetime"):
            held.release(at=at)
        held.check()


@pytest.mark.parametrize("leave", [lambda held: None, lambda held: held.release()])
def test_a_store_that_hangs_keeps_no_block_from_ending(
    watched: WatchedStore, open_manager: OpenManager, leave: Callable[[HeldLease], None]
) -> None:
    manager = open_manager(store=watched)
    with manager.claimer(NS).hold("app", "me", 3600) as held:
        watched.way_in.close()
        leave(held)
    watched.way_in.open()
    settle(manager)
    assert manager.reader(NS).leases() == {}


def test_a_renewal_that_is_being_made_at_the_release_does_not_extend_the_lease(
    manager: Manager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with manager.claimer(NS).hold("app", "me", 30) as held:

        class Overtaken(keeper.Renewal):
            def __init__(self, *args: Any) -> None:
                held.release(at=store_time(clock) + us(10))
                super().__init__(*args)

        monkeypatch.setattr(keeper, "Renewal", Overtaken)
        clock.advance(10)
    settle(manager)
    clock.advance(9.999999)
    assert manager.reader(NS).leases() == {"app": "me"}
    clock.advance(0.000001)
    assert manager.reader(NS).leases() == {}
