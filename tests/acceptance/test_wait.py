"""Waiting for the end of a tenure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import (
    NS,
    PATIENCE,
    WatchedStore,
    inside,
    is_pending,
    key,
    pass_manager,
    pass_time,
    settle,
)
from support.managers import Calling

from lease_actors import (
    Claimer,
    Manager,
    ManagerStopped,
    NotValid,
    WaitCancelled,
    WaitTimeout,
)
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


@pytest.fixture
def wait_for(claimer: Claimer, run: Run) -> Callable[..., Calling[None]]:
    """A wait in a thread of its own, registered when this returns."""

    def start(lease: str, **options: object) -> Calling[None]:
        started = threading.Event()
        call = run(
            lambda: claimer.wait_until_expired(lease, started=started, **options)  # type: ignore[arg-type]
        )
        assert started.wait(PATIENCE)
        return call

    return start


Wait = Callable[..., Calling[None]]


# -- what it waits for -------------------------------------------------------------------


def test_each_of_three_leases_wakes_its_own_waiter_at_its_own_time(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait
) -> None:
    for lease, seconds in (("one", 1), ("four", 4), ("seven", 7)):
        claimer.claim(lease, "app-1", seconds)
    calls = [wait_for(lease) for lease in ("one", "four", "seven")]

    over = []
    for _ in range(7):
        pass_time(manager, clock, 1)
        for call in calls[: len([n for n in (1, 4, 7) if n <= len(over) + 1])]:
            call.outcome()
        over.append([call.is_over for call in calls])

    assert over == [
        *[[True, False, False]] * 3,
        *[[True, True, False]] * 3,
        [True, True, True],
    ]


def test_wait_is_over_at_the_instant_of_the_expiry_and_not_before(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 0.25)
    call = wait_for("db")

    pass_time(manager, clock, 0.249_999)
    assert not call.is_over
    assert manager.report()["waits"] == 1

    pass_time(manager, clock, 0.000_001)
    call.outcome()
    assert manager.report()["waits"] == 0


def test_wait_returns_at_once_if_nothing_stands(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    started = threading.Event()
    claimer.wait_until_expired("never-claimed", started=started)
    assert started.is_set()

    claimer.claim("db", "app-1", 5)
    clock.advance(5)
    claimer.wait_until_expired("db")
    claimer.wait_until_expired("db", timeout=0)

    settle(manager)
    assert manager.report()["waits"] == 0


def test_revocation_ends_the_wait(claimer: Claimer, manager: Manager, wait_for: Wait) -> None:
    claimer.claim("db", "app-1", 60)
    call = wait_for("db")
    manager.revoker(NS).revoke("db", "app-1")
    call.outcome()


def test_wait_is_over_even_if_the_next_holder_already_has_the_lease(
    claimer: Claimer, manager: Manager, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 60)
    call = wait_for("db")
    queued = claimer.claim_future("db", "app-2", 60)
    manager.revoker(NS).revoke("db", "app-1")

    call.outcome()
    assert queued.get(timeout=PATIENCE).holder == "app-2"


@pytest.mark.parametrize("next_holder", ["app-1", "app-2"])
def test_wait_is_over_if_somebody_claims_before_anyone_has_looked(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait, next_holder: str
) -> None:
    claimer.claim("db", "app-1", 60)
    call = wait_for("db")
    manager.revoker(NS).revoke("db", "app-1")
    assert claimer.claim("db", next_holder, 60).term == 2
    call.outcome()

    call = wait_for("db")
    clock.advance(60)
    assert claimer.claim("db", next_holder, 60).term == 3
    call.outcome()


def test_extension_prolongs_the_wait(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 10)
    call = wait_for("db")
    pass_time(manager, clock, 6)
    claimer.claim("db", "app-1", 10)
    pass_time(manager, clock, 9)
    assert not call.is_over
    pass_time(manager, clock, 1)
    call.outcome()


def test_pinned_lease_is_waited_for_until_it_has_really_ended(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait
) -> None:
    pinner = manager.pinner(NS)
    claimer.claim("db", "app-1", 10)
    call = wait_for("db")
    pinner.pin("db", "upgrade")
    pass_time(manager, clock, 1000)
    assert not call.is_over

    pinner.unpin("db", "upgrade")
    pass_time(manager, clock, 9.999_999)
    assert not call.is_over
    pass_time(manager, clock, 0.000_001)
    call.outcome()


def test_all_who_wait_for_a_lease_wake_and_nobody_else(
    claimer: Claimer, manager: Manager, wait_for: Wait
) -> None:
    for lease in ("db", "cache"):
        claimer.claim(lease, "app-1", 60)
    woken = [wait_for("db") for _ in range(5)]
    others = [wait_for("cache") for _ in range(3)]
    assert manager.report()["waits"] == 8

    manager.revoker(NS).revoke("db", "app-1")
    for call in woken:
        call.outcome()
    settle(manager)

    assert not any(call.is_over for call in others)
    assert manager.report()["waits"] == 3


def test_wait_delays_no_claim_and_takes_no_place_in_the_queue(
    claimer: Claimer, manager: Manager, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 60)
    call = wait_for("db")
    assert manager.reader(NS).waiting("db") == []
    assert claimer.claim("db", "app-1", 90).term == 1
    assert not call.is_over


# -- when it gives up --------------------------------------------------------------------


def test_cancelled_wait_ends_and_leaves_nothing(
    claimer: Claimer, manager: Manager, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 60)
    cancel = threading.Event()
    call, other = wait_for("db", cancel=cancel), wait_for("db")
    cancel.set()

    with pytest.raises(WaitCancelled, match="cannot wait for lease 'db' expiry") as e:
        call.outcome()
    assert e.value.key == key("db")
    settle(manager)
    assert not other.is_over
    assert manager.report()["waits"] == 1


def test_wait_that_was_cancelled_before_it_began_raises_so(
    claimer: Claimer, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(WaitCancelled):
        claimer.wait_until_expired("db", cancel=cancel)
    settle(manager)
    assert manager.report()["waits"] == 0


def test_wait_that_may_be_cancelled_ends_as_any_other(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 3600)
    call = wait_for("db", cancel=threading.Event())
    with_timeout = wait_for("db", cancel=threading.Event(), timeout=600)
    pass_time(manager, clock, 599)
    assert not with_timeout.is_over
    pass_time(manager, clock, 1)
    with pytest.raises(WaitTimeout):
        with_timeout.outcome()
    pass_time(manager, clock, 3000)
    call.outcome()
    assert manager.report()["waits"] == 0


@pytest.mark.parametrize("timeout", [5, timedelta(seconds=5)])
def test_wait_that_is_over_its_time_ends_and_leaves_nothing(
    claimer: Claimer,
    manager: Manager,
    clock: FakeClock,
    wait_for: Wait,
    timeout: float | timedelta,
) -> None:
    claimer.claim("db", "app-1", 60)
    call = wait_for("db", timeout=timeout)
    pass_time(manager, clock, 4.999_999)
    assert not call.is_over
    pass_time(manager, clock, 0.000_001)
    with pytest.raises(WaitTimeout, match="cannot wait for lease 'db' expiry") as e:
        call.outcome()
    assert e.value.key == key("db")
    settle(manager)
    assert manager.report()["waits"] == 0


def test_wait_without_time_tells_only_whether_the_lease_stands(
    claimer: Claimer, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    started = threading.Event()
    with pytest.raises(WaitTimeout):
        claimer.wait_until_expired("db", timeout=0, started=started)
    assert started.is_set()
    settle(manager)
    assert manager.report()["waits"] == 0


def test_wait_outlasts_the_time_that_an_answer_may_take(
    claimer: Claimer, manager: Manager, clock: FakeClock, wait_for: Wait
) -> None:
    claimer.claim("db", "app-1", 3600)
    call = wait_for("db")
    for _ in range(3):
        pass_time(manager, clock, 1000)
    assert not call.is_over


def test_wait_validates_the_lease_alone(claimer: Claimer) -> None:
    started = threading.Event()
    with pytest.raises(NotValid, match=r"^cannot wait for lease 'not a name' expiry: "):
        claimer.wait_until_expired("not a name", started=started)
    assert not started.is_set()


def test_wait_ends_with_the_manager(claimer: Claimer, manager: Manager, wait_for: Wait) -> None:
    claimer.claim("db", "app-1", 60)
    calls = [wait_for("db"), wait_for("db", cancel=threading.Event())]
    manager.kill()
    for call in calls:
        with pytest.raises(ManagerStopped, match="cannot wait for lease 'db' expiry"):
            call.outcome()
    manager.wait(PATIENCE)


def test_wait_that_is_on_its_way_when_the_manager_is_killed_ends_with_it(
    open_manager: OpenManager, watched: WatchedStore, run: Run
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    settle(manager)
    watched.way_out.close()
    call = run(lambda: claimer.wait_until_expired("db"))
    watched.way_out.await_one()
    manager.kill()
    pass_manager(manager)  # the stop has been begun
    watched.way_out.open()

    with pytest.raises(ManagerStopped):
        call.outcome()
    manager.wait(PATIENCE)


def test_thousand_cancelled_waits_leave_nothing_behind(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    queued = claimer.claim_future("db", "app-2", 60)
    cancel = threading.Event()
    cancel.set()
    for _ in range(200):
        with pytest.raises(WaitCancelled):
            claimer.wait_until_expired("db", cancel=cancel)
    settle(manager)

    assert manager.report()["waits"] == 0
    assert len(inside(manager)) == 1
    assert is_pending(queued)


# -- a ``started`` of the caller's own ---------------------------------------------------


def test_started_that_cannot_be_set_is_refused(claimer: Claimer) -> None:
    with pytest.raises(NotValid, match="cannot wait for lease 'db' expiry: started=True cannot"):
        claimer.wait_until_expired("db", started=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("stands", [False, True])
def test_started_that_fails_is_logged_and_ends_nothing(
    claimer: Claimer, manager: Manager, caplog: pytest.LogCaptureFixture, stands: bool
) -> None:
    class Broken(threading.Event):
        def set(self) -> None:
            raise SystemExit("mine")

    if stands:
        claimer.claim("db", "app-1", 60)
        with pytest.raises(WaitTimeout):
            claimer.wait_until_expired("db", timeout=0, started=Broken())
    else:
        claimer.wait_until_expired("db", started=Broken())
    settle(manager)  # it lives
    assert "started.set() of a wait failed: SystemExit('mine')" in caplog.text
