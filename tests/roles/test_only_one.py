"""only_one: of all calls of a job one runs at a time, and none too soon after it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from support.faults import PATIENCE
from support.managers import Calling, advance_until, blocked, managing, until

from lease_actors import ClaimDenied, LeaseLost, Manager, ManagerStopped, MemoryStore, NotValid
from lease_actors.roles import only_one
from lease_actors.testing import FakeClock


class Job:
    """Runs until it is let go."""

    def __init__(self) -> None:
        self.runs = 0
        self.running = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, value: str) -> str:
        self.runs += 1
        self.running.release()
        assert self.go.acquire(timeout=PATIENCE)
        return value

    def has_begun(self) -> None:
        assert self.running.acquire(timeout=PATIENCE), "the job does not run"


def is_free(manager: Manager) -> bool:
    return manager.reader("ns").get("report") is None


def decorated(manager: Manager, job: Any, *args: Any, **kwargs: Any) -> Any:
    return only_one(manager.claimer("ns"), "report", *(args or (30,)), **kwargs)(job)


def test_the_value_is_returned_and_the_lease_is_free_again(lease_manager: Manager) -> None:
    @only_one(lease_manager.claimer("ns"), "report", 30)
    def report(day: str, *, pages: int = 1) -> str:
        """What the report says."""
        assert not is_free(lease_manager)
        return f"{day}: {pages}"

    assert report("monday", pages=3) == "monday: 3"
    assert is_free(lease_manager)
    assert (report.__name__, report.__doc__) == ("report", "What the report says.")


def test_what_the_job_raises_is_raised_and_the_lease_is_free_again(lease_manager: Manager) -> None:
    with pytest.raises(ZeroDivisionError):
        decorated(lease_manager, lambda: 1 // 0)()
    assert is_free(lease_manager)


def test_a_second_call_is_skipped_in_the_same_process_too(lease_manager: Manager) -> None:
    job = Job()
    report = decorated(lease_manager, job)
    first = Calling(report, "first")
    job.has_begun()
    assert report("second") is None
    job.go.release()
    assert first.outcome() == "first"
    assert job.runs == 1


def test_a_second_call_waits_its_turn(lease_manager: Manager) -> None:
    job = Job()
    report = decorated(lease_manager, job, otherwise="wait")
    first = Calling(report, "first")
    job.has_begun()
    second = Calling(report, "second")
    blocked(lease_manager, 1)
    assert job.runs == 1
    job.go.release()
    assert first.outcome() == "first"
    job.has_begun()
    job.go.release()
    assert second.outcome() == "second"


def test_a_second_call_raises(lease_manager: Manager) -> None:
    job = Job()
    report = decorated(lease_manager, job, otherwise="raise")
    first = Calling(report, "first")
    job.has_begun()
    with pytest.raises(ClaimDenied):
        report("second")
    job.go.release()
    assert first.outcome() == "first"


@pytest.mark.parametrize("otherwise", ["skip", "wait", "raise"])
def test_a_denial_that_the_job_itself_meets_is_raised(
    lease_manager: Manager, otherwise: str
) -> None:
    lease_manager.claimer("ns").claim("another", "bob", 30)

    def job() -> None:
        lease_manager.claimer("ns").claim("another", "ann", 30)

    with pytest.raises(ClaimDenied, match="'another'"):
        decorated(lease_manager, job, otherwise=otherwise)()


def test_a_job_may_take_longer_than_the_duration(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    job = Job()
    report = decorated(lease_manager, job)
    first = Calling(report, "first")
    job.has_begun()
    lease_clock.advance(1000)
    assert report("second") is None
    job.go.release()
    assert first.outcome() == "first"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("duration", [5, 600])
def test_it_stays_taken_for_at_least_so_long_from_the_start(
    lease_manager: Manager, lease_clock: FakeClock, duration: float, fails: bool
) -> None:
    """However short the job, and however it ended."""
    runs = []

    def job() -> str:
        runs.append(1)
        lease_clock.advance(2)
        if fails:
            raise ZeroDivisionError
        return "done"

    report = decorated(lease_manager, job, duration, at_least=60)
    if fails:
        with pytest.raises(ZeroDivisionError):
            report()
    else:
        assert report() == "done"
    lease_clock.advance(57.9)
    assert report() is None
    assert runs == [1]
    lease_clock.advance(0.1)
    assert is_free(lease_manager)


def test_it_is_free_at_once_after_a_job_that_took_longer_than_at_least(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    report = decorated(lease_manager, lambda: lease_clock.advance(61) or "done", at_least=60)
    assert report() == "done"
    assert is_free(lease_manager)


def test_who_waits_has_it_when_at_least_is_over(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    job = Job()
    report = decorated(lease_manager, job, at_least=60, otherwise="wait")
    job.go.release()
    assert report("first") == "first"
    second = Calling(report, "second")
    blocked(lease_manager, 1)
    lease_clock.advance(59)
    assert job.runs == 1
    lease_clock.advance(1)
    job.go.release()
    assert second.outcome() == "second"


def test_durations_may_be_timedeltas(lease_manager: Manager, lease_clock: FakeClock) -> None:
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    decorated(lease_manager, lambda: None, second, minute)()
    lease_clock.advance(59)
    assert not is_free(lease_manager)
    lease_clock.advance(1)
    assert is_free(lease_manager)


def test_a_job_that_was_not_alone_to_its_end_raises_lease_lost(lease_manager: Manager) -> None:
    def job() -> None:
        lease = lease_manager.reader("ns").get("report")
        assert lease is not None
        lease_manager.revoker("ns").revoke("report", lease.holder)

    for at_least in (0, 60):
        with pytest.raises(LeaseLost) as caught:
            decorated(lease_manager, job, at_least=at_least)()
        assert caught.value.reason == "revoked"
        assert is_free(lease_manager)


def test_an_error_of_the_job_comes_before_the_loss(lease_manager: Manager) -> None:
    def job() -> None:
        lease = lease_manager.reader("ns").get("report")
        assert lease is not None
        lease_manager.revoker("ns").revoke("report", lease.holder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decorated(lease_manager, job)()


@pytest.mark.parametrize("at_least", [0, 60])
def test_a_manager_that_stops_meanwhile_takes_nothing_from_the_job(at_least: float) -> None:
    store, clock = MemoryStore(), FakeClock()
    with managing(store, clock) as manager, managing(store, clock) as other:

        def job() -> str:
            manager.kill()
            clock.advance(54)
            assert not is_free(other)
            return "done"

        assert decorated(manager, job, at_least=at_least)() == "done"
        manager.wait(PATIENCE)
        assert is_free(other) is not bool(at_least)
        clock.advance(6)
        assert is_free(other)


@pytest.mark.parametrize("how", ["it is revoked", "the stop does not wait any longer"])
def test_a_job_that_lost_its_lease_while_the_manager_stopped_raises_lease_lost(how: str) -> None:
    store, clock = MemoryStore(), FakeClock()
    with managing(store, clock) as manager, managing(store, clock) as other:

        def job() -> None:
            manager.kill()
            lease = other.reader("ns").get("report")
            assert lease is not None
            if how == "it is revoked":
                other.revoker("ns").revoke("report", lease.holder)
            # The stop begins on another thread, and counts its 55 s from there.
            advance_until(clock, manager._crew._stopped.is_set, step=5)
            manager.wait(PATIENCE)

        with pytest.raises(LeaseLost, match="'report'"):
            decorated(manager, job)()


def test_a_manager_that_has_stopped_runs_nothing(lease_manager: Manager) -> None:
    lease_manager.kill()
    with pytest.raises(ManagerStopped):
        decorated(lease_manager, pytest.fail)()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"otherwise": "hope"}, "otherwise='hope'"),
        ({"at_least": -1}, "at_least=-1"),
        ({"at_least": "long"}, "at_least='long'"),
    ],
)
def test_wrong_arguments_are_refused_when_it_is_decorated(
    lease_manager: Manager, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(NotValid, match=f"cannot run job 'report' only once: {message}"):
        decorated(lease_manager, print, **arguments)


@pytest.mark.parametrize("at_least", [0, 60])
@pytest.mark.parametrize(
    ("duration", "named"), [(0, "0s"), (-5, "-5s"), (None, "None"), ("long", "'long'")]
)
def test_a_wrong_duration_is_refused_when_it_is_called(
    lease_manager: Manager, duration: object, named: str, at_least: float
) -> None:
    with pytest.raises(NotValid, match=f"cannot claim lease for {named}: "):
        decorated(lease_manager, pytest.fail, duration, at_least)()


def test_what_only_starts_when_it_is_called_is_refused(lease_manager: Manager) -> None:
    async def coroutine() -> None:
        pass

    async def both() -> Any:
        yield

    def generator() -> Any:
        yield

    for job in (coroutine, both, generator):
        with pytest.raises(NotValid, match="returns before it has run"):
            decorated(lease_manager, job)
    with pytest.raises(NotValid, match="42 cannot be called"):
        decorated(lease_manager, 42)


def test_of_many_at_once_one_runs(lease_manager: Manager) -> None:
    job = Job()
    report = decorated(lease_manager, job)
    calls = [Calling(report, f"call {n}") for n in range(10)]
    job.has_begun()
    until(lambda: sum(not call.is_alive() for call in calls) == 9, "nine that were skipped")
    job.go.release()
    values = [call.outcome() for call in calls]
    assert sum(value is not None for value in values) == 1
    assert job.runs == 1
