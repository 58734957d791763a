"""The lock of etcd3, in a fork that runs with a protobuf of today; one channel per process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pyetcd

from benchmarks.adapters.base import Lost


class EtcdGrip:
    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def release(self) -> None:
        if not self._lock.release():
            raise Lost(self._lock.name)

    def renew(self) -> None:
        if not all(answer.TTL > 0 for answer in self._lock.refresh()):
            raise Lost(self._lock.name)

    def check(self) -> None:
        if not self._lock.is_acquired():
            raise Lost(self._lock.name)


class EtcdLocks:
    def __init__(self, client: Any, duration: float) -> None:
        self._client, self._duration = client, int(duration)

    def claim(self, name: str, holder: str, *, block: bool) -> EtcdGrip | None:
        lock = self._client.lock(name, ttl=self._duration)
        return EtcdGrip(lock) if lock.acquire(timeout=None if block else 0) else None

    def fill(self, names: Sequence[str]) -> Sequence[str]:
        """Standing locks' keys (released ones leave nothing), 100 a transaction."""
        puts = self._client.transactions.put
        for start in range(0, len(names), 100):
            some = names[start : start + 100]
            success = [puts(f"/locks/filled-{name}", b"holder") for name in some]
            self._client.transaction(compare=[], success=success, failure=[])
        return names

    def close(self) -> None:
        self._client.close()


def connect(url: str, duration: float) -> EtcdLocks:
    where = urlsplit(url)
    return EtcdLocks(pyetcd.client(host=where.hostname, port=where.port), duration)
