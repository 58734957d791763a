"""Managers for tests, calls on threads of their own, and signals to wait for."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

from support.faults import PATIENCE

from lease_actors import Manager, ManagerConfig, ManagerStopped
from lease_actors.testing.clock import FakeClock

T = TypeVar("T")

NO_TIMES = [-1, -0.001, timedelta(-1), float("nan"), float("inf"), "5", True]
"""What is no time to wait."""


class Log(logging.Handler):
    """Keeps the records, and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._changed = threading.Condition()
        self.logger = logging.Logger(f"test-{uuid.uuid4()}", logging.DEBUG)  # noqa: LOG001
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def of(self, action: str) -> list[logging.LogRecord]:
        """The records of that action."""
        return [r for r in list(self.records) if getattr(r, "action", None) == action]

    def wait_for(self, action: str, count: int = 1) -> list[logging.LogRecord]:
        """Wait for so many records of that action."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.of(action)) >= count, PATIENCE):
                raise TimeoutError(f"fewer than {count} log records of {action!r}")
        return self.of(action)


class Calling(threading.Thread, Generic[T]):
    """A call on a daemon thread of its own, and how it ended."""

    def __init__(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> None:
        super().__init__(daemon=True)
        self._call = lambda: call(*args, **kwargs)
        self.value: T | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self._call()
        except BaseException as error:
            self.error = error

    @property
    def is_over(self) -> bool:
        """Has it ended, however?"""
        return not self.is_alive()

    def outcome(self, timeout: float = PATIENCE) -> Any:
        """What the call returned or raised, as soon as it has ended."""
        self.ended(timeout)
        if self.error is not None:
            raise self.error
        return self.value

    def ended(self, timeout: float = PATIENCE) -> BaseException | None:
        """Wait for its end; the error it ended with, if it was one."""
        self.join(timeout)
        if self.is_alive():
            raise AssertionError("the call has not ended: it hangs")
        return self.error


@contextmanager
def managing(store: Any, clock: Any = None, **fields: Any) -> Iterator[Manager]:
    """A manager that is killed at the end; what stopped it does not matter."""
    clock = FakeClock() if clock is None else clock
    manager = Manager(ManagerConfig(store, clock=clock, **fields))
    try:
        yield manager
    finally:
        manager.kill()
        try:
            manager.wait(PATIENCE)
        except (ManagerStopped, RuntimeError, SystemExit):
            pass


def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Return as soon as the condition holds, of which nothing else tells."""
    tick = threading.Event()
    for _ in range(round(PATIENCE / 0.002)):
        if condition():
            return
        tick.wait(0.002)
    raise AssertionError(f"{what} has not come about")


def blocked(manager: Manager, count: int) -> None:
    """Return when so many claims are blocked."""
    until(lambda: manager.report()["blocked-claims"] == count, f"{count} blocked claims")


def waits(manager: Manager, count: int) -> None:
    """Return when so many waits are registered."""
    until(lambda: manager.report()["waits"] == count, f"{count} waits")


def advance_until(clock: FakeClock, condition: Callable[[], bool], step: float = 0.1) -> None:
    """Move the time on in steps until the condition holds."""
    tick = threading.Event()
    for _ in range(5000):
        if condition():
            return
        clock.advance(step)
        tick.wait(0.001)
    raise AssertionError("it has not come about, however far the time was moved on")
