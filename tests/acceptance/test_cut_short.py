"""Ctrl-C between two steps of a call: nothing of the call remains, whichever steps they are.

Python runs a signal's handler between any two instructions of the main thread. What it raises is
raised here in place of one step, or just after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from acceptance.support import NS, inside, settle
from support.cutting import cut
from support.managers import until

from lease_actors import Claimer, Manager, held
from lease_actors.actors import gate
from lease_actors.testing import FakeClock

Ask = Callable[[Claimer], object]

FREE: dict[str, Ask] = {
    "claim": lambda claimer: claimer.claim("db", "me", 3600),
    "queueing claim": lambda claimer: claimer.claim("db", "me", 3600, wait=None),
    "future": lambda claimer: claimer.claim_future("db", "me", 3600),
    "hold": lambda claimer: claimer.hold("db", "me", 3600).__enter__(),
}
HELD: dict[str, Ask] = {
    **FREE,
    "wait": lambda claimer: claimer.wait_until_expired("db"),
    "wait with cancel": lambda claimer: claimer.wait_until_expired("db", cancel=threading.Event()),
}


def nothing_remains(manager: Manager, holders: dict[str, str]) -> None:
    settle(manager)
    report = manager.report()
    assert (report["blocked-claims"], report["waits"], report["kept-leases"]) == (0, 0, 0)
    assert inside(manager) == []
    assert manager.reader(NS).waiting("db") == []
    assert manager.reader(NS).leases() == holders


# -- on its way in -----------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before the inbox", "in the inbox"])
@pytest.mark.parametrize("ask", FREE.values(), ids=FREE)
def test_a_claim_cut_short_on_its_way_in_leaves_the_lease_free(
    manager: Manager, ask: Ask, after: bool
) -> None:
    with cut(gate, "tell", after=after):
        ask(manager.claimer(NS))
    nothing_remains(manager, {})


@pytest.mark.parametrize("after", [False, True], ids=["before the inbox", "in the inbox"])
@pytest.mark.parametrize("ask", HELD.values(), ids=HELD)
def test_a_call_cut_short_on_its_way_in_leaves_nobody_waiting(
    manager: Manager, ask: Ask, after: bool
) -> None:
    manager.claimer(NS).claim("db", "another", 3600)
    with cut(gate, "tell", after=after):
        ask(manager.claimer(NS))
    nothing_remains(manager, {"db": "another"})


def test_a_future_whose_deadline_was_not_set_in_time_is_withdrawn(manager: Manager) -> None:
    manager.claimer(NS).claim("db", "another", 3600)
    with cut(manager._crew.door, "keep_deadlines"):
        manager.claimer(NS).claim_future("db", "me", 3600)
    nothing_remains(manager, {"db": "another"})


def test_a_read_cut_short_before_its_thread_has_it_does_not_stay_inside(manager: Manager) -> None:
    with cut(manager._crew.reads, "_get"):
        manager.reader(NS).get("db")
    assert inside(manager) == []


# -- on its way out ----------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_claim_cut_short_while_its_answer_becomes_a_lease_is_given_back(
    manager: Manager, after: bool
) -> None:
    with cut(held, "_lease", after=after):
        manager.claimer(NS).claim("db", "me", 3600)
    nothing_remains(manager, {})


@pytest.mark.parametrize("step", ["_settled", "_withdrawn"])
def test_a_claim_cut_short_while_its_time_runs_out_leaves_the_queue(
    real_manager: Manager, step: str
) -> None:
    claimer = real_manager.claimer(NS)
    claimer.claim("db", "another", 3600)
    with cut(real_manager._crew.door, step):
        claimer.claim("db", "me", 3600, wait=0.05)
    nothing_remains(real_manager, {"db": "another"})


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_pin_cut_short_while_its_answer_is_waited_for_is_taken_away(
    manager: Manager, after: bool
) -> None:
    pinner = manager.pinner(NS)
    with cut(manager._crew.door, "wait", after=after), pinner.pinning("db", "upgrade"):
        pass
    settle(manager)
    assert pinner.pinned() == {}


# -- a hold ------------------------------------------------------------------------------

STEPS = [
    ("enter", False),
    ("enter", True),
    ("keep", False),
    ("keep", True),
    ("entered", False),
    ("entered", True),
    ("leave", False),
    ("leave", True),
    ("_end", False),
    ("_end", True),
    ("_retire", False),
    ("_retire", True),
    ("_releases.release", False),
    ("_releases.release", True),
    ("_releases.send", False),
    ("_releases.send", True),
]


@pytest.mark.parametrize(("step", "after"), STEPS)
def test_a_hold_cut_short_as_it_begins_or_ends_is_released(
    manager: Manager, step: str, after: bool
) -> None:
    with (
        cut(manager._crew.keeping, step, after=after),
        manager.claimer(NS).hold("db", "me", 3600),
    ):
        pass
    nothing_remains(manager, {})


@pytest.mark.parametrize("after", [False, True])
def test_a_hold_whose_keeper_was_not_told_in_time_is_kept_all_the_same(
    manager: Manager, clock: FakeClock, after: bool
) -> None:
    claimer, mailbox = manager.claimer(NS), manager._crew.keeping._mailbox
    with claimer.hold("cache", "me", 30) as held:
        settle(manager)
        until(lambda: not mailbox, "the keeper has read its letters")  # else it need not be told
        with cut(mailbox, "_tell", after=after):
            claimer.hold("db", "me", 30).__enter__()
        clock.advance(300)
        held.check()
