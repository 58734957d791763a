"""Time, as something passed in. No other module asks the machine what time it is."""

from __future__ import annotations

import math
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol, runtime_checkable

__all__ = [
    "Clock",
    "Signal",
    "SystemClock",
    "Waitable",
    "from_instant",
    "give_way",
    "micros",
    "to_instant",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_NAP = 1.0
_MAIN_NAP = 0.5


def from_instant(instant: int) -> datetime:
    """The instant as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=instant)


def to_instant(moment: datetime) -> int:
    """The aware datetime as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def micros(duration: timedelta) -> int:
    """The duration in whole microseconds."""
    return duration // _MICROSECOND


class Waitable(Protocol):
    """What a clock can wait on: a ``threading.Event`` is one."""

    def wait(self, timeout: float | None = None) -> bool: ...

    def set(self) -> None: ...


@runtime_checkable
class Clock(Protocol):
    """Wall time, a steady time that goes on while the machine sleeps, and waiting.

    Both times are whole microseconds. ``boot_id`` names the span in which the steady time
    counts from one zero (a boot of the machine).
    """

    @property
    def boot_id(self) -> str: ...

    def wall(self) -> int:
        """Microseconds since 1970, as the machine's wall clock has it; may be stepped."""
        ...

    def steady(self) -> int:
        """Microseconds since some zero; never stepped, and counts through sleep."""
        ...

    def wait(self, signal: Waitable, until: int | None) -> None:
        """Return when the signal is set or ``until`` (steady) has come. May return early."""
        ...


class SystemClock:
    """The machine's own clocks: CLOCK_BOOTTIME where there is one, else the monotonic clock."""

    def __init__(self) -> None:
        self._id = getattr(time, "CLOCK_BOOTTIME", None)
        self._boot_id: str | None = None

    @property
    def boot_id(self) -> str:
        if self._boot_id is None:
            self._boot_id = _read_boot_id()
        return self._boot_id

    def wall(self) -> int:
        return time.time_ns() // 1000

    def steady(self) -> int:
        if self._id is None:
            return time.monotonic_ns() // 1000
        return time.clock_gettime_ns(self._id) // 1000

    def wait(self, signal: Waitable, until: int | None) -> None:
        if until is None:
            signal.wait()
            return
        left = (until - self.steady()) / 1e6
        if left > 0:
            signal.wait(min(left, self._longest(signal)))

    def _longest(self, signal: Waitable) -> float:
        """The time limit of a lock stands still while the machine sleeps: an alarm, which comes
        back to wait again, looks at the clock in between, so that it rings soon after."""
        returns = self._id is not None and getattr(signal, "returns", False)
        return _NAP if returns else threading.TIMEOUT_MAX


def give_way() -> None:
    """Let another thread have the interpreter, if one waits for it."""
    time.sleep(0)


def _read_boot_id() -> str:
    """Linux names each boot. Elsewhere "": whoever relies on it must notice a new zero itself."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Signal:
    """A one-shot event on one plain lock: a third of the time and memory of an ``Event``.

    Signals of the system (Ctrl-C, SIGTERM) end the main thread's wait, at the latest after half a
    second: Python handles one that arrives just before the thread blocks only when it is awake again.
    """

    __slots__ = ("_lock", "_set")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        if not self._set:
            self._set = True
            try:
                self._lock.release()
            except RuntimeError:
                pass  # two set it at once; the other's release has opened it

    def wait(self, timeout: float | None = None) -> bool:
        if self._set:
            return True
        if self._acquire(timeout):
            # Let the next waiter through, as an open door does.
            try:
                self._lock.release()
            except RuntimeError:
                pass
            return True
        return self._set

    def _acquire(self, timeout: float | None) -> bool:
        main = threading.current_thread() is threading.main_thread()
        nap = _MAIN_NAP if main else threading.TIMEOUT_MAX
        left = math.inf if timeout is None else max(0.0, timeout)
        while not self._lock.acquire(timeout=min(left, nap)):
            left -= nap
            if left <= 0:
                return False
        return True
