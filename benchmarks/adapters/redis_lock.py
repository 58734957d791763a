"""redis-py's own Lock: SET NX with a time to live; who waits asks again every 100 ms."""

from __future__ import annotations

from collections.abc import Sequence

from redis import Redis
from redis.lock import Lock

from benchmarks.adapters.base import Lost

MOST = 10_000
"""So many connections the pool may open: as many as a Redis server takes (100 by default)."""


class RedisGrip:
    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def release(self) -> None:
        self._lock.release()

    def renew(self) -> None:
        self._lock.reacquire()

    def check(self) -> None:
        if not self._lock.owned():
            raise Lost(self._lock.name)


class RedisLocks:
    def __init__(self, client: Redis, duration: float) -> None:
        self._client, self._duration = client, duration

    def claim(self, name: str, holder: str, *, block: bool) -> RedisGrip | None:
        lock = self._client.lock(name, timeout=self._duration)
        return RedisGrip(lock) if lock.acquire(blocking=block) else None

    def fill(self, names: Sequence[str]) -> Sequence[str]:
        """Standing locks' keys (released ones leave nothing)."""
        for start in range(0, len(names), 10_000):
            some = names[start : start + 10_000]
            self._client.mset({f"filled:{name}": "holder" for name in some})
        return names

    def close(self) -> None:
        self._client.close()


def connect(url: str, duration: float) -> RedisLocks:
    return RedisLocks(Redis.from_url(url, max_connections=MOST), duration)
