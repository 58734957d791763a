"""Two managers share a store: one queue, and whoever waits in either learns of what the other did.

In one process here, mostly on the machine's own clock; between processes in ``tests/processes``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, PATIENCE, key, settle
from support.faults import FaultyStore
from support.managers import until

from lease_actors import (
    ClaimDenied,
    Manager,
    ManagerConfig,
    MemoryStore,
    NotHeld,
    Store,
    WaitCancelled,
)
from lease_actors.actors.manager import Crash
from lease_actors.core.model import Key, Need, Notice
from lease_actors.stores.base import Heard, Listener, Peek
from lease_actors.testing.cases.starts import Start
from lease_actors.testing.clock import FakeClock

LONG = 3600


@pytest.fixture
def one(store: Store) -> Iterator[Manager]:
    with Manager(ManagerConfig(store)) as manager:
        yield manager


@pytest.fixture
def other(store: Store) -> Iterator[Manager]:
    with Manager(ManagerConfig(store)) as manager:
        yield manager


def test_a_revocation_hands_the_lease_to_the_other_managers_claim(
    one: Manager, other: Manager
) -> None:
    one.claimer(NS).claim("db", "app-1", LONG)
    future = other.claimer(NS).claim_future("db", "app-2", LONG)
    settle(other)
    one.revoker(NS).revoke("db", "app-1")
    lease = future.get(timeout=PATIENCE)
    assert (lease.holder, lease.term) == ("app-2", 2)
    other.checker(NS).token("db", "app-2").check()
    with pytest.raises(NotHeld):
        one.checker(NS).token("db", "app-1").check()


def test_a_step_of_the_wall_clock_moves_no_lease_though_managers_come_and_go(
    open_manager: OpenManager, clock: FakeClock
) -> None:
    first, second = open_manager(), open_manager()
    lease = second.claimer(NS).claim("db", "app-1", LONG)
    clock.step_wall(2 * LONG)
    first.kill()
    first.wait(PATIENCE)
    third = open_manager()
    assert third.reader(NS).get("db") == lease
    with pytest.raises(ClaimDenied):
        third.claimer(NS).claim("db", "app-2", LONG)


def test_first_in_first_out_whichever_manager_they_ask(one: Manager, other: Manager) -> None:
    one.claimer(NS).claim("db", "app-0", LONG)
    managers = [(one, other)[n % 2] for n in range(1, 9)]
    futures = []
    for number, manager in enumerate(managers, 1):
        futures.append(manager.claimer(NS).claim_future("db", f"app-{number}", LONG))
        settle(manager)
    for number, (manager, future) in enumerate(zip(managers, futures, strict=True), 1):
        assert not any(f.is_settled for f in futures[number - 1 :])
        manager.revoker(NS).revoke("db", f"app-{number - 1}")
        assert future.get(timeout=PATIENCE).term == number + 1


def test_an_expiry_is_served_whichever_manager_granted(one: Manager, other: Manager) -> None:
    one.claimer(NS).claim("db", "app-1", 0.2)
    lease = other.claimer(NS).claim("db", "app-2", LONG, wait=PATIENCE)
    assert lease.term == 2


def test_a_wait_ends_with_the_tenure_that_the_other_manager_ended(
    one: Manager, other: Manager, run: Run
) -> None:
    one.claimer(NS).claim("db", "app-1", LONG)
    started = threading.Event()
    wait = run(lambda: other.claimer(NS).wait_until_expired("db", started=started))
    assert started.wait(PATIENCE)
    one.revoker(NS).revoke("db", "app-1")
    one.claimer(NS).claim("db", "app-3", LONG)  # though the next one has it already
    wait.outcome()


def test_a_wait_goes_on_while_the_other_manager_extends(
    open_manager: OpenManager, clock: FakeClock, run: Run
) -> None:
    one, other = open_manager(), open_manager()
    one.claimer(NS).claim("db", "app-1", 30)
    other.claimer(NS).claim("beside", "app-9", 31)
    cancel, claimer = threading.Event(), other.claimer(NS)
    started = [threading.Event(), threading.Event()]
    wait = run(lambda: claimer.wait_until_expired("db", started=started[0], cancel=cancel))
    beside = run(lambda: claimer.wait_until_expired("beside", started=started[1]))
    assert all(event.wait(PATIENCE) for event in started)
    one.claimer(NS).claim("db", "app-1", LONG)
    clock.advance(31)
    beside.outcome()  # so the time when the other was to end has been looked at, too
    assert not wait.is_over
    cancel.set()
    with pytest.raises(WaitCancelled):
        wait.outcome()


def test_the_other_manager_learns_when_the_last_pin_has_gone(one: Manager, other: Manager) -> None:
    one.claimer(NS).claim("db", "app-1", 0.2)
    one.pinner(NS).pin("db", "unit")
    future = other.claimer(NS).claim_future("db", "app-2", LONG)
    settle(other)
    one.pinner(NS).unpin("db", "unit")
    assert future.get(timeout=PATIENCE).term == 2


def test_a_shorter_tenure_in_front_is_noticed_in_the_other_manager(
    one: Manager, other: Manager
) -> None:
    one.claimer(NS).claim("db", "app-1", LONG)
    short = one.claimer(NS).claim_future("db", "app-2", 0.2)
    settle(one)
    behind = other.claimer(NS).claim_future("db", "app-3", LONG)
    settle(other)
    one.revoker(NS).revoke("db", "app-1")
    assert short.get(timeout=PATIENCE).term == 2
    assert behind.get(timeout=PATIENCE).term == 3


def test_two_claims_of_one_holder_in_two_managers_both_succeed(
    one: Manager, other: Manager
) -> None:
    one.claimer(NS).claim("db", "app-1", LONG)
    futures = [m.claimer(NS).claim_future("db", "app-2", LONG) for m in (one, other)]
    settle(one)
    settle(other)
    one.revoker(NS).revoke("db", "app-1")
    assert {f.get(timeout=PATIENCE).term for f in futures} == {2}


def test_a_claim_cancelled_as_its_turn_comes_passes_the_lease_on(
    one: Manager, other: Manager
) -> None:
    """Either the canceller's claim was first, or the lease goes on to the next; nothing hangs."""
    one.claimer(NS).claim("db", "holder-0", LONG)
    for turn in range(20):
        leaving = other.claimer(NS).claim_future("db", f"leaving-{turn}", LONG)
        settle(other)
        staying = one.claimer(NS).claim_future("db", f"holder-{turn + 1}", LONG)
        settle(one)
        one.revoker(NS).revoke("db", f"holder-{turn}")
        if not leaving.cancel():
            leaving.get(timeout=PATIENCE)
            other.revoker(NS).revoke("db", f"leaving-{turn}")
        assert staying.get(timeout=PATIENCE).holder == f"holder-{turn + 1}"


def test_a_manager_that_stops_leaves_the_queue_to_the_other(one: Manager, store: Store) -> None:
    one.claimer(NS).claim("db", "app-1", LONG)
    with Manager(ManagerConfig(store)) as leaver:
        gone = leaver.claimer(NS).claim_future("db", "gone", LONG)
        settle(leaver)
        behind = one.claimer(NS).claim_future("db", "app-2", LONG)
        settle(one)
        assert not gone.is_settled
    assert [w.holder for w in one.reader(NS).waiting("db")] == ["app-2"]
    one.revoker(NS).revoke("db", "app-1")
    assert behind.get(timeout=PATIENCE).term == 2


def test_a_manager_that_crashed_costs_those_behind_it_one_offer_window(
    one: Manager, store: Store
) -> None:
    fields = {"offer_window": 0.5}
    crashed = Manager(ManagerConfig(store, **fields))
    with Manager(ManagerConfig(store, **fields)) as other:
        one.claimer(NS).claim("db", "app-1", LONG)
        gone = [crashed.claimer(NS).claim_future("db", f"gone-{n}", LONG) for n in range(3)]
        settle(crashed)
        behind = other.claimer(NS).claim_future("db", "app-2", LONG)
        settle(other)
        crashed._crew.manager.tell(Crash(RuntimeError("a fault of its own")))
        with pytest.raises(RuntimeError, match="a fault of its own"):
            crashed.wait(PATIENCE)
        assert all(future.is_settled for future in gone)
        other.revoker(NS).revoke("db", "app-1")
        assert behind.get(timeout=PATIENCE).term == 3


def test_a_claim_that_its_database_has_lost_queues_once_more(
    one: Manager, other: Manager, store: Store
) -> None:
    """As a server that fails over to a standby, or does not sync, may do."""
    one.claimer(NS).claim("db", "app-1", LONG)
    future = other.claimer(NS).claim_future("db", "app-2", LONG)
    settle(other)
    start = Start(store)
    start.edit(key("db"), lambda s: s._replace(queue=(), queued=0), Need(heads=9))
    until(lambda: len(one.reader(NS).waiting("db")) == 1, "its return to the queue")
    one.revoker(NS).revoke("db", "app-1")
    assert future.get(timeout=PATIENCE).term == 2


class SlowLook(FaultyStore):
    """Looks take as long as the script says."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.events: list[str] = []
        self.looking, self.go_on = threading.Event(), threading.Event()
        self.on_close = lambda: self.events.append("closed")

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        self.looking.set()
        assert self.go_on.wait(PATIENCE)
        self.events.append("looked")
        peek: Peek = self.inner.peek(start, keys)
        return peek


def test_the_store_is_closed_behind_the_last_look(one: Manager, store: Store) -> None:
    """A look that comes later would open connections that nobody closes."""
    slow = SlowLook(store)
    one.claimer(NS).claim("db", "app-1", LONG)
    with Manager(ManagerConfig(slow)) as leaver:
        leaver.claimer(NS).claim_future("db", "app-2", LONG)
        assert slow.looking.wait(PATIENCE)
        leaver.kill()
        assert leaver._crew._stopped.wait(PATIENCE)
        slow.go_on.set()
    assert slow.events[-1] == "closed"


# -- notices that are lost, late, or doubled ---------------------------------------------


class _Deaf:
    """A listener that the script says what it hears."""

    working = True

    def __init__(self, inner: Listener | None) -> None:
        self._inner = inner

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class MeddlingStore(FaultyStore):
    """What is heard passes through ``meddle``."""

    def __init__(self, inner: Any, meddle: Callable[[Sequence[Notice]], list[Notice]]) -> None:
        super().__init__(inner)
        self._meddle = meddle
        self.heard: list[Notice] = []

    def listen(self, start: str, heard: Heard) -> Listener:
        def meddled(notices: Sequence[Notice]) -> None:
            self.heard += notices
            for notice in self._meddle(notices):
                heard([notice])

        return _Deaf(self.inner.listen(start, meddled))


MEDDLERS: dict[str, Callable[[Sequence[Notice]], list[Notice]]] = {
    "lost": lambda notices: [],
    "doubled": lambda notices: [*notices, *notices],
    "stale": lambda notices: [
        *notices,
        *(n._replace(claim=n.claim._replace(number=7_000)) for n in notices if n.claim),
        *(n._replace(claim=None) for n in notices),
    ],
}


@pytest.mark.parametrize("meddle", MEDDLERS.values(), ids=MEDDLERS)
def test_notices_that_are_lost_doubled_or_wrong_do_no_harm(
    meddle: Callable[[Sequence[Notice]], list[Notice]],
) -> None:
    inner = MemoryStore()
    store = MeddlingStore(inner, meddle)
    with Manager(ManagerConfig(inner)) as one, Manager(ManagerConfig(store)) as other:
        claimers = [one.claimer(NS), other.claimer(NS)]
        claimers[0].claim("db", "app-0", LONG)
        futures = []
        for number in range(1, 5):
            futures.append(claimers[number % 2].claim_future("db", f"app-{number}", LONG))
            settle((one, other)[number % 2])
        terms = []
        for number, future in enumerate(futures):
            one.revoker(NS).revoke("db", f"app-{number}")
            terms.append(future.get(timeout=PATIENCE).term)
        assert terms == [2, 3, 4, 5]
        assert store.heard
        assert other.report()["blocked-claims"] == 0
