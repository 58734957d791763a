"""Type-checked, never run: the roles as their users write them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from lease_actors import Checker, Claimer, HeldLease
from lease_actors.roles import Election, Ticket, Tracker, only_one, run_while_held


def see(*values: object) -> None:
    """The names are used."""


def lead(term: HeldLease) -> None:
    while not term.lost.wait(timeout=1):
        term.check()
        see(term.term, term.remaining())


def elections(claimer: Claimer) -> None:
    election = Election(claimer, "leader", "me", duration=timedelta(seconds=10))
    election.run(lead, stop=threading.Event())
    Election(claimer, "leader", candidate="me").run(lambda term: term.term)
    names: tuple[str, str] = (election.name, election.candidate)
    see(names, election.duration)


def jobs(claimer: Claimer) -> None:
    @only_one(claimer, "report", duration=60, at_least=timedelta(minutes=10), otherwise="wait")
    def report(day: str, *, pages: int = 1) -> str:
        return day * pages

    typed: Callable[..., str | None] = report
    value: str | None = report("monday", pages=2)
    see(typed, value, only_one(claimer, "other", 60)(report)("tuesday"))


def trackers(claimer: Claimer) -> None:
    with Tracker(claimer, "app", "app/0", guarantee=30) as tracker:
        ticket: Ticket = tracker.claim_leader()
        leads: bool = ticket.wait(timeout=5)
        ready: threading.Event = tracker.wait_leader().ready
        see(leads, ready, tracker.wait_minion().wait())
    tracker.kill()
    tracker.wait(timeout=timedelta(seconds=1))


def while_held(claimer: Claimer, checker: Checker) -> None:
    def work(cancelled: threading.Event) -> int:
        return int(cancelled.is_set())

    value: int = run_while_held(claimer, checker, "app", "app/0", work)
    see(value)
