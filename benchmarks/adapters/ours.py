"""This library, on whatever store the URL names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.adapters.base import Grip
from benchmarks.adapters.ours_filled import insert_leases
from lease_actors import ClaimDenied, Manager, ManagerConfig, MemoryStore

NAMESPACE = "bench"
TAKERS = 32
"""So many threads take what is to be kept; none is needed to keep it."""


class Tenure:
    def __init__(self, client: LeaseClient, lease: str, holder: str) -> None:
        self._client = client
        self._lease, self._holder = lease, holder
        self._token = client.checker.token(lease, holder)

    def release(self) -> None:
        self._client.revoker.revoke(self._lease, self._holder)

    def renew(self) -> None:
        self._client.claimer.claim(self._lease, self._holder, self._client.duration)

    def check(self) -> None:
        self._token.check()


class Block:
    """A block of ``hold()``: entered, and left."""

    def __init__(self, client: LeaseClient, lease: str, holder: str, *, block: bool) -> None:
        wait = None if block else 0
        self._hold = client.claimer.hold(lease, holder, client.duration, wait=wait)
        self._hold.__enter__()

    def release(self) -> None:
        self._hold.__exit__(None, None, None)


class LeaseClient:
    def __init__(self, url: str, manager: Manager, duration: float) -> None:
        self._url = url
        self.duration = duration
        self.claimer = manager.claimer(NAMESPACE)
        self.revoker = manager.revoker(NAMESPACE)
        self.checker = manager.checker(NAMESPACE)
        self._manager = manager

    def claim(self, name: str, holder: str, *, block: bool) -> Grip | None:
        try:
            self.claimer.claim(name, holder, self.duration, wait=None if block else 0)
        except ClaimDenied:
            return None
        return Tenure(self, name, holder)

    def queue(self, name: str, holders: Sequence[str]) -> Callable[[], int]:
        self._queued = [self.claimer.claim_future(name, h, self.duration) for h in holders]
        return lambda: self._manager.report()["blocked-claims"]

    def fill(self, names: Sequence[str]) -> Sequence[str]:
        """Leases that were held once, and have run out since."""
        if self._url != "memory:":
            return insert_leases(self._url, NAMESPACE, names)
        claims = [self.claimer.claim_future(n, "holder", 0.001, wait=0) for n in names]
        for claim in claims:
            claim.get(timeout=60)
        return names

    def keep(self, names: Sequence[str]) -> Callable[[], int]:
        holds = [self.claimer.hold(name, "holder", self.duration, wait=0) for name in names]
        with ThreadPoolExecutor(TAKERS) as pool:
            held = list(pool.map(lambda hold: hold.__enter__(), holds))
        self._holds = holds  # whose blocks never end
        return lambda: sum(not lease.lost.is_set() for lease in held)

    def close(self) -> None:
        self._manager.kill()
        self._manager.wait()


class HoldClient(LeaseClient):
    """It holds what it claims."""

    def claim(self, name: str, holder: str, *, block: bool) -> Grip | None:
        try:
            return Block(self, name, holder, block=block)
        except ClaimDenied:
            return None


def connect(url: str, duration: float, *, hold: bool = False, **fields: Any) -> LeaseClient:
    if url == "memory:":
        manager = Manager(ManagerConfig(MemoryStore(), **fields))
    else:
        manager = Manager.open(url, **fields)
    return (HoldClient if hold else LeaseClient)(url, manager, duration)
