"""tooz on PostgreSQL and on MySQL: advisory locks, each on a connection of its own."""

from __future__ import annotations

import warnings
from typing import Any

from tooz import coordination


class ToozGrip:
    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def release(self) -> None:
        self._lock.release()


class ToozLocks:
    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator

    def claim(self, name: str, holder: str, *, block: bool) -> ToozGrip | None:
        lock = self._coordinator.get_lock(name.encode())
        return ToozGrip(lock) if lock.acquire(blocking=block) else None

    def close(self) -> None:
        self._coordinator.stop()


def connect(url: str, duration: float) -> ToozLocks:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # its PostgreSQL driver is on its way out
        coordinator = coordination.get_coordinator(url, b"bench")
    coordinator.start()
    return ToozLocks(coordinator)
