"""A lease that was being kept is lost: on time, once, with the reason, and never renewed back."""

# A hold raises at the end of its block: the whole block is what is under test.
# ruff: noqa: PT012

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from acceptance.conftest import OpenManager
from acceptance.support import NS, settle
from support.faults import PATIENCE, Fault, FaultyStore, Hang, HangAfterCommit, passing, raises
from support.managers import advance_until, managing
from support.story import Story

from lease_actors import (
    ClaimDenied,
    HeldLease,
    Key,
    LeaseLost,
    Manager,
    ManagerConfig,
    MemoryStore,
    Pinner,
    Store,
    SystemClock,
)
from lease_actors.actors.manager import Errands
from lease_actors.capabilities import Claimer
from lease_actors.core.model import LeaseState
from lease_actors.held import Hold
from lease_actors.stores import Batch, Changes
from lease_actors.testing import FakeClock


@pytest.fixture
def story() -> Story:
    return Story()


def hold(claimer: Claimer, story: Story, duration: float = 30, lease: str = "app") -> Hold:
    return claimer.hold(lease, "me", duration, on_lost=story.tell, on_endangered=story.endangered)


def is_lost(held: HeldLease, reason: str) -> None:
    with pytest.raises(LeaseLost) as raised:
        held.check()
    assert held.lost.is_set()
    assert (raised.value.reason, raised.value.key) == (reason, held.key)
    assert held.remaining() == timedelta(0)


# -- revoked ----------------------------------------------------------------------------


def test_a_revocation_by_this_manager_is_known_at_once(manager: Manager, story: Story) -> None:
    with (
        pytest.raises(LeaseLost, match="cannot keep lease 'app' for holder 'me', term 1: it was"),
        hold(manager.claimer(NS), story) as held,
    ):
        manager.revoker(NS).revoke("app", "me")
        assert held.lost.wait(PATIENCE)
        is_lost(held, "revoked")
        assert manager.report()["kept-leases"] == 0
        assert story.of(1) == ["revoked"]
    assert story.told == ["revoked"]


def test_a_revocation_by_another_manager_is_known_with_the_next_renewal(
    open_manager: OpenManager, clock: FakeClock, story: Story
) -> None:
    manager, other = open_manager(), open_manager()
    with pytest.raises(LeaseLost), hold(manager.claimer(NS), story) as held:
        other.revoker(NS).revoke("app", "me")
        other.claimer(NS).claim("app", "you", 300)
        held.check()  # it cannot know yet, and is still within its deadline
        clock.advance(10)
        assert held.lost.wait(PATIENCE)
        is_lost(held, "revoked")
        assert story.of(1) == ["revoked"]
    assert other.reader(NS).leases() == {"app": "you"}


def test_the_next_in_the_queue_is_not_disturbed_by_the_end_of_the_block(
    manager: Manager, story: Story
) -> None:
    claimer = manager.claimer(NS)
    with pytest.raises(LeaseLost), hold(claimer, story):
        future = claimer.claim_future("app", "you", 60)
        settle(manager)
        manager.revoker(NS).revoke("app", "me")
        assert future.get(timeout=PATIENCE).term == 2
    settle(manager)
    assert manager.reader(NS).leases() == {"app": "you"}


# -- expired: an outage -----------------------------------------------------------------


@pytest.fixture
def faulty() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def shaky(faulty: FaultyStore, clock: FakeClock) -> Iterator[Manager]:
    with managing(faulty, clock, attempt_timeout=3600) as manager:
        yield manager


@pytest.mark.parametrize("fault", [passing, "hang", raises(RuntimeError("disk full"))])
@pytest.mark.usefixtures("hanging")
def test_in_an_outage_it_is_endangered_and_then_lost_on_time(
    shaky: Manager, faulty: FaultyStore, clock: FakeClock, story: Story, fault: Any
) -> None:
    with Hang() as hang:
        cause: Fault = hang if fault == "hang" else fault
        with pytest.raises(LeaseLost) as raised, hold(shaky.claimer(NS), story) as held:
            faulty.always(cause)
            clock.advance(19.999999)
            assert story.told == []
            clock.advance(0.000001)
            assert story.of(1) == ["endangered"]
            clock.advance(9.969999)
            held.check()
            assert not held.lost.is_set()
            clock.advance(0.000001)
            assert held.lost.is_set()
            is_lost(held, "expired")
            assert story.of(2) == ["endangered", "expired"]
            clock.advance(3600)
            faulty.always(None)
            hang.release()
            advance_until(clock, lambda: not shaky._crew.keeping._releases)
        assert raised.value.reason == "expired"
        assert story.told == ["endangered", "expired"]


@pytest.mark.usefixtures("hanging")
def test_it_is_lost_on_time_while_the_manager_actor_is_busy(
    manager: Manager, clock: FakeClock, story: Story
) -> None:
    gate = threading.Event()

    class Dawdling(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            gate.wait(PATIENCE)
            return super().__iter__()

    with pytest.raises(LeaseLost), hold(manager.claimer(NS), story) as held:
        manager._crew.manager.tell(Errands(Dawdling()))
        clock.advance(29.97)
        assert held.lost.is_set()
        is_lost(held, "expired")
        assert story.of(2) == ["endangered", "expired"]
        gate.set()


def test_an_outage_that_passes_in_time_is_survived(
    shaky: Manager, faulty: FaultyStore, clock: FakeClock, story: Story
) -> None:
    with hold(shaky.claimer(NS), story) as held:
        for round in (1, 2):
            faulty.always(passing)
            clock.advance(25)
            assert story.of(round) == ["endangered"] * round
            faulty.always(None)
            advance_until(clock, lambda: held.remaining() > timedelta(seconds=25))
        clock.advance(3600)
        held.check()
    assert story.told == ["endangered"] * 2
    assert shaky.reader(NS).leases() == {}


@pytest.mark.usefixtures("hanging")
def test_what_stands_still_when_it_is_lost_is_given_back_as_soon_as_can_be(
    faulty: FaultyStore, shaky: Manager, clock: FakeClock, story: Story
) -> None:
    """The store's own time has moved more slowly, or the commit was made, and nobody heard of it."""
    with Hang() as hang, pytest.raises(LeaseLost), hold(shaky.claimer(NS), story) as held:
        faulty.then(hang)
        clock.advance(29.97)
        is_lost(held, "expired")
        hang.release()  # the renewal is decided now, three hundredths before the expiry
        settle(shaky)
        assert shaky.reader(NS).leases() == {}
        clock.advance(3600)
        assert shaky.reader(NS).leases() == {}
        assert shaky.claimer(NS).claim("app", "you", 60, wait=0).term == 2
    settle(shaky)
    assert shaky.reader(NS).leases() == {"app": "you"}


class RecordingStore(MemoryStore):
    """Keeps every expiry that was written."""

    def __init__(self) -> None:
        super().__init__()
        self.expiries: list[int] = []

    def apply(self, batch: Batch) -> bool:
        def decide(states: Mapping[Key, LeaseState], now: int) -> Changes:
            changes = batch.decide(states, now)
            self.expiries += [s.tenure.expiry for s in changes.states if s.tenure is not None]
            return changes

        return super().apply(replace(batch, decide=decide))


@pytest.mark.usefixtures("hanging")
def test_a_renewal_that_is_still_on_its_way_when_it_is_lost_is_not_made(
    clock: FakeClock, story: Story
) -> None:
    store = RecordingStore()
    faulty = FaultyStore(store)
    with (
        managing(faulty, clock, attempt_timeout=3600) as manager,
        Hang() as hang,
        pytest.raises(LeaseLost),
        hold(manager.claimer(NS), story) as held,
    ):
        faulty.then(hang)
        clock.advance(29.97)
        is_lost(held, "expired")
        hang.release()
        settle(manager)
        assert len(store.expiries) == 1  # that of the claim


@pytest.mark.usefixtures("hanging")
def test_a_renewal_whose_answer_comes_too_late_changes_nothing(
    clock: FakeClock, faulty: FaultyStore, shaky: Manager, story: Story
) -> None:
    with (
        HangAfterCommit() as hang,
        pytest.raises(LeaseLost),
        hold(shaky.claimer(NS), story) as held,
    ):
        faulty.then(hang)
        clock.advance(29.97)  # it was renewed at 10, but nobody knows
        is_lost(held, "expired")
        assert shaky.reader(NS).leases() == {"app": "me"}
        hang.release()
        settle(shaky)
        is_lost(held, "expired")
        assert shaky.reader(NS).leases() == {}
    assert story.of(2) == ["endangered", "expired"]


def test_of_a_tenure_that_is_lost_a_new_hold_knows_nothing(
    shaky: Manager, faulty: FaultyStore, clock: FakeClock, story: Story
) -> None:
    claimer = shaky.claimer(NS)
    with pytest.raises(LeaseLost), hold(claimer, story) as held:
        faulty.always(passing)
        clock.advance(40)
        is_lost(held, "expired")
        faulty.always(None)
        advance_until(clock, lambda: not shaky._crew.keeping._releases)
        with claimer.hold("app", "me", 30) as again:
            assert again.term == 2
            clock.advance(300)
            again.check()
            is_lost(held, "expired")
        assert shaky.reader(NS).leases() == {}


# -- taken: time has passed here more slowly than in the store ---------------------------


def test_a_lease_that_another_has_by_now_was_taken(clock: FakeClock, story: Story) -> None:
    store, slow = MemoryStore(), FakeClock()
    store.open(clock)
    with (
        Manager(ManagerConfig(store, clock=clock)) as other,
        Manager(ManagerConfig(store, clock=slow)) as manager,
        pytest.raises(LeaseLost) as raised,
        hold(manager.claimer(NS), story) as held,
    ):
        clock.advance(30)
        assert other.claimer(NS).claim("app", "you", 3600).term == 2
        slow.advance(10)
        assert held.lost.wait(PATIENCE)
        is_lost(held, "taken")
        assert story.of(1) == ["taken"]
    assert raised.value.reason == "taken"


def test_a_lease_whose_expiry_has_come_in_the_store_is_not_revived(
    clock: FakeClock, story: Story
) -> None:
    store, slow = MemoryStore(), FakeClock()
    store.open(clock)
    with (
        Manager(ManagerConfig(store, clock=slow)) as manager,
        pytest.raises(LeaseLost),
        hold(manager.claimer(NS), story) as held,
    ):
        clock.advance(30)  # nobody has taken it
        slow.advance(10)
        assert held.lost.wait(PATIENCE)
        is_lost(held, "expired")


# -- the process was suspended ----------------------------------------------------------


class LeapingClock(FakeClock):
    """Its time can leap, as it does for a process that was suspended."""

    def leap(self, seconds: float) -> None:
        self.advance(0)  # whoever is on the way falls asleep first
        with self._changed:
            self._wall += round(seconds * 1e6)
            self._steady += round(seconds * 1e6)


@pytest.mark.usefixtures("hanging")
def test_an_answer_that_comes_after_the_deadline_saves_nothing_even_before_the_alarm(
    story: Story,
) -> None:
    clock, faulty = LeapingClock(), FaultyStore()
    with (
        managing(faulty, clock, attempt_timeout=3600) as manager,
        HangAfterCommit() as hang,
        pytest.raises(LeaseLost),
        hold(manager.claimer(NS), story) as held,
    ):
        faulty.then(hang)
        clock.advance(10)  # it is renewed, but nobody knows
        clock.leap(25)
        hang.release()
        assert held.lost.wait(PATIENCE)
        is_lost(held, "expired")
        settle(manager)
        assert manager.reader(NS).leases() == {}


@pytest.mark.parametrize("by", ["check", "the alarm"])
@pytest.mark.parametrize(
    ("meanwhile", "reason"), [("nothing", "expired"), ("revoked", "revoked"), ("taken", "taken")]
)
def test_after_a_suspension_the_store_is_asked_what_has_become_of_it(
    story: Story, meanwhile: str, reason: str, by: str
) -> None:
    clock = LeapingClock()
    store = MemoryStore()
    with (
        Manager(ManagerConfig(store, clock=clock)) as manager,
        Manager(ManagerConfig(store, clock=clock)) as other,
        pytest.raises(LeaseLost) as raised,
        hold(manager.claimer(NS), story) as held,
    ):
        if meanwhile == "revoked":
            other.revoker(NS).revoke("app", "me")
        clock.leap(40)
        if meanwhile == "taken":
            other.claimer(NS).claim("app", "you", 3600)
        if by == "the alarm":
            clock.advance(0)
            assert held.lost.wait(PATIENCE)
        is_lost(held, reason)
        assert story.of(1) == [reason]
    assert raised.value.reason == reason
    assert story.told == [reason]


def test_after_a_suspension_a_store_that_is_silent_is_not_waited_for(story: Story) -> None:
    clock, faulty = LeapingClock(), FaultyStore()
    with Hang() as hang, managing(faulty, clock) as manager:
        with pytest.raises(LeaseLost), hold(manager.claimer(NS), story) as held:
            faulty.always(hang)
            clock.leap(40)
            is_lost(held, "expired")
            clock.advance(1)
            assert story.of(1) == ["expired"]
        faulty.always(None)
        hang.release()
        settle(manager)


class DrowsyClock(SystemClock):
    """The clock of a machine that can be put to sleep: time passes, and nobody is woken."""

    slept = 0

    def steady(self) -> int:
        return super().steady() + self.slept


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock counts sleep here")
def test_after_the_machine_has_slept_the_alarm_rings_soon(story: Story) -> None:
    clock = DrowsyClock()
    with (
        Manager(ManagerConfig(MemoryStore(), clock=clock, attempt_timeout=300)) as manager,
        pytest.raises(LeaseLost),
        hold(manager.claimer(NS), story, 3600) as held,
    ):
        threading.Event().wait(0.05)  # for the alarm to fall asleep; if it has not, no harm
        clock.slept = 4000 * 10**6
        assert held.lost.wait(PATIENCE)
        is_lost(held, "expired")


def test_after_the_machine_has_slept_a_check_knows_at_once(story: Story) -> None:
    clock = DrowsyClock()
    with (
        Manager(ManagerConfig(MemoryStore(), clock=clock)) as manager,
        pytest.raises(LeaseLost),
        hold(manager.claimer(NS), story, 3600) as held,
    ):
        clock.slept = 4000 * 10**6
        is_lost(held, "expired")


# -- and otherwise ----------------------------------------------------------------------


def test_a_block_that_raises_something_itself_is_not_overruled(
    manager: Manager, story: Story
) -> None:
    with (
        pytest.raises(ZeroDivisionError) as raised,
        hold(manager.claimer(NS), story) as held,
    ):
        manager.revoker(NS).revoke("app", "me")
        assert held.lost.wait(PATIENCE)
        raise ZeroDivisionError
    assert raised.value.__context__ is None


def test_after_release_a_loss_raises_nothing(manager: Manager, story: Story) -> None:
    with hold(manager.claimer(NS), story) as held:
        manager.revoker(NS).revoke("app", "me")
        assert held.lost.wait(PATIENCE)
        held.release()


def test_what_is_released_is_not_lost_any_more(manager: Manager, story: Story) -> None:
    claimer = manager.claimer(NS)
    with hold(claimer, story) as held:
        held.release()
        claimer.claim("app", "me", 30)
        manager.revoker(NS).revoke("app", "me")
        settle(manager)
    assert not held.lost.is_set()
    assert story.told == []


def test_a_pinned_lease_is_lost_to_its_holder_in_an_outage_but_given_to_nobody(
    shaky: Manager, faulty: FaultyStore, clock: FakeClock, story: Story
) -> None:
    pinner: Pinner = shaky.pinner(NS)
    with pytest.raises(LeaseLost), hold(shaky.claimer(NS), story) as held:
        pinner.pin("app", "unit")
        faulty.always(passing)
        clock.advance(60)
        is_lost(held, "expired")
        faulty.always(None)
        advance_until(clock, lambda: not shaky._crew.keeping._releases)
        assert shaky.reader(NS).leases() == {"app": "me"}
        with pytest.raises(ClaimDenied):
            shaky.claimer(NS).claim("app", "you", 30)


def test_another_kept_lease_is_not_lost_with_it(
    manager: Manager, clock: FakeClock, story: Story, store: Store
) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("other", "me", 30) as other:
        with pytest.raises(LeaseLost), hold(claimer, story) as held:
            manager.revoker(NS).revoke("app", "me")
            assert held.lost.wait(PATIENCE)
        clock.advance(3600)
        other.check()
