"""python-redis-lock: SET NX with a time to live; who waits sleeps in BLPOP on a signal list."""

from __future__ import annotations

from redis import Redis
from redis_lock import Lock

from benchmarks.adapters.base import Lost
from benchmarks.adapters.redis_lock import MOST, RedisLocks


class SignalGrip:
    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def release(self) -> None:
        self._lock.release()

    def renew(self) -> None:
        self._lock.extend()

    def check(self) -> None:
        if self._lock.get_owner_id() != self._lock.id:
            raise Lost


class SignalLocks(RedisLocks):
    def claim(self, name: str, holder: str, *, block: bool) -> SignalGrip | None:  # type: ignore[override]
        lock = Lock(self._client, name, expire=int(self._duration))
        return SignalGrip(lock) if lock.acquire(blocking=block) else None


def connect(url: str, duration: float) -> SignalLocks:
    # It sleeps in BLPOP for as long as a lock lasts; redis-py by default gives up on a silent
    # connection after five seconds, and with that on the lock.
    return SignalLocks(Redis.from_url(url, max_connections=MOST, socket_timeout=None), duration)
