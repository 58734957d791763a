"""run_while_held: work that learns when the lease it depends on has ended."""

from __future__ import annotations

import threading

import pytest
from support.faults import PATIENCE, FaultyStore, raises
from support.managers import Calling, managing, waits

from lease_actors import Manager, ManagerStopped, NotHeld, NotValid, StoreError
from lease_actors.roles import run_while_held
from lease_actors.testing import FakeClock


class Work:
    """Goes on until it is cancelled."""

    def __init__(self, manager: Manager, holder: str = "ann") -> None:
        self.began = threading.Event()
        self.call = Calling(
            run_while_held, manager.claimer("ns"), manager.checker("ns"), "app", holder, self.work
        )

    def work(self, cancelled: threading.Event) -> str:
        assert not cancelled.is_set()
        self.began.set()
        return "cancelled" if cancelled.wait(PATIENCE) else "forgotten"

    def has_begun(self) -> None:
        assert self.began.wait(PATIENCE), "the work has not begun"


def test_it_returns_what_the_work_returns_and_leaves_no_wait(lease_manager: Manager) -> None:
    claimer, checker = lease_manager.claimer("ns"), lease_manager.checker("ns")
    claimer.claim("app", "ann", 30)
    seen = []

    def work(cancelled: threading.Event) -> int:
        waits(lease_manager, 1)
        seen.append(cancelled.is_set())
        return 42

    assert run_while_held(claimer, checker, "app", "ann", work) == 42
    assert seen == [False]
    waits(lease_manager, 0)


def test_it_raises_what_the_work_raises_and_leaves_no_wait(lease_manager: Manager) -> None:
    claimer, checker = lease_manager.claimer("ns"), lease_manager.checker("ns")
    claimer.claim("app", "ann", 30)
    with pytest.raises(ZeroDivisionError):
        run_while_held(claimer, checker, "app", "ann", lambda cancelled: 1 // 0)
    waits(lease_manager, 0)


@pytest.mark.parametrize("other", [None, "bob"])
def test_who_does_not_hold_does_not_work(lease_manager: Manager, other: str | None) -> None:
    claimer, checker = lease_manager.claimer("ns"), lease_manager.checker("ns")
    if other is not None:
        claimer.claim("app", other, 30)
    with pytest.raises(NotHeld):
        run_while_held(claimer, checker, "app", "ann", pytest.fail)
    waits(lease_manager, 0)


def test_the_work_is_cancelled_when_the_lease_expires(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    lease_manager.claimer("ns").claim("app", "ann", 30)
    work = Work(lease_manager)
    work.has_begun()
    lease_clock.advance(29)
    lease_manager.claimer("ns").claim("app", "ann", 30)  # its holder keeps it, wherever that is
    lease_clock.advance(29)
    assert work.call.is_alive()
    lease_clock.advance(1)
    assert work.call.outcome() == "cancelled"


def test_the_work_is_cancelled_when_the_lease_is_revoked(lease_manager: Manager) -> None:
    lease_manager.claimer("ns").claim("app", "ann", 30)
    work = Work(lease_manager)
    work.has_begun()
    lease_manager.revoker("ns").revoke("app", "ann")
    lease_manager.claimer("ns").claim("app", "ann", 30)  # a new tenure is another matter
    assert work.call.outcome() == "cancelled"


def test_the_work_is_cancelled_when_the_manager_stops(lease_manager: Manager) -> None:
    lease_manager.claimer("ns").claim("app", "ann", 30)
    work = Work(lease_manager)
    work.has_begun()
    lease_manager.kill()
    assert work.call.outcome() == "cancelled"


def test_what_goes_wrong_before_the_work_is_raised(lease_manager: Manager) -> None:
    claimer, checker = lease_manager.claimer("ns"), lease_manager.checker("ns")
    with pytest.raises(NotValid, match="cannot wait for lease 'two words' expiry"):
        run_while_held(claimer, checker, "two words", "ann", pytest.fail)
    with pytest.raises(NotValid, match="cannot check lease for holder 'two words'"):
        run_while_held(claimer, checker, "app", "two words", pytest.fail)
    lease_manager.kill()
    with pytest.raises(ManagerStopped):
        run_while_held(claimer, checker, "app", "ann", pytest.fail)


def test_a_store_that_fails_is_raised_before_the_work() -> None:
    store = FaultyStore()
    with managing(store) as manager:
        claimer, checker = manager.claimer("ns"), manager.checker("ns")
        claimer.claim("app", "ann", 30)
        store.then(raises(RuntimeError("the table is gone")))
        with pytest.raises(StoreError, match="the table is gone"):
            run_while_held(claimer, checker, "app", "ann", pytest.fail)
