"""The alarm's list, when it is changed in the midst of being changed."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Iterable, Iterator

import pytest
from support.faults import PATIENCE

from lease_actors.actors.alarm import Alarm, Handle
from lease_actors.actors.transactor import Transactor
from lease_actors.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def alarm(clock: FakeClock) -> Iterator[Alarm]:
    alarm = Alarm(clock, "lease alarm")
    yield alarm
    alarm.close()
    alarm.join(PATIENCE)


def test_a_thread_that_is_changing_it_may_come_back_in(alarm: Alarm, clock: FakeClock) -> None:
    """The garbage collector ends a hold wherever it finds one, with whatever that thread has locked."""
    instant, rang = clock.steady() + 1_000_000, threading.Event()
    handles = [alarm.at(instant, int) for _ in range(300)]
    with alarm._lock:
        alarm.at(instant, rang.set)
        for handle in handles:
            handle.cancel()
    clock.advance(1)
    assert rang.wait(PATIENCE)


def cancel(handles: Iterable[Handle]) -> None:
    for handle in handles:
        handle.cancel()


def test_a_ctrl_c_while_it_is_tidied_loses_nobody(alarm: Alarm, clock: FakeClock) -> None:
    class Interrupting(Handle):
        @property
        def callback(self) -> None:  # type: ignore[override]
            raise KeyboardInterrupt

        @callback.setter
        def callback(self, _: object) -> None:
            pass

    instant, rang = clock.steady() + 1_000_000, threading.Event()
    alarm.at(instant, rang.set)
    handles = [alarm.at(instant, int) for _ in range(300)]
    entry = instant, -1, Interrupting(alarm, int)
    alarm._heap.append(entry)
    with pytest.raises(KeyboardInterrupt):
        cancel(handles)
    alarm._heap.remove(entry)
    heapq.heapify(alarm._heap)
    clock.advance(1)
    assert rang.wait(PATIENCE)


def test_a_log_that_fails_ends_no_thread(alarm: Alarm, clock: FakeClock) -> None:
    """Neither the alarm's nor the one that transactions are made on."""

    class Away(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ConnectionError("the log server is away")

    def fail() -> None:
        raise ZeroDivisionError

    rang, done = threading.Event(), threading.Event()
    log, away = logging.getLogger("lease_actors"), Away()
    log.addHandler(away)
    transactor = Transactor("lease transactor")
    try:
        alarm.at(clock.steady(), fail)
        alarm.at(clock.steady(), rang.set)
        transactor.submit(fail)
        transactor.submit(done.set)
        assert rang.wait(PATIENCE)
        assert done.wait(PATIENCE)
    finally:
        log.removeHandler(away)
        transactor.close()
        transactor.join(PATIENCE)
