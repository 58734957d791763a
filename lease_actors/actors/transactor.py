"""The thread on which transactions are made, so that a silent server keeps nobody else waiting.

A hop more on the way than a transaction in the manager's own thread; for it the manager takes in
the next batch, cancels, deadlines and the stop meanwhile, and an attempt that hangs, in whatever
store, is simply left behind with its thread. (Why not a watchdog that shuts the socket: it helps
with servers only; neither SQLite on a stalled disk nor a store of the user's has one.)
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from lease_actors.actors.threads import ServiceThread
from lease_actors.observability.logging import SafeLog

_log = SafeLog(logging.getLogger(__name__))


class Transactor:
    """Runs one job after the other on a daemon thread of its own, until it is closed."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = ServiceThread(self._run, name)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Run the job after those submitted before it. It must catch what it raises."""
        self._jobs.put(job)

    def close(self) -> None:
        """End after the jobs submitted so far; does not wait."""
        self._jobs.put(None)

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException:  # SystemExit, too: the jobs behind it would wait for ever
                _log.exception("a job of the transactor failed")
