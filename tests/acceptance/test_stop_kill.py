"""kill(): what is in flight finishes, who is blocked is told, and nobody comes in any more."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pykka
import pytest
from support.faults import FaultyStore, Hang
from support.interrupting import interrupted
from support.managers import NO_TIMES, Calling, blocked, managing, until, waits

from lease_actors import (
    Claim,
    Key,
    Manager,
    ManagerConfig,
    ManagerStopped,
    MemoryStore,
    NotValid,
    WaitTimeout,
)
from lease_actors.testing.clock import FakeClock


def test_kill_stops_the_manager_and_wait_returns() -> None:
    manager = Manager(ManagerConfig(MemoryStore()))
    manager.kill()
    assert manager.wait() is None


def test_leaving_it_as_a_context_manager_stops_it() -> None:
    with Manager(ManagerConfig(MemoryStore())) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("app", "me", 60)
    with pytest.raises(ManagerStopped):
        claimer.claim("app", "me", 60)


def test_the_error_of_the_block_comes_out_of_the_context_manager() -> None:
    with pytest.raises(ZeroDivisionError), Manager(ManagerConfig(MemoryStore())):
        _ = 1 / 0


def test_it_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    with Manager(ManagerConfig(MemoryStore())) as manager:
        manager.claimer("a").claim("app", "me", 60)
        manager.claimer("b").claim("app", "me", 60)
        manager.reader("a").leases()
    assert set(threading.enumerate()) <= before
    assert not [r for r in pykka.ActorRegistry.get_all() if "lease_actors" in str(r.actor_class)]


def test_it_can_be_killed_and_waited_for_many_times_from_many_threads() -> None:
    manager = Manager(ManagerConfig(MemoryStore()))
    callers = [Calling(lambda: (manager.kill(), manager.wait())) for _ in range(16)]
    for caller in callers:
        assert caller.outcome() == (None, None)
    manager.kill()
    manager.wait()


def test_wait_raises_when_it_takes_too_long() -> None:
    with managing(MemoryStore()) as manager:
        for timeout in (0.01, timedelta(milliseconds=10)):
            with pytest.raises(WaitTimeout, match=r"not stopped within 0\.01 s"):
                manager.wait(timeout)
        with pytest.raises(WaitTimeout):
            manager.wait(timeout=0)


@pytest.mark.parametrize("timeout", NO_TIMES)
def test_wait_refuses_what_is_no_time_to_wait(timeout: Any) -> None:
    message = r"cannot wait for the manager's end: .* not a time to wait"
    with managing(MemoryStore()) as manager, pytest.raises(NotValid, match=message):
        Calling(manager.wait, timeout).outcome()


def test_every_call_after_kill_raises_manager_stopped() -> None:
    with managing(MemoryStore()) as manager:
        claimer, pinner = manager.claimer("ns"), manager.pinner("ns")
        token = manager.checker("ns").token("app", "me")
        reader, revoker = manager.reader("ns"), manager.revoker("ns")
        manager.kill()
        calls: list[Callable[[], object]] = [
            lambda: claimer.claim("app", "me", 60),
            lambda: claimer.claim("app", "me", 60, wait=None),
            lambda: claimer.claim_future("app", "me", 60).get(),
            lambda: claimer.wait_until_expired("app"),
            token.check,
            lambda: pinner.pin("app", "machine"),
            lambda: pinner.unpin("app", "machine"),
            pinner.pinned,
            reader.leases,
            lambda: reader.get("app"),
            lambda: reader.waiting("app"),
            lambda: revoker.revoke("app", "me"),
            lambda: manager.ask(Claim(Key("ns", "", "app"), "me", 60)),
            lambda: manager.claimer("never-seen"),
        ]
        for call in calls:
            with pytest.raises(ManagerStopped, match="open a new one"):
                call()
        manager.tell(Claim(Key("ns", "", "app"), "me", 60))
        manager.wait()
        for call in calls:
            with pytest.raises(ManagerStopped, match="open a new one"):
                call()
        assert manager.report()["outstanding-claims"] == 0


def test_what_manager_stopped_says_survives_a_process_pool() -> None:
    with managing(MemoryStore()) as manager:
        claimer = manager.claimer("ns")
        manager.kill()
        with pytest.raises(ManagerStopped) as caught:
            claimer.claim("app", "me", 60)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert "'app'" in str(copy)
    assert "'me'" in str(copy)
    assert copy.key == Key("ns", "", "app")


def test_an_operation_in_flight_finishes() -> None:
    store = FaultyStore()
    with managing(store) as manager, Hang() as hang:
        store.then(hang)
        call = Calling(manager.claimer("ns").claim, "app", "me", 60)
        assert hang.began.wait(20)
        manager.kill()
        with pytest.raises(WaitTimeout):
            manager.wait(0)
        hang.release()
        assert call.outcome().term == 1
        manager.wait(20)


def test_an_operation_in_line_finishes() -> None:
    store = FaultyStore()
    with managing(store) as manager, Hang() as hang:
        store.then(hang)
        claimer = manager.claimer("ns")
        first = claimer.claim_future("first", "me", 60)
        assert hang.began.wait(20)
        others = [claimer.claim_future(f"other-{n}", "me", 60) for n in range(20)]
        manager.kill()
        hang.release()
        assert first.get(timeout=20).holder == "me"
        assert [f.get(timeout=20).holder for f in others] == ["me"] * 20
        manager.wait(20)


def test_blocked_claims_and_waits_end_and_leave_the_queue() -> None:
    store, clock = MemoryStore(), FakeClock()
    with managing(store, clock) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("app", "holder", 60)
        claims = [Calling(claimer.claim, "app", f"h{n}", 60, wait=None) for n in range(5)]
        future = claimer.claim_future("app", "h5", 60, wait=3600)
        expiry = Calling(claimer.wait_until_expired, "app")
        blocked(manager, 6)
        waits(manager, 1)
        assert len(store.waiting(Key("ns", "", "app"))) == 6
        manager.kill()
        for call in [*claims, expiry]:
            with pytest.raises(ManagerStopped):
                call.outcome()
        with pytest.raises(ManagerStopped):
            future.get(timeout=20)
        manager.wait(20)
    assert store.waiting(Key("ns", "", "app")) == []


def test_what_was_claimed_stays() -> None:
    store, clock = MemoryStore(), FakeClock()
    with managing(store, clock) as manager:
        lease = manager.claimer("ns").claim("app", "me", 60)
    with managing(store, clock) as manager:
        found = manager.reader("ns").get("app")
        assert found is not None
        assert (found.holder, found.term, found.expiry) == ("me", lease.term, lease.expiry)


def test_a_claim_cancelled_as_the_manager_stops_stays_cancelled() -> None:
    with managing(MemoryStore()) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("app", "holder", 60)
        future = claimer.claim_future("app", "me", 60)
        blocked(manager, 1)
        assert future.cancel()
        manager.kill()
        manager.wait(20)
        assert future.cancel()


def test_a_store_that_cannot_be_closed_is_mentioned_and_no_more() -> None:
    from support.managers import Log

    log, store = Log(), FaultyStore()

    def fail() -> None:
        raise OSError("no such device")

    store.on_close = fail
    with Manager(ManagerConfig(store, logger=log.logger)):
        pass
    [record] = log.of("close_store")
    assert "no such device" in record.getMessage()


def test_a_store_that_hangs_as_it_is_closed_does_not_keep_wait() -> None:
    store, released = FaultyStore(), threading.Event()
    store.on_close = lambda: released.wait(20)
    manager = Manager(ManagerConfig(store))
    manager.claimer("ns").claim("app", "me", 60)
    manager.kill()
    manager.wait(10)
    assert not released.is_set()
    released.set()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("lease ")])


def test_wait_keeps_its_timeout_though_a_secretary_hangs() -> None:
    class Slow:
        def __init__(self) -> None:
            self.began, self.released = threading.Event(), threading.Event()

        def secretary_for(self, namespace: str) -> Slow:
            return self

        def check_lease(self, key: object) -> None:
            self.began.set()
            self.released.wait(20)

        def check_holder(self, name: str) -> None: ...

        def check_duration(self, duration: object) -> None: ...

    slow, clock = Slow(), FakeClock()
    manager = Manager(ManagerConfig(MemoryStore(), secretary_finder=slow, clock=clock))
    call = Calling(manager.claimer("ns").claim, "app", "me", 60)
    assert slow.began.wait(20)
    manager.kill()
    with pytest.raises(WaitTimeout):
        manager.wait(0.05)
    slow.released.set()
    assert call.outcome().holder == "me"
    manager.wait(20)


@pytest.mark.parametrize("attempt", range(20))
def test_a_stop_that_races_with_many_callers_leaves_none_of_them_hanging(attempt: int) -> None:
    """64 threads claim, queue, wait, check, pin, revoke and read while the manager is killed."""
    manager = Manager(ManagerConfig(MemoryStore()))
    claimer, token = manager.claimer("ns"), manager.checker("ns").token("app", "h0")
    pinner, reader, revoker = manager.pinner("ns"), manager.reader("ns"), manager.revoker("ns")
    going = threading.Barrier(65)

    def calls(n: int) -> list[Callable[[], object]]:
        me = f"h{n}"
        return [
            lambda: claimer.claim(f"own-{n}", me, 60),
            lambda: claimer.claim("app", me, 0.005, wait=None),
            lambda: claimer.claim_future("app", me, 60).get(),
            lambda: claimer.wait_until_expired("app"),
            token.check,
            lambda: pinner.pin(f"own-{n}", "machine"),
            lambda: revoker.revoke("app", me),
            reader.leases,
            lambda: manager.claimer(f"ns-{n}-{attempt}").claim("app", me, 60),
        ]

    def hammer(n: int) -> type[BaseException]:
        going.wait(20)
        mine = calls(n)
        for i in range(100_000):
            try:
                mine[(n + i) % len(mine)]()
            except ManagerStopped as error:
                return type(error)
            except Exception:  # denied, not held, …
                pass
        raise AssertionError("the manager has not stopped")

    threads = [Calling(hammer, n) for n in range(64)]
    going.wait(20)
    for _ in range(attempt * 3):  # stop it somewhat later each time
        claimer.claim("killers", "killer", 60)
    manager.kill()
    for thread in threads:
        assert thread.outcome() is ManagerStopped
    manager.wait(20)
    assert manager.report()["outstanding-claims"] == 0


def test_kill_from_a_signal_handler_that_interrupts_calls() -> None:
    """A handler runs in the main thread, in the midst of whatever that is doing there."""
    before, main = signal.getsignal(signal.SIGUSR1), threading.get_ident()
    try:
        for attempt in range(60):
            manager = Manager(ManagerConfig(MemoryStore()))
            signal.signal(signal.SIGUSR1, lambda *_, m=manager: m.kill())
            claimer, reader = manager.claimer("ns"), manager.reader("ns")
            later = threading.Timer(
                0.001 + attempt * 0.0002, signal.pthread_kill, (main, signal.SIGUSR1)
            )
            later.start()
            with pytest.raises(ManagerStopped):  # noqa: PT012
                while True:
                    manager.claimer(f"ns-{attempt}")
                    claimer.claim_future("app", "me", 0.001, wait=None)
                    claimer.claim("app", "me", 60)
                    reader.get("app")
            later.join()
            manager.wait(20)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_ctrl_c_in_a_blocking_claim_withdraws_it() -> None:
    store = MemoryStore()
    with managing(store) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("app", "holder", 60)
        with interrupted(lambda: blocked(manager, 1)), pytest.raises(KeyboardInterrupt):
            claimer.claim("app", "me", 60, wait=None)
        blocked(manager, 0)
        until(lambda: not store.waiting(Key("ns", "", "app")), "an empty queue")
