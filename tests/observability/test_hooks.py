"""What a hook does wrong stays with the hook."""

from __future__ import annotations

import logging
import threading

import pytest

from lease_actors.observability.events import Event, Gauges, HoldLost, Renewed, Ticked
from lease_actors.observability.hooks import Handlers, Hooks

LOGGER = logging.getLogger("tests.hooks")
TICK = Ticked(late=0.0)


class Raising:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, event: Event) -> None:
        raise self.error


def test_every_hook_gets_the_event_in_order() -> None:
    seen: list[tuple[str, Event]] = []
    hooks = Hooks([lambda e: seen.append(("a", e)), lambda e: seen.append(("b", e))], LOGGER)

    hooks(TICK)

    assert seen == [("a", TICK), ("b", TICK)]


class Choosy(Handlers):
    """Wants to hear of ticks now and then, and never of renewals for their own sake."""

    def __init__(self) -> None:
        self.awake = False
        self.seen: list[Event] = []
        self.handlers = dict.fromkeys((Ticked, Renewed, HoldLost), self.seen.append)
        self.wants = {Ticked: lambda: self.awake, Renewed: None}


def test_without_hooks_nothing_is_wanted() -> None:
    assert not Hooks([], LOGGER).wants(Ticked)


def test_a_plain_hook_wants_everything() -> None:
    assert Hooks([lambda event: None], LOGGER).wants(Ticked)


def test_what_no_hook_has_a_handler_for_is_not_wanted() -> None:
    assert not Hooks([Choosy()], LOGGER).wants(Gauges)


def test_what_a_hook_says_nothing_about_it_always_wants() -> None:
    assert Hooks([Choosy()], LOGGER).wants(HoldLost)


def test_a_hook_is_asked_each_time_whether_it_wants_an_event() -> None:
    hook = Choosy()
    hooks = Hooks([hook], LOGGER)

    wanted = [hooks.wants(Ticked)]
    for hook.awake in (True, False):
        wanted.append(hooks.wants(Ticked))

    assert wanted == [False, True, False]


@pytest.mark.parametrize("awake", [0, 1])
def test_what_one_of_several_wants_is_wanted_and_told_to_all(awake: int) -> None:
    hooks = [Choosy(), Choosy()]
    hooks[awake].awake = True
    both = Hooks(hooks, LOGGER)

    assert both.wants(Ticked)
    both(TICK)

    assert [hook.seen for hook in hooks] == [[TICK], [TICK]]


def test_what_is_never_wanted_for_its_own_sake_comes_all_the_same_when_it_is_made() -> None:
    hook = Choosy()
    hooks = Hooks([hook], LOGGER)

    assert not hooks.wants(Renewed)
    hooks(Renewed(1))

    assert hook.seen == [Renewed(1)]


def test_a_hook_that_fails_when_it_is_asked_is_told_and_so_its_failure_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Choosy):
        def __init__(self) -> None:
            self.handlers = {Ticked: lambda event: self.is_awake()}
            self.wants = {Ticked: self.is_awake}

        def is_awake(self) -> bool:
            return bool(1 / 0)

    hooks = Hooks([Broken()], LOGGER)

    assert hooks.wants(Ticked)
    hooks(TICK)

    assert [str(r.exc_info[1]) for r in caplog.records if r.exc_info] == ["division by zero"]


def test_a_hook_that_raises_does_not_keep_the_event_from_the_next() -> None:
    seen: list[Event] = []

    Hooks([Raising(RuntimeError("broken")), seen.append], LOGGER)(TICK)

    assert seen == [TICK]


def test_a_failing_hook_is_logged_once_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hooks = Hooks([Raising(RuntimeError("broken"))], LOGGER)

    for _ in range(3):
        hooks(TICK)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Ticked" in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "broken"
    assert record.exc_info[2] is not None
    assert "its further failures are not logged" in record.getMessage()


def test_each_failing_hook_is_logged_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    hooks = Hooks([Raising(RuntimeError("one")), Raising(ValueError("two"))], LOGGER)

    hooks(TICK)
    hooks(TICK)

    assert [str(r.exc_info[1]) for r in caplog.records if r.exc_info] == ["one", "two"]


def test_many_threads_failing_at_once_log_one_line(caplog: pytest.LogCaptureFixture) -> None:
    hooks = Hooks([Raising(RuntimeError("broken"))], LOGGER)
    together = threading.Barrier(8)

    def run() -> None:
        together.wait(10)
        for _ in range(50):
            hooks(TICK)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(caplog.records) == 1


def test_a_logger_that_raises_harms_nobody_either() -> None:
    class BrokenLogger:
        def warning(self, msg: str, /, *args: object, exc_info: BaseException) -> None:
            raise OSError("disk full")

    Hooks([Raising(RuntimeError("broken"))], BrokenLogger())(TICK)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupt_is_not_swallowed(error: BaseException) -> None:
    with pytest.raises(type(error)):
        Hooks([Raising(error)], LOGGER)(TICK)


def test_silenced_it_calls_nobody_and_wants_nothing() -> None:
    seen: list[Event] = []
    hooks = Hooks([seen.append], LOGGER)
    assert hooks.wants(Ticked)

    hooks.silence()
    hooks(TICK)

    assert not hooks.wants(Ticked)
    assert seen == []
