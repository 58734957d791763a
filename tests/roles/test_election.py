"""Election: one candidate leads at a time, and only while it has the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support.faults import PATIENCE, FaultyStore, passing
from support.managers import Calling, advance_until, blocked, managing, until

from lease_actors import HeldLease, LeaseLost, Manager, ManagerStopped, NotValid
from lease_actors.roles import Election
from lease_actors.testing import FakeClock


class Candidate:
    """Runs in an election on a thread of its own; leads until its term is lost, or it resigns."""

    def __init__(
        self,
        manager: Manager,
        name: str,
        *,
        then: Callable[[HeldLease], Any] = lambda term: None,
        duration: float = 30,
    ) -> None:
        self.name = name
        self.terms: list[HeldLease] = []
        self.leading = threading.Event()
        self.stop = threading.Event()
        self.resign = threading.Event()
        self._then = then
        election = Election(manager.claimer("ns"), "leader", name, duration)
        self.run = Calling(election.run, self.lead, stop=self.stop)

    def lead(self, term: HeldLease) -> None:
        self.terms.append(term)
        self.leading.set()
        until(lambda: term.lost.is_set() or self.resign.is_set(), "the end of the term")
        self.leading.clear()
        self.resign.clear()
        self._then(term)

    def leads(self) -> HeldLease:
        """Wait until it leads; its term."""
        assert self.leading.wait(PATIENCE), f"{self.name} does not lead"
        return self.terms[-1]

    def end(self) -> BaseException | None:
        self.stop.set()
        return self.run.ended()


def holder(manager: Manager) -> str | None:
    lease = manager.reader("ns").get("leader")
    return None if lease is None else lease.holder


def test_the_elected_is_given_its_term(lease_manager: Manager) -> None:
    ann = Candidate(lease_manager, "ann")
    term = ann.leads()
    assert (term.key.lease, term.holder, term.term) == ("leader", "ann", 1)
    term.check()
    assert ann.end() is None


def test_the_leader_leads_on_for_as_long_as_it_likes(
    lease_manager: Manager, lease_clock: FakeClock
) -> None:
    ann = Candidate(lease_manager, "ann")
    term = ann.leads()
    bob = Candidate(lease_manager, "bob")
    blocked(lease_manager, 1)
    for _ in range(30):
        lease_clock.advance(10)
    term.check()
    assert bob.terms == []
    assert (ann.end(), bob.leads().term, bob.end()) == (None, 2, None)


def test_who_returns_resigns_and_stands_again_behind_the_others(lease_manager: Manager) -> None:
    ann = Candidate(lease_manager, "ann")
    ann.leads()
    bob = Candidate(lease_manager, "bob")
    blocked(lease_manager, 1)
    ann.resign.set()
    assert bob.leads().term == 2
    blocked(lease_manager, 1)
    bob.resign.set()
    assert ann.leads().term == 3
    assert (ann.end(), bob.end()) == (None, None)


def test_an_error_of_the_leader_resigns_and_is_raised(lease_manager: Manager) -> None:
    def fail(term: HeldLease) -> None:
        raise ZeroDivisionError("the leader's own")

    ann = Candidate(lease_manager, "ann", then=fail)
    ann.leads()
    bob = Candidate(lease_manager, "bob")
    blocked(lease_manager, 1)
    ann.resign.set()
    assert isinstance(ann.run.ended(), ZeroDivisionError)
    bob.leads()
    assert bob.end() is None


def test_a_leader_that_loses_stands_for_election_again(lease_manager: Manager) -> None:
    ann = Candidate(lease_manager, "ann")
    first = ann.leads()
    lease_manager.revoker("ns").revoke("leader", "ann")
    until(lambda: len(ann.terms) == 2, "the second term")
    assert first.lost.is_set()
    assert ann.leads().term == 2
    assert ann.end() is None


def test_that_the_term_is_lost_is_no_error_of_the_leader(lease_manager: Manager) -> None:
    def check(term: HeldLease) -> None:
        term.check()

    ann = Candidate(lease_manager, "ann", then=check)
    ann.leads()
    lease_manager.revoker("ns").revoke("leader", "ann")
    until(lambda: len(ann.terms) == 2, "the second term")
    assert ann.end() is None


def test_that_something_else_is_lost_is_an_error_of_the_leader(lease_manager: Manager) -> None:
    def lose_another(term: HeldLease) -> None:
        with lease_manager.claimer("ns").hold("another", "ann", 30):
            lease_manager.revoker("ns").revoke("another", "ann")

    ann = Candidate(lease_manager, "ann", then=lose_another)
    ann.leads()
    lease_manager.revoker("ns").revoke("leader", "ann")
    error = ann.run.ended()
    assert isinstance(error, LeaseLost)
    assert error.key is not None
    assert error.key.lease == "another"


def test_a_stop_tells_the_leader_and_releases_when_it_has_returned(lease_manager: Manager) -> None:
    seen = []
    ann = Candidate(
        lease_manager, "ann", then=lambda term: seen.append((holder(lease_manager), term.check()))
    )
    term = ann.leads()
    assert ann.end() is None
    assert term.lost.is_set()
    assert seen == [("ann", None)]  # it still had the lease, for certain
    assert holder(lease_manager) is None


def test_a_stop_takes_a_candidate_out_of_the_queue(lease_manager: Manager) -> None:
    ann = Candidate(lease_manager, "ann")
    ann.leads()
    bob = Candidate(lease_manager, "bob")
    blocked(lease_manager, 1)
    assert bob.end() is None
    assert bob.terms == []
    until(lambda: lease_manager.reader("ns").waiting("leader") == [], "an empty queue")
    assert ann.end() is None


def test_a_stop_that_was_set_before_leads_nobody(lease_manager: Manager) -> None:
    stop = threading.Event()
    stop.set()
    Election(lease_manager.claimer("ns"), "leader", "ann").run(pytest.fail, stop=stop)
    assert holder(lease_manager) is None


def test_a_leader_that_stops_the_election_itself_is_not_called_again(
    lease_manager: Manager,
) -> None:
    stop, terms = threading.Event(), []

    def lead(term: HeldLease) -> None:
        terms.append(term)
        stop.set()

    for _ in range(20):
        Election(lease_manager.claimer("ns"), "leader", "ann").run(lead, stop=stop)
        stop.clear()
    assert len(terms) == 20


def test_whenever_the_stop_comes_nothing_is_left_held(lease_manager: Manager) -> None:
    """It may come just when the lease is being attributed: that is given back."""
    for _ in range(60):
        ann = Candidate(lease_manager, "ann")
        ann.leads()
        bob = Candidate(lease_manager, "bob")
        blocked(lease_manager, 1)
        ann.stop.set()
        bob.stop.set()
        assert (ann.run.ended(), bob.run.ended()) == (None, None)
        until(lambda: holder(lease_manager) is None, "the end of what was given back")
        assert lease_manager.reader("ns").waiting("leader") == []


def test_the_manager_stops_and_the_election_with_it(lease_manager: Manager) -> None:
    ann = Candidate(lease_manager, "ann")
    term = ann.leads()
    bob = Candidate(lease_manager, "bob")
    blocked(lease_manager, 1)
    lease_manager.kill()
    assert isinstance(bob.run.ended(), ManagerStopped)
    assert isinstance(ann.run.ended(), ManagerStopped)
    assert term.lost.is_set()
    assert bob.terms == []


def test_without_a_stop_it_runs_until_something_is_raised(lease_manager: Manager) -> None:
    terms: list[int] = []

    def lead(term: HeldLease) -> None:
        terms.append(term.term)
        if len(terms) == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Election(lease_manager.claimer("ns"), "leader", "ann").run(lead)
    assert terms == [1, 2, 3]
    assert holder(lease_manager) is None


def test_a_store_that_is_away_is_waited_for() -> None:
    store, clock = FaultyStore(), FakeClock()
    with managing(store, clock) as manager:
        manager.claimer("ns").claim("leader", "another", 30)
        store.always(passing)
        ann = Candidate(manager, "ann")
        refused = store.attempts + 25  # ten attempts, and then the call has failed
        advance_until(clock, lambda: store.attempts >= refused, step=0.5)
        assert ann.run.is_alive()
        store.always(None)
        advance_until(clock, ann.leading.is_set, step=0.5)
        assert ann.end() is None


def test_wrong_names_are_raised(lease_manager: Manager) -> None:
    claimer = lease_manager.claimer("ns")
    with pytest.raises(NotValid, match="cannot claim lease 'two words'"):
        Election(claimer, "two words", "ann").run(pytest.fail)
    with pytest.raises(NotValid, match="cannot run election 'leader': lead=None"):
        Election(claimer, "leader", "ann").run(None)  # type: ignore[arg-type]


def test_no_two_leaders_overlap(lease_manager: Manager) -> None:
    """However they resign and stand anew, and when they are all stopped."""
    leading = threading.Lock()
    overlaps, count = [], [0]
    stop = threading.Event()

    def lead(term: HeldLease) -> None:
        if not leading.acquire(blocking=False):
            overlaps.append(term)
            return
        count[0] += 1
        if count[0] >= 60:
            stop.set()
            term.lost.wait(PATIENCE)
        leading.release()

    claimer = lease_manager.claimer("ns")
    runs = [
        Calling(Election(claimer, "leader", f"candidate-{n}").run, lead, stop=stop)
        for n in range(5)
    ]
    for run in runs:
        assert run.ended() is None
    assert overlaps == []
    assert count[0] >= 60
    # One that was called off while the lease was on its way to it: it is given back soon.
    until(lambda: holder(lease_manager) is None, "nobody leads")
