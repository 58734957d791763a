"""kazoo's Lock recipe on ZooKeeper: a session per process, a queue of sequence nodes per lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from kazoo.client import KazooClient
from kazoo.recipe.lock import Lock

TAKERS = 32
"""So many threads take what is to be kept; none is needed to keep it."""


class KazooLocks:
    def __init__(self, client: KazooClient) -> None:
        self._client = client

    def claim(self, name: str, holder: str, *, block: bool) -> Lock | None:
        lock = self._client.Lock(f"/bench/{name}", holder)
        return lock if lock.acquire(blocking=block) else None

    def fill(self, names: Sequence[str]) -> Sequence[str]:
        """A lock that was used once leaves its node."""
        self._client.ensure_path("/bench")
        for start in range(0, len(names), 2000):
            some = names[start : start + 2000]
            for answer in [self._client.create_async(f"/bench/{name}") for name in some]:
                answer.get()
        return names

    def keep(self, names: Sequence[str]) -> Callable[[], int]:
        """The session's heartbeat keeps all of them."""
        with ThreadPoolExecutor(TAKERS) as pool:
            locks = list(pool.map(lambda name: self.claim(name, "holder", block=True), names))
        paths = [f"{lock.path}/{lock.node}" for lock in locks if lock is not None]
        return lambda: sum(
            a.get() is not None for a in [self._client.exists_async(p) for p in paths]
        )

    def close(self) -> None:
        self._client.stop()
        self._client.close()


def connect(url: str, duration: float) -> KazooLocks:
    client = KazooClient(urlsplit(url).netloc, timeout=duration)
    client.start()
    return KazooLocks(client)
