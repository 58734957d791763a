"""What the acceptance tests share: a call in a thread, a store that can be watched, signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pykka
import pytest

from lease_actors import ClaimFuture, Key, Manager, Store, Unpin
from lease_actors.clock import Clock
from lease_actors.core.model import Instant, LeaseState, Micros, Waiter
from lease_actors.stores.base import Batch
from lease_actors.testing.clock import FakeClock

T = TypeVar("T")

NS = "ns"
PATIENCE = 20.0
"""Real seconds after which a test that waits for something fails; nothing takes that long."""


def key(lease: str) -> Key:
    return Key(NS, "", lease)


class Call(Generic[T]):
    """A blocking call, made in a thread of its own."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="a test's caller", daemon=True)
        self.thread.start()

    @property
    def is_over(self) -> bool:
        return not self.thread.is_alive()

    def result(self) -> T:
        """What it returned, or raise what it raised."""
        self.thread.join(PATIENCE)
        assert self.is_over, "the call did not end"
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:
            self._error = error


def settle(manager: Manager, namespace: str = NS) -> None:
    """Return when all that was asked so far, and every tick that fell due, has been dealt with.

    Operations are serialised: what comes out last went in last. Thrice, because an answer may
    lead to another operation, which stands behind the first barrier.
    """
    for _ in range(3):
        manager._expiry.ask("anything", timeout=PATIENCE)
        manager.ask(Unpin(Key(namespace, "", "barrier"), "nobody"), timeout=PATIENCE)
    manager._expiry.ask("anything", timeout=PATIENCE)


def pass_time(manager: Manager, clock: FakeClock, seconds: float) -> None:
    """Let that much time pass, and everything happen that is due then."""
    settle(manager)
    clock.advance(seconds)
    settle(manager)


def wait_for_queue(manager: Manager, length: int) -> None:
    """Return when so many claims are blocked in this manager."""
    for _ in range(10_000):
        if manager.report()["blocked-claims"] == length:
            settle(manager)
            return
        settle(manager)
    pytest.fail(f"not {length} blocked claims but {manager.report()['blocked-claims']}")


def is_pending(future: pykka.Future[Any]) -> bool:
    """It has not been answered."""
    try:
        future.get(timeout=0)
    except pykka.Timeout:
        return True
    except Exception:
        return False
    return False


def outcome(future: ClaimFuture) -> Any:
    """The lease, or the error as a value."""
    try:
        return future.get(timeout=PATIENCE)
    except Exception as error:
        return error


class WatchedStore(Store):
    """Another store, whose transactions are counted, and held up or made to fail at will."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.applied: list[int] = []
        """How many leases each transaction touched."""
        self.pruned = 0
        self.failure: Exception | None = None
        self.read_failure: Exception | None = None
        self.entered = threading.Semaphore(0)
        """One permit for each transaction that has come to the store."""
        self.committed = threading.Semaphore(0)
        """One permit for each transaction that has been made, before anybody is told."""
        self._door = threading.Event()
        self._way_out = threading.Event()
        self.let_in()
        self.let_out()

    def hold_up(self) -> None:
        """Let no transaction begin."""
        self.entered = threading.Semaphore(0)
        self._door.clear()

    def let_in(self) -> None:
        self._door.set()

    def hold_back(self) -> None:
        """Make transactions, but tell nobody."""
        self.committed = threading.Semaphore(0)
        self._way_out.clear()

    def let_out(self) -> None:
        self._way_out.set()

    def apply(self, batch: Batch) -> bool:
        self.entered.release()
        assert self._door.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        applied = self.store.apply(batch)
        self.applied.append(len(batch.needs))
        self.committed.release()
        assert self._way_out.wait(PATIENCE)
        return applied

    def open(self, clock: Clock) -> None:
        self.store.open(clock)

    def begin(self, start: str) -> None:
        self.store.begin(start)

    def now(self) -> Instant:
        return self.store.now()

    def get(self, key: Key) -> tuple[LeaseState, Instant]:
        if self.read_failure is not None:
            raise self.read_failure
        return self.store.get(key)

    def leases(self, namespace: str, model_uuid: str) -> tuple[list[LeaseState], Instant]:
        if self.read_failure is not None:
            raise self.read_failure
        return self.store.leases(namespace, model_uuid)

    def waiting(self, key: Key) -> list[Waiter]:
        return self.store.waiting(key)

    def prune(self, idle_for: Micros, limit: int = 1000) -> int:
        self.pruned += 1
        return self.store.prune(idle_for, limit)

    def close(self) -> None:
        self.store.close()
