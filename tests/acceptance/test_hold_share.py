"""Two holds of one lease by one holder in one manager share the tenure."""

# ruff: noqa: PT012  (a hold raises at the end of its block)

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import (
    NS,
    PATIENCE,
    WatchedStore,
    pass_secretary,
    settle,
    wait_for_queue,
)
from support.faults import FaultyStore, passing, raises
from support.managers import Calling, advance_until, managing
from support.story import Story

from lease_actors import LeaseLost, Manager, StoreError
from lease_actors.testing import FakeClock


def test_it_is_released_when_the_last_of_them_ends(manager: Manager, clock: FakeClock) -> None:
    claimer, reader = manager.claimer(NS), manager.reader(NS)
    first, second = claimer.hold("app", "me", 30), claimer.hold("app", "me", 30)
    one, two = first.__enter__(), second.__enter__()
    assert one.term == two.term
    assert manager.report()["kept-leases"] == 1
    first.__exit__(None, None, None)
    with pytest.raises(LeaseLost):
        one.check()
    clock.advance(300)
    two.check()
    assert reader.leases() == {"app": "me"}
    second.__exit__(None, None, None)
    assert reader.leases() == {}


def test_both_learn_of_a_loss_each_by_its_own_event_and_callback(manager: Manager) -> None:
    claimer, stories = manager.claimer(NS), (Story(), Story())
    with pytest.raises(LeaseLost), claimer.hold("app", "me", 30, on_lost=stories[0].tell) as one:
        with pytest.raises(LeaseLost):  # noqa: SIM117
            with claimer.hold("app", "me", 30, on_lost=stories[1].tell) as two:
                assert one.lost is not two.lost
                manager.revoker(NS).revoke("app", "me")
                assert one.lost.wait(PATIENCE)
                assert two.lost.wait(PATIENCE)
        assert [story.of(1) for story in stories] == [["revoked"], ["revoked"]]


def test_one_that_is_released_early_leaves_the_other_its_lease(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30) as one, claimer.hold("app", "me", 30) as two:
        one.release()
        clock.advance(300)
        two.check()
        assert manager.reader(NS).leases() == {"app": "me"}
    assert manager.reader(NS).leases() == {}


def test_an_instant_that_one_has_named_is_kept_to_when_the_last_ends(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30) as one, claimer.hold("app", "me", 30):
        now = datetime.fromtimestamp(clock.wall() / 1e6, timezone.utc)
        one.release(at=now + timedelta(seconds=20))
        clock.advance(5)
    clock.advance(14)
    assert manager.reader(NS).leases() == {"app": "me"}
    clock.advance(1)
    assert manager.reader(NS).leases() == {}


@pytest.mark.parametrize("seconds", [(20, 10), (10, 20)])
def test_of_two_instants_the_later_counts(
    manager: Manager, clock: FakeClock, seconds: tuple[int, int]
) -> None:
    claimer = manager.claimer(NS)
    now = datetime.fromtimestamp(clock.wall() / 1e6, timezone.utc)
    with claimer.hold("app", "me", 30) as one, claimer.hold("app", "me", 30) as two:
        for held, later in zip((one, two), seconds, strict=True):
            held.release(at=now + timedelta(seconds=later))
    clock.advance(19)
    assert manager.reader(NS).leases() == {"app": "me"}
    clock.advance(1)
    assert manager.reader(NS).leases() == {}


def test_each_is_told_that_the_tenure_is_endangered(clock: FakeClock) -> None:
    store, stories = FaultyStore(), (Story(), Story())
    with managing(store, clock) as manager:
        claimer = manager.claimer(NS)
        one, two = (claimer.hold("app", "me", 30, on_endangered=s.endangered) for s in stories)
        with one, two as held:
            store.always(raises(StoreError("disk full")))
            clock.advance(20)
            assert [story.of(1) for story in stories] == [["endangered"]] * 2
            store.always(None)
            advance_until(clock, lambda: held.remaining() > timedelta(seconds=20))
        assert [story.told for story in stories] == [["endangered"]] * 2


def test_the_longest_of_them_counts(manager: Manager, clock: FakeClock) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30) as one, claimer.hold("app", "me", 300) as two:
        assert one.remaining() == two.remaining() == timedelta(seconds=299.7)
        clock.advance(10)  # the renewal that was due is for the longer duration already
        assert one.remaining() == timedelta(seconds=299.7)
        clock.advance(99)
        assert two.remaining() == timedelta(seconds=200.7)
        clock.advance(1)
        with claimer.hold("app", "me", 10) as three:
            assert three.remaining() == timedelta(seconds=299.7)
        clock.advance(3600)
        one.check()
        two.check()


def test_the_claim_of_the_second_counts_for_both_though_it_is_no_longer(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    with claimer.hold("app", "me", 30) as one:
        clock.advance(9)
        with claimer.hold("app", "me", 30) as two:
            assert one.remaining() == two.remaining() == timedelta(seconds=29.97)
            with claimer.hold("app", "me", 10) as three:
                assert three.remaining() == timedelta(seconds=29.97)


@pytest.mark.parametrize("duration", [30, 10])
def test_one_that_comes_late_has_what_it_claimed(duration: int) -> None:
    store, clock, story = FaultyStore(), FakeClock(), Story()
    with managing(store, clock) as manager, manager.claimer(NS).hold("app", "me", 30):
        store.always(raises(StoreError("disk full")))
        clock.advance(28)  # two are left, and the keeper's next attempt is in one
        store.always(None)
        warned = story.endangered
        with manager.claimer(NS).hold("app", "me", duration, on_endangered=warned) as late:
            store.always(raises(StoreError("disk full")))
            assert late.remaining() == timedelta(seconds=duration) * 0.999
            clock.advance(duration - 1)
            late.check()
            assert story.of(1) == ["endangered"]
            store.always(None)
            advance_until(clock, lambda: late.remaining() > timedelta(seconds=20))


def test_holders_of_other_names_share_nothing(manager: Manager, run: Run) -> None:
    claimer = manager.claimer(NS)
    hold = claimer.hold("app", "you", 30)
    with claimer.hold("app", "me", 30):
        call = run(hold.__enter__)
        wait_for_queue(manager, 1)
    assert call.outcome().term == 2
    hold.__exit__(None, None, None)


def test_other_leases_of_the_same_name_share_nothing(manager: Manager) -> None:
    one = manager.claimer(NS, "one").hold("app", "me", 30)
    two = manager.claimer(NS, "two").hold("app", "me", 30)
    with one:
        with two:
            pass
        assert manager.reader(NS, "one").leases() == {"app": "me"}
        assert manager.reader(NS, "two").leases() == {}


def test_one_that_is_about_to_share_it_keeps_it_from_being_released(
    watched: WatchedStore, open_manager: OpenManager, run: Run, clock: FakeClock
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    second = claimer.hold("app", "me", 30)
    with claimer.hold("app", "me", 30):
        watched.way_out.close()
        call = run(second.__enter__)
        watched.way_out.await_one()  # the claim has extended the tenure, but nobody knows
    watched.way_out.open()
    held = call.outcome()
    assert held.term == 1
    clock.advance(300)
    held.check()
    assert manager.reader(NS).leases() == {"app": "me"}
    second.__exit__(None, None, None)
    assert manager.reader(NS).leases() == {}


def test_one_that_is_refused_does_not_keep_it_from_being_released(
    watched: WatchedStore, open_manager: OpenManager, run: Run
) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    second = claimer.hold("app", "me", 0.5 * 10**9)  # too long a duration: refused
    watched_hold = claimer.hold("app", "me", 30)
    with watched_hold:
        call = run(second.__enter__)
        with pytest.raises(ValueError, match="366 days"):
            call.outcome()
    assert manager.reader(NS).leases() == {}


@pytest.mark.usefixtures("hanging")
def test_a_tenure_that_is_being_released_is_not_shared_but_claimed_anew(
    watched: WatchedStore, open_manager: OpenManager, run: Run, clock: FakeClock
) -> None:
    """The claim extends the tenure just before the release of what was lost ends it."""
    manager = open_manager(store=watched, attempt_timeout=3600)
    claimer = manager.claimer(NS)
    first, second = claimer.hold("app", "me", 30), claimer.hold("app", "me", 30)
    lost = first.__enter__()
    watched.way_in.close()
    call = run(second.__enter__)
    watched.way_in.await_one()
    pass_secretary(manager)
    clock.advance(29.97)
    assert lost.lost.is_set()
    watched.way_in.open()
    held = call.outcome()
    assert held.term == 2
    clock.advance(300)
    held.check()
    with pytest.raises(LeaseLost):
        first.__exit__(None, None, None)
    held.check()
    second.__exit__(None, None, None)
    settle(manager)
    assert manager.reader(NS).leases() == {}


def test_after_the_tenure_has_ended_elsewhere_the_next_hold_has_one_of_its_own(
    open_manager: OpenManager, clock: FakeClock
) -> None:
    manager, other = open_manager(), open_manager()
    claimer, story = manager.claimer(NS), Story()
    first = claimer.hold("app", "me", 30, on_lost=story.tell)
    held = first.__enter__()
    other.revoker(NS).revoke("app", "me")
    with claimer.hold("app", "me", 30) as again:
        assert again.term == 2
        assert held.lost.wait(PATIENCE)  # it was looked after at once
        assert story.of(1) == ["revoked"]
        with pytest.raises(LeaseLost):
            first.__exit__(None, None, None)
        clock.advance(300)
        again.check()


def test_many_threads_that_hold_and_leave_never_lose_it(manager: Manager) -> None:
    claimer, lost, terms = manager.claimer(NS), [], set()

    def work() -> None:
        for _ in range(25):
            with claimer.hold("app", "me", 3600, on_lost=lost.append) as held:
                manager.checker(NS).token("app", "me").check()
                terms.add(held.term)
                held.check()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert lost == []
    settle(manager)
    assert manager.reader(NS).leases() == {}
    assert manager.report()["kept-leases"] == 0
    assert manager._crew.keeping._slots == {}


def test_a_release_that_is_tried_for_long_ends_no_later_claim_of_that_holder(
    clock: FakeClock,
) -> None:
    faulty = FaultyStore()
    with managing(faulty, clock, call_timeout=3600) as manager:
        claimer = manager.claimer(NS)
        with claimer.hold("app", "me", 3600):
            faulty.then(*[passing] * 11)  # then it is given up, and taken into the line again
            before = faulty.attempts
        call = Calling(claimer.claim, "app", "me", 3600)
        pass_secretary(manager)
        advance_until(clock, lambda: faulty.attempts > before + 11)
        assert call.outcome().term == 2
        settle(manager)
        manager.checker(NS).token("app", "me").check()


def test_a_longer_hold_whose_claim_took_long_is_lost_at_its_deadline(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty, story = FaultyStore(), Story()
    with managing(faulty, clock, attempt_timeout=3600) as manager:
        claimer, keeping = manager.claimer(NS), manager._crew.keeping
        keep = keeping.keep

        def late(*args: Any) -> Any:
            for _ in range(12):  # the first is renewed meanwhile
                clock.advance(1)
            return keep(*args)

        with pytest.raises(LeaseLost), claimer.hold("app", "me", 3):
            monkeypatch.setattr(keeping, "keep", late)
            with claimer.hold("app", "me", 30, on_lost=story.tell) as held:
                faulty.always(passing)
                clock.advance(held.remaining().total_seconds() - 0.000001)
                held.check()
                clock.advance(0.000001)
                assert held.lost.wait(PATIENCE)
                with pytest.raises(LeaseLost) as raised:
                    held.check()
                assert raised.value.reason == "expired"
                assert story.of(1) == ["expired"]
                faulty.always(None)
                advance_until(clock, lambda: not keeping._releases)
