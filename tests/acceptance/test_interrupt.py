"""Ctrl-C and SIGTERM end a wait, also when they come just before the thread blocks.

Python runs a handler in the main thread when that is awake. A signal that arrives after its last
look, and before the system call that waits, does not wake it. ``_thread.interrupt_main`` is just
that: it says that a signal has come, and wakes nobody.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable

import pykka
import pytest

from lease_actors import Manager, ManagerConfig, MemoryStore
from lease_actors.clock import Signal, SystemClock


def wait_in_a_claim(manager: Manager) -> None:
    manager.claimer("ns").claim("app", "me", 60, wait=None)


def wait_for_a_future(manager: Manager) -> None:
    manager.claimer("ns").claim_future("app", "me", 60).get()


def wait_for_the_end(manager: Manager) -> None:
    manager.wait()


@pytest.mark.parametrize("wait", [wait_in_a_claim, wait_for_a_future, wait_for_the_end])
def test_a_signal_that_wakes_nobody_ends_the_wait(wait: Callable[[Manager], None]) -> None:
    with Manager(ManagerConfig(MemoryStore())) as manager:
        manager.claimer("ns").claim("app", "another", 60)
        later = threading.Timer(0.2, _thread.interrupt_main)  # it is asleep by then
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            later.start()
            wait(manager)
        later.join()


@pytest.mark.parametrize("timeout", [0, 0.05, 0.7])
def test_a_wait_in_the_main_thread_keeps_its_time(timeout: float) -> None:
    began = time.monotonic()
    assert not Signal().wait(timeout)
    assert time.monotonic() - began >= timeout


def test_a_clock_waits_in_the_main_thread_until_the_instant() -> None:
    clock = SystemClock()
    until = clock.steady() + 700_000
    clock.wait(Signal(), until)
    assert clock.steady() >= until


def test_a_future_that_is_not_settled_in_time_times_out() -> None:
    with Manager(ManagerConfig(MemoryStore())) as manager:
        manager.claimer("ns").claim("app", "another", 60)
        with (
            manager.claimer("ns").claim_future("app", "me", 60) as future,
            pytest.raises(pykka.Timeout),
        ):
            future.get(timeout=0.6)
