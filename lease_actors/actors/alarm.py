"""One thread that calls back at instants: deadlines, retries and ticks all sleep on it."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

from lease_actors.actors.threads import ServiceThread
from lease_actors.clock import Clock
from lease_actors.observability.logging import SafeLog

_log = SafeLog(logging.getLogger(__name__))


class Bell(threading.Event):
    """An event whose waiter comes back to wait again: a fake clock waits for that.

    And for what the alarm has set off, as far as nothing but real time is needed for it:
    ``owes`` says what that is, 0 if it is nothing.
    """

    returns = True
    owes: Callable[[], int] = staticmethod(lambda: 0)


class Handle:
    """One call to come; ``cancel`` forgets it."""

    __slots__ = ("_alarm", "callback")

    def __init__(self, alarm: Alarm, callback: Callable[[], object]) -> None:
        self._alarm = alarm
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self._alarm.forgot_one()


class Alarm:
    """Calls back, once and never early, when the clock's steady time has come.

    Callbacks run on the alarm's only thread: they must be quick and may not block. What one
    raises is logged, and the next is called all the same.
    """

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._bell = Bell()
        # The garbage collector may close a hold, and so come back in here, on a thread that has it.
        self._lock = threading.RLock()
        self._heap: list[tuple[int, int, Handle]] = []
        self._order = itertools.count()
        self._forgotten = 0
        self._closed = False
        self._thread = ServiceThread(self._run, name)
        self._thread.start()

    def at(self, instant: int, callback: Callable[[], object]) -> Handle:
        """Call back at that instant (steady microseconds), at once if it has passed."""
        handle = Handle(self, callback)
        entry = instant, next(self._order), handle
        with self._lock:
            heapq.heappush(self._heap, entry)
            first = self._heap[0][2] is handle
        if first:
            self._bell.set()
        return handle

    def owed(self, owes: Callable[[], int]) -> None:
        """What a callback has set off, and is not done yet: for a fake clock."""
        self._bell.owes = owes

    def close(self) -> None:
        """Call nobody any more. Does not wait for a callback that is running."""
        self._closed = True
        self._bell.returns = False
        self._bell.set()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def forgot_one(self) -> None:
        """A handle was cancelled. When most are, they are thrown out, so none pile up."""
        with self._lock:
            self._forgotten += 1
            if self._forgotten > 64 and self._forgotten * 2 > len(self._heap):
                # Whoever comes back in here meanwhile adds to the new one. A Ctrl-C loses none.
                heap, self._heap, self._forgotten = self._heap, [], 0
                try:
                    heap = [e for e in heap if e[2].callback is not None]
                finally:
                    self._heap += heap
                    heapq.heapify(self._heap)

    def _run(self) -> None:
        while not self._closed:
            # Cleared before looking: what is added after the look sets it again.
            self._bell.clear()
            for handle in self._due():
                self._call(handle)
            with self._lock:
                until = self._heap[0][0] if self._heap else None
            if not self._closed:
                self._clock.wait(self._bell, until)

    def _due(self) -> list[Handle]:
        now = self._clock.steady()
        due: list[Handle] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                handle = heapq.heappop(self._heap)[2]
                if handle.callback is None:
                    self._forgotten = max(0, self._forgotten - 1)
                else:
                    due.append(handle)
        return due

    def _call(self, handle: Handle) -> None:
        callback, handle.callback = handle.callback, None
        if callback is None:
            return
        try:
            callback()
        except BaseException:  # SystemExit, too: no deadline would be kept any more
            _log.exception("an alarm's callback failed")
