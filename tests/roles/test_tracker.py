"""Tracker: at any moment whether one leads, and for how long that may be relied on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from support.faults import PATIENCE, FaultyStore, Hang, passing, raises
from support.managers import NO_TIMES, Calling, advance_until, blocked, managing, until

from lease_actors import (
    Key,
    Manager,
    ManagerStopped,
    MemoryStore,
    NotValid,
    StoreError,
    WaitTimeout,
)
from lease_actors.roles import Ticket, Tracker
from lease_actors.secretaries import DefaultSecretary, Secretaries
from lease_actors.testing import FakeClock


@contextmanager
def tracking(manager: Manager, holder: str, guarantee: float | timedelta = 30) -> Iterator[Tracker]:
    with Tracker(manager.claimer("ns"), "app", holder, guarantee) as tracker:
        yield tracker


def leads(tracker: Tracker) -> bool:
    return tracker.claim_leader().wait(PATIENCE)


def remaining(manager: Manager) -> float:
    lease = manager.reader("ns").get("app")
    return 0.0 if lease is None else lease.remaining().total_seconds()


def is_open(ticket: Ticket) -> bool:
    return not ticket.ready.is_set()


def test_the_first_leads_and_the_second_does_not(lease_manager: Manager) -> None:
    with tracking(lease_manager, "app/0") as first:
        assert leads(first)
        with tracking(lease_manager, "app/1") as second:
            assert not leads(second)
            assert leads(first)


def test_a_leader_has_the_guarantee_whenever_it_is_asked(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    with tracking(lease_manager, "app/0") as tracker:
        for _ in range(100):
            assert leads(tracker)
            assert remaining(lease_manager) >= 30
            lease_clock.advance(7)


def test_wait_leader_is_answered_at_once_to_who_leads(lease_manager: Manager) -> None:
    with tracking(lease_manager, "app/0") as tracker:
        assert leads(tracker)
        ticket = tracker.wait_leader()
        assert ticket.ready.is_set()
        assert ticket.wait()


def test_wait_leader_is_answered_on_promotion(lease_manager: Manager) -> None:
    with tracking(lease_manager, "app/0") as first, tracking(lease_manager, "app/1") as second:
        assert leads(first)
        ticket = second.wait_leader()
        blocked(lease_manager, 1)
        assert is_open(ticket)
        assert not ticket.wait(0)
        lease_manager.revoker("ns").revoke("app", "app/0")
        assert ticket.wait(PATIENCE)
        assert leads(second)
        assert not leads(first)


def test_wait_minion_is_open_while_it_leads_and_answered_on_demotion(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    with tracking(lease_manager, "app/0") as first, tracking(lease_manager, "app/1"):
        assert leads(first)
        blocked(lease_manager, 1)
        ticket = first.wait_minion()
        lease_clock.advance(300)
        assert is_open(ticket)
        lease_manager.revoker("ns").revoke("app", "app/0")
        assert ticket.wait(PATIENCE)


def test_wait_minion_is_answered_at_once_to_who_does_not_lead(lease_manager: Manager) -> None:
    with tracking(lease_manager, "app/0") as first, tracking(lease_manager, "app/1") as second:
        assert leads(first)
        assert not leads(second)
        ticket = second.wait_minion()
        assert ticket.ready.is_set()
        assert ticket.wait()


def test_the_end_closes_every_open_ticket_with_false(lease_manager: Manager) -> None:
    first = Tracker(lease_manager.claimer("ns"), "app", "app/0")
    assert leads(first)
    second = Tracker(lease_manager.claimer("ns"), "app", "app/1")
    assert not leads(second)
    tickets = [first.wait_minion(), second.wait_leader()]
    assert all(map(is_open, tickets))
    for tracker in (first, second):
        tracker.kill()
    assert [t.ready.is_set() for t in tickets] == [True, True]
    assert [t.wait() for t in tickets] == [False, False]
    for tracker in (first, second):
        tracker.wait(PATIENCE)
        for late in (tracker.claim_leader(), tracker.wait_leader(), tracker.wait_minion()):
            assert late.ready.is_set()
            assert not late.wait()


def test_the_end_leaves_the_queue(lease_manager: Manager) -> None:
    with tracking(lease_manager, "app/0") as first:
        assert leads(first)
        with tracking(lease_manager, "app/1") as second:
            assert not leads(second)
            blocked(lease_manager, 1)
        blocked(lease_manager, 0)


def test_the_guarantee_outlives_the_tracker(lease_manager: Manager, lease_clock: FakeClock) -> None:
    """And not by more than the lease has left."""
    with tracking(lease_manager, "app/0") as first:
        assert leads(first)
    with tracking(lease_manager, "app/1") as second:
        assert not leads(second)
        promoted = second.wait_leader()
        blocked(lease_manager, 1)
        lease_clock.advance(30)
        assert is_open(promoted)
        assert lease_manager.reader("ns").leases() == {"app": "app/0"}
        lease_clock.advance(30)
        assert promoted.wait(PATIENCE)


def test_a_new_tracker_of_the_holder_goes_on_with_its_term(lease_manager: Manager) -> None:
    for _ in range(3):
        with tracking(lease_manager, "app/0") as tracker:
            assert leads(tracker)
    lease = lease_manager.reader("ns").get("app")
    assert lease is not None
    assert lease.term == 1


def test_one_that_ends_before_it_has_served_leaves_the_guarantee_of_the_one_before(
    lease_manager: Manager,
) -> None:
    with tracking(lease_manager, "app/0") as first:
        assert leads(first)
    for _ in range(10):
        with tracking(lease_manager, "app/0"):
            pass
    assert lease_manager.reader("ns").leases() == {"app": "app/0"}


def test_a_store_that_is_away_ends_nothing_while_the_lease_has_time_left() -> None:
    store, clock = FaultyStore(), FakeClock()
    with managing(store, clock) as manager, tracking(manager, "app/0") as tracker:
        assert leads(tracker)
        demoted = tracker.wait_minion()
        store.always(passing)
        clock.advance(29)
        assert leads(tracker)  # of 60 s 31 are left
        clock.advance(30)
        assert is_open(demoted)  # it leads, though what is left is no guarantee any more
        asked = tracker.claim_leader()
        waiting = tracker.wait_leader()
        advance_until(clock, asked.ready.is_set, step=0.05)
        assert not asked.wait()
        assert is_open(waiting)
        advance_until(clock, demoted.ready.is_set, step=0.05)
        assert demoted.wait()
        store.always(None)
        advance_until(clock, waiting.ready.is_set, step=0.05)
        assert waiting.wait()
        assert leads(tracker)


def test_a_question_renews_first_if_that_is_due() -> None:
    store, clock = FaultyStore(), FakeClock()
    with managing(store, clock) as manager, tracking(manager, "app/0", guarantee=300) as tracker:
        assert leads(tracker)
        store.always(passing)
        clock.advance(302)
        asked = [tracker.claim_leader(), tracker.wait_leader()]
        assert all(map(is_open, asked))
        store.always(None)
        advance_until(clock, lambda: not any(map(is_open, asked)), step=0.05)
        assert [ticket.wait() for ticket in asked] == [True, True]
        assert remaining(manager) >= 300


@pytest.mark.parametrize("by", ["the keeper", "one more"])
def test_wait_leader_is_answered_by_a_renewal_after_one_that_failed(by: str) -> None:
    store, clock = FaultyStore(), FakeClock()
    with managing(store, clock) as manager, tracking(manager, "app/0") as tracker:
        assert leads(tracker)
        store.always(raises(StoreError("disk full")))
        clock.advance(31)  # of 60 s 29 are left
        waiting = tracker.wait_leader()
        assert not leads(tracker)  # it has been answered with the renewal that failed
        assert is_open(waiting)
        store.always(None)
        if by == "the keeper":
            advance_until(clock, lambda: remaining(manager) >= 59)
        assert waiting.wait(PATIENCE)
        assert remaining(manager) >= 30


def test_what_one_more_renewal_has_promised_stands_though_the_keepers_have_failed() -> None:
    store, clock = FaultyStore(), FakeClock()
    with managing(store, clock) as manager, tracking(manager, "app/0") as tracker:
        assert leads(tracker)
        with tracking(manager, "app/1"):
            blocked(manager, 1)
            store.always(raises(StoreError("disk full")))
            clock.advance(58)  # of 60 s 2 are left, and the keeper's next attempt is in 3
            store.always(None)
            assert leads(tracker)
            clock.advance(29)
            assert manager.reader("ns").leases() == {"app": "app/0"}
            assert leads(tracker)


def test_a_renewal_that_comes_too_late_leaves_nobody_the_lease() -> None:
    store, clock = FaultyStore(), FakeClock()
    patient = {"call_timeout": 3600, "attempt_timeout": 3600}
    with managing(store, clock, **patient) as manager, Hang() as slow:
        with tracking(manager, "app/0") as tracker:
            assert leads(tracker)
            store.then(slow)
            clock.advance(31)  # of 60 s 29 are left: it asks for more
            asked = tracker.claim_leader()
            until(lambda: "lease tracker renewal" in names_of_threads())
        assert not asked.wait()
        clock.advance(30)
        slow.release()
        until(lambda: "lease tracker renewal" not in names_of_threads())
        assert manager.reader("ns").leases() == {}


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_wrong_names_end_it(lease_manager: Manager) -> None:
    tracker = Tracker(lease_manager.claimer("ns"), "two words", "app/0")
    assert not leads(tracker)
    with pytest.raises(NotValid, match="cannot claim lease 'two words'"):
        tracker.wait(PATIENCE)
    with pytest.raises(NotValid, match="cannot claim lease 'two words'"), tracker:
        pass


def test_a_guarantee_of_which_twice_is_refused_ends_it_and_is_named(
    lease_manager: Manager,
) -> None:
    tracker = Tracker(lease_manager.claimer("ns"), "app", "app/0", timedelta(days=184))
    assert not leads(tracker)
    with pytest.raises(NotValid, match=r"twice the guarantee of 184 days.* at most 366") as raised:
        tracker.wait(PATIENCE)
    assert raised.value.key == Key("ns", "", "app")


def test_a_secretary_may_allow_a_longer_guarantee() -> None:
    class Patient(DefaultSecretary):
        def check_duration(self, duration: timedelta) -> None:
            pass

    year = timedelta(days=366)
    with managing(MemoryStore(), secretary_finder=Secretaries(Patient())) as manager:
        with tracking(manager, "app/0", year) as tracker:
            assert leads(tracker)
        assert remaining(manager) == 2 * year.total_seconds()


@pytest.mark.parametrize("guarantee", [0, -1, None, "soon", 1e30, timedelta.max])
def test_a_wrong_guarantee_is_refused(lease_manager: Manager, guarantee: object) -> None:
    with pytest.raises(NotValid, match="guarantee="):
        Tracker(lease_manager.claimer("ns"), "app", "app/0", guarantee)  # type: ignore[arg-type]


def test_it_ends_with_the_manager(lease_manager: Manager) -> None:
    first = Tracker(lease_manager.claimer("ns"), "app", "app/0")
    assert leads(first)
    second = Tracker(lease_manager.claimer("ns"), "app", "app/1")
    waiting = second.wait_leader()
    blocked(lease_manager, 1)
    lease_manager.kill()
    for tracker in (first, second):
        with pytest.raises(ManagerStopped):
            tracker.wait(PATIENCE)
    assert not waiting.wait(PATIENCE)
    assert waiting.ready.is_set()


@pytest.mark.parametrize("timeout", [0.25, timedelta(milliseconds=250)])
def test_wait_says_that_it_has_not_ended(
    lease_manager: Manager, timeout: float | timedelta
) -> None:
    message = r"'app' has not ended within 0\.25 s"
    with tracking(lease_manager, "app/0") as tracker, pytest.raises(WaitTimeout, match=message):
        tracker.wait(timeout)


@pytest.mark.parametrize("timeout", NO_TIMES)
def test_what_is_no_time_to_wait_is_refused(lease_manager: Manager, timeout: Any) -> None:
    with tracking(lease_manager, "app/0") as tracker:
        with pytest.raises(NotValid, match=r"end of the tracker of 'app': .* not a time to wait"):
            Calling(tracker.wait, timeout).outcome()
        assert leads(tracker)
        for ticket in (tracker.wait_leader(), tracker.wait_minion()):  # answered, and open
            with pytest.raises(NotValid, match=r"cannot wait for an answer: .* not a time to wait"):
                Calling(ticket.wait, timeout).outcome()


def test_the_longest_time_to_wait_is_one(lease_manager: Manager) -> None:
    """Though no thread can wait for so long."""
    with tracking(lease_manager, "app/0") as tracker:
        assert leads(tracker)
        asked = Calling(tracker.wait_minion().wait, timedelta.max)
        waiting = Calling(tracker.wait, timedelta.max)
    assert asked.outcome() is False
    waiting.outcome()


def test_an_error_in_the_block_comes_first(lease_manager: Manager) -> None:
    tracker = Tracker(lease_manager.claimer("ns"), "two words", "app/0")
    with pytest.raises(ZeroDivisionError), tracker:
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_in_a_forked_child_every_answer_is_false(lease_manager: Manager) -> None:
    with tracking(lease_manager, "app/0") as tracker:
        assert leads(tracker)
        inherited = tracker.wait_minion()
        child = os.fork()
        if child == 0:
            answers = [
                inherited.wait(),
                tracker.claim_leader().wait(),
                tracker.wait_leader().wait(),
            ]
            tracker.kill()
            os._exit(3 if any(answers) else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert leads(tracker)


def test_many_may_ask_at_once(lease_manager: Manager) -> None:
    answers: list[bool] = []
    with tracking(lease_manager, "app/0") as tracker:
        threads = [
            threading.Thread(target=lambda: answers.append(leads(tracker)), daemon=True)
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) == 20, "twenty answers")
    assert answers == [True] * 20
