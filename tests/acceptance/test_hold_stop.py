"""Stopping while blocks run: they are told, kept alive, waited for, and then released."""

# ruff: noqa: PT012  (a hold raises at the end of its block)

from __future__ import annotations

import threading
from collections.abc import Callable

import pykka
import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, WatchedStore
from support.faults import PATIENCE, FaultyStore, Hang
from support.managers import Calling, Log, blocked, until
from support.story import Story

from lease_actors import LeaseLost, Manager, ManagerConfig, ManagerStopped, MemoryStore, Store
from lease_actors.testing import FakeClock


def test_a_stop_tells_the_block_and_waits_for_it(
    store: Store, clock: FakeClock, open_manager: OpenManager
) -> None:
    manager, other, story = Manager(ManagerConfig(store, clock=clock)), open_manager(), Story()
    with pytest.raises(LeaseLost) as raised:  # noqa: SIM117
        with manager.claimer(NS).hold("app", "me", 30, on_lost=story.tell) as held:
            manager.kill()
            assert held.lost.wait(PATIENCE)
            with pytest.raises(LeaseLost, match="the manager is stopping"):
                held.check()
            assert story.of(1) == ["stopped"]
            waiting = Calling(manager.wait)
            clock.advance(54)  # it is renewed on
            assert waiting.is_alive()
            assert manager.report()["kept-leases"] == 1
            assert other.reader(NS).leases() == {"app": "me"}
            assert other.checker(NS).token("app", "me").check() is None  # type: ignore[func-returns-value]
    assert raised.value.reason == "stopped"
    waiting.outcome()
    assert other.reader(NS).leases() == {}
    assert story.told == ["stopped"]


def test_a_block_that_raises_something_itself_is_not_overruled(clock: FakeClock) -> None:
    manager = Manager(ManagerConfig(MemoryStore(), clock=clock))
    with pytest.raises(ZeroDivisionError), manager.claimer(NS).hold("app", "me", 30) as held:
        manager.kill()
        assert held.lost.wait(PATIENCE)
        raise ZeroDivisionError
    manager.wait(PATIENCE)


def test_what_still_runs_after_55_seconds_is_left_to_expire(
    store: Store, clock: FakeClock, open_manager: OpenManager
) -> None:
    log = Log()
    other = open_manager()
    manager = Manager(ManagerConfig(store, clock=clock, logger=log.logger))
    with pytest.raises(LeaseLost) as raised, manager.claimer(NS).hold("app", "me", 30) as held:
        manager.kill()
        assert held.lost.wait(PATIENCE)
        clock.advance(55)
        manager.wait(PATIENCE)
        assert len(log.of("dump")) == 1
        assert manager.report()["kept-leases"] == 0
    assert raised.value.reason == "stopped"
    assert other.reader(NS).leases() == {"app": "me"}
    clock.advance(30)
    assert other.reader(NS).leases() == {}


def test_a_lease_that_was_lost_before_delays_no_stop(clock: FakeClock, store: Store) -> None:
    manager = Manager(ManagerConfig(store, clock=clock))
    with pytest.raises(LeaseLost) as raised, manager.claimer(NS).hold("app", "me", 30) as held:
        manager.revoker(NS).revoke("app", "me")
        assert held.lost.wait(PATIENCE)
        manager.kill()
        manager.wait(PATIENCE)
    assert raised.value.reason == "revoked"


def test_a_lease_lost_while_the_manager_stops_is_not_lost_twice(
    store: Store, clock: FakeClock, open_manager: OpenManager
) -> None:
    other, story = open_manager(), Story()
    manager = Manager(ManagerConfig(store, clock=clock))
    with pytest.raises(LeaseLost) as raised:  # noqa: SIM117
        with manager.claimer(NS).hold("app", "me", 30, on_lost=story.tell) as held:
            manager.kill()
            assert held.lost.wait(PATIENCE)
            other.revoker(NS).revoke("app", "me")
            clock.advance(10)
            manager.wait(PATIENCE)  # nothing is kept any more
    assert raised.value.reason == "stopped"
    assert story.of(1) == ["stopped"]


def test_who_waits_in_the_queue_to_hold_ends_with_manager_stopped(
    manager: Manager, run: Run
) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("app", "you", 3600)
    call = run(claimer.hold("app", "me", 30).__enter__)
    blocked(manager, 1)
    manager.kill()
    with pytest.raises(ManagerStopped):
        call.outcome()
    manager.wait(PATIENCE)


def test_a_hold_that_is_attributed_as_the_manager_stops_is_given_back(
    watched: WatchedStore, open_manager: OpenManager, run: Run
) -> None:
    manager, other = open_manager(store=watched), open_manager()
    claimer = manager.claimer(NS)
    watched.way_out.close()
    call = run(claimer.hold("app", "me", 3600).__enter__)
    watched.way_out.await_one()
    manager.kill()
    until(lambda: manager._crew.keeping._stopped)
    watched.way_out.open()
    with pytest.raises(ManagerStopped, match="cannot hold lease 'app' for holder 'me'"):
        call.outcome()
    manager.wait(PATIENCE)
    assert other.reader(NS).leases() == {}


def test_after_the_stop_nothing_is_held(manager: Manager) -> None:
    hold = manager.claimer(NS).hold("app", "me", 30)
    manager.kill()
    manager.wait(PATIENCE)
    with pytest.raises(ManagerStopped):
        hold.__enter__()


def test_the_end_of_the_block_after_the_stop_does_not_hang(store: Store, clock: FakeClock) -> None:
    manager = Manager(ManagerConfig(store, clock=clock))
    hold = manager.claimer(NS).hold("app", "me", 30)
    held = hold.__enter__()
    manager.kill()
    assert held.lost.wait(PATIENCE)
    clock.advance(55)
    manager.wait(PATIENCE)
    held.release()
    hold.__exit__(None, None, None)


def test_a_stop_in_an_outage_waits_for_the_release_no_longer_than_its_attempts(
    clock: FakeClock,
) -> None:
    faulty = FaultyStore()
    manager = Manager(ManagerConfig(faulty, clock=clock))
    with Hang() as hang:
        with pytest.raises(LeaseLost), manager.claimer(NS).hold("app", "me", 3600) as held:
            faulty.always(hang)
            manager.kill()
            assert held.lost.wait(PATIENCE)
        waiting = Calling(manager.wait)
        for _ in range(12):
            clock.advance(5)
        waiting.outcome()


@pytest.mark.parametrize(
    "end",
    [
        lambda manager: pykka.ActorRegistry.stop_all(block=False),
        lambda manager: manager._crew.keeper.stop(block=False),
        lambda manager: manager._crew.manager.stop(block=False),
    ],
    ids=["stop_all", "keeper", "manager"],
)
def test_when_the_manager_ends_in_any_other_way_the_lease_is_lost_at_once(
    end: Callable[[Manager], None],
) -> None:
    manager, story = Manager(ManagerConfig(MemoryStore())), Story()
    with pytest.raises(LeaseLost) as raised:  # noqa: SIM117
        with manager.claimer(NS).hold("app", "me", 3600, on_lost=story.tell) as held:
            end(manager)
            assert held.lost.wait(PATIENCE)
            with pytest.raises(LeaseLost):
                held.check()
            assert story.of(1) == ["stopped"]
    assert raised.value.reason == "stopped"
    with pytest.raises(ManagerStopped):
        manager.wait(PATIENCE)


def test_a_block_that_ends_in_another_thread_while_the_manager_stops_is_released(
    store: Store, clock: FakeClock, open_manager: OpenManager
) -> None:
    other, ready, gate = open_manager(), threading.Event(), threading.Event()
    manager = Manager(ManagerConfig(store, clock=clock))

    def work() -> None:
        with manager.claimer(NS).hold("app", "me", 30) as held:
            ready.set()
            held.lost.wait(PATIENCE)
            gate.wait(PATIENCE)

    call = Calling(work)
    assert ready.wait(PATIENCE)
    with manager:
        waiting = Calling(lambda: gate.set() if clock.advance(0) is None else None)  # type: ignore[func-returns-value]
    waiting.outcome()
    with pytest.raises(LeaseLost):
        call.outcome()
    assert other.reader(NS).leases() == {}
