"""What a hook does wrong stays with the hook."""

from __future__ import annotations

import logging
import threading

import pytest

from lease_actors.observability.events import Event, Ticked
from lease_actors.observability.hooks import Hooks

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


def test_without_hooks_it_is_false_so_that_no_event_need_be_built() -> None:
    assert not Hooks([], LOGGER)
    assert Hooks([lambda event: None], LOGGER)


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


def test_silenced_it_calls_nobody_and_is_false() -> None:
    seen: list[Event] = []
    hooks = Hooks([seen.append], LOGGER)

    hooks.silence()
    hooks(TICK)

    assert not hooks
    assert seen == []
