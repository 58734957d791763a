"""The callbacks of holds: one at a time for each, and in nobody else's way."""

# ruff: noqa: PT012  (a hold raises at the end of its block)

from __future__ import annotations

import contextlib
import doctest
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from acceptance.support import NS, settle
from support.faults import PATIENCE, FaultyStore, passing
from support.managers import Log, advance_until, managing, until
from support.pages import blocks
from support.story import Story

from lease_actors import LeaseLost, Manager
from lease_actors.testing import FakeClock


def test_the_callbacks_of_one_hold_run_one_at_a_time_in_order(clock: FakeClock) -> None:
    faulty, story, gate = FaultyStore(), Story(), threading.Event()

    def endangered() -> None:
        story.tell("endangered")
        assert gate.wait(PATIENCE)
        story.tell("no longer busy")

    with managing(faulty, clock) as manager:
        hold = manager.claimer(NS).hold(
            "app", "me", 30, on_lost=story.tell, on_endangered=endangered
        )
        with pytest.raises(LeaseLost), hold as held:
            faulty.always(passing)
            clock.advance(29.97)
            assert held.lost.is_set()  # which waits for no callback
            assert story.of(1) == ["endangered"]
            gate.set()
            assert story.of(3) == ["endangered", "no longer busy", "expired"]
            faulty.always(None)
            advance_until(clock, lambda: not manager._crew.keeping._releases)


def test_a_callback_that_does_not_return_delays_no_other_lease(
    manager: Manager, clock: FakeClock
) -> None:
    claimer, story, gate = manager.claimer(NS), Story(), threading.Event()
    busy = threading.Event()

    def hangs(reason: str) -> None:
        busy.set()
        gate.wait(PATIENCE)

    with claimer.hold("well", "me", 30) as well:
        with pytest.raises(LeaseLost), claimer.hold("hangs", "me", 30, on_lost=hangs):
            manager.revoker(NS).revoke("hangs", "me")
            assert busy.wait(PATIENCE)
            with pytest.raises(LeaseLost):  # noqa: SIM117
                with claimer.hold("app", "me", 30, on_lost=story.tell):
                    manager.revoker(NS).revoke("app", "me")
                    assert story.of(1) == ["revoked"]
        clock.advance(3600)
        well.check()
        gate.set()


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_what_a_callback_raises_is_logged_and_harms_nobody(
    clock: FakeClock, error: BaseException
) -> None:
    log, faulty, story = Log(), FaultyStore(), Story()

    def broken() -> None:
        raise error

    with managing(faulty, clock, logger=log.logger) as manager:
        hold = manager.claimer(NS).hold("app", "me", 30, on_lost=story.tell, on_endangered=broken)
        with pytest.raises(LeaseLost), hold:
            faulty.always(passing)
            clock.advance(29.97)
            assert story.of(1) == ["expired"]
            faulty.always(None)
            advance_until(clock, lambda: not manager._crew.keeping._releases)
        [record] = log.wait_for("callback_failed")
        assert record.exc_info is not None
        assert record.exc_info[1] is error


def test_a_callback_may_use_the_manager(manager: Manager) -> None:
    claimer, story = manager.claimer(NS), Story()

    def again(reason: str) -> None:
        with claimer.hold("app", "me", 30) as held:
            story.tell(f"{reason}, held again under term {held.term}")

    with pytest.raises(LeaseLost), claimer.hold("app", "me", 30, on_lost=again):
        manager.revoker(NS).revoke("app", "me")
        assert story.of(1) == ["revoked, held again under term 2"]


def test_holds_need_no_threads_of_their_own(manager: Manager, clock: FakeClock) -> None:
    claimer, reasons = manager.claimer(NS), Story()
    claimer.claim("first", "me", 30)
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for n in range(300):
            hold = claimer.hold(f"app-{n}", "me", 30, on_lost=reasons.tell)
            stack.enter_context(hold)
        clock.advance(300)
        assert manager.report()["kept-leases"] == 300
        assert threading.active_count() == before
    assert manager.report()["kept-leases"] == 0
    assert reasons.told == []


def test_the_thread_of_a_callback_ends_with_it(manager: Manager) -> None:
    claimer, story = manager.claimer(NS), Story()
    before = threading.active_count()
    with pytest.raises(LeaseLost), claimer.hold("app", "me", 30, on_lost=story.tell):
        manager.revoker(NS).revoke("app", "me")
        story.of(1)
    until(lambda: threading.active_count() == before, "the end of the callback's thread")


def test_a_callback_for_which_there_is_no_thread_is_called_when_there_is_one(
    manager: Manager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, start = Story(), threading.Thread.start
    refused = threading.Event()

    def none_left(thread: Any) -> None:
        if not thread.name.startswith("lease callback") or refused.is_set():
            start(thread)
            return
        refused.set()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    hold = manager.claimer(NS).hold("app", "me", 30, on_lost=story.tell)
    with pytest.raises(LeaseLost), hold:
        manager.revoker(NS).revoke("app", "me")
        assert refused.wait(PATIENCE)
        settle(manager)
        advance_until(clock, lambda: bool(story.told))
    assert story.told == ["revoked"]


def test_the_child_of_the_documentations_example_ends_if_the_lease_is_lost_before_it_is_there(
    manager: Manager,
) -> None:
    told, ended = threading.Event(), threading.Event()
    claimer = manager.claimer(NS)

    def hold(*about: Any, on_lost: Any, **more: Any) -> Any:
        def tell(reason: str) -> None:
            try:
                on_lost(reason)
            finally:
                told.set()

        return claimer.hold(*about, on_lost=tell, **more)

    def start(command: str) -> Any:
        manager.revoker(NS).revoke("batch", "worker-1")
        assert told.wait(PATIENCE)
        return SimpleNamespace(terminate=ended.set, wait=ended.is_set)

    page = "\n".join(blocks("holding.md", "python"))
    [shown] = [e.source for e in doctest.DocTestParser().get_examples(page) if "Popen" in e.source]
    names: dict[str, Any] = {
        "claimer": SimpleNamespace(hold=hold),
        "subprocess": SimpleNamespace(Popen=start),
    }
    exec(shown, names)
    with pytest.raises(LeaseLost):
        names["run"]("a command")
    assert ended.is_set()
