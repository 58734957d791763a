"""A question to a tracker, which answers it when it can."""

from __future__ import annotations

import os
import threading

from lease_actors.durations import Duration, as_timeout

__all__ = ["Ticket"]


class Ticket:
    """One question: ``ready`` is set when it is answered."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self._answer = False
        self._pid = os.getpid()

    def wait(self, timeout: Duration | None = None) -> bool:
        """The answer, as soon as there is one; False if there is none within ``timeout``.

        A ``timedelta`` or seconds. In a forked child nobody answers any more: False.
        """
        limit = as_timeout(timeout, "wait for an answer")
        if self._pid != os.getpid():
            return False
        self.ready.wait(limit)
        return self._answer

    def close(self, answer: bool) -> None:
        """For the tracker: answer, once."""
        if not self.ready.is_set():
            self._answer = answer
            self.ready.set()
