"""A few connections that many threads share, each for one statement."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

C = TypeVar("C")


class Pooled(Generic[C]):
    """At most ``most`` connections, made when they are needed."""

    def __init__(self, make: Callable[[], C], most: int) -> None:
        self._make, self._most = make, most
        self._free: queue.SimpleQueue[C] = queue.SimpleQueue()
        self._all: list[C] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[C]:
        connection = self._take()
        try:
            yield connection
        finally:
            self._free.put(connection)

    def _take(self) -> C:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            pass
        with self._lock:
            if len(self._all) < self._most:
                self._all.append(self._make())
                return self._all[-1]
        return self._free.get()

    def drain(self) -> list[C]:
        """All that were made, to be closed."""
        return self._all
