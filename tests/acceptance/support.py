"""What the acceptance tests share: a store that can be watched, signals."""

from __future__ import annotations

import threading
from typing import Any

import pykka
import pytest
from support.faults import PATIENCE

from lease_actors import ClaimFuture, Key, Manager, NotValid, Store, Unpin
from lease_actors.actors.reply import Reply
from lease_actors.core.model import Instant, LeaseState, Micros
from lease_actors.stores.base import Batch
from lease_actors.testing.clock import FakeClock

NS = "ns"


def key(lease: str) -> Key:
    return Key(NS, "", lease)


# What no public name shows. An actor ignores what it does not know, and answers in its turn.


def pass_expiry(manager: Manager) -> None:
    """Return when the ExpiryActor has handled all that it was sent so far."""
    manager._crew.expiry.ask("anything", timeout=PATIENCE)


def pass_manager(manager: Manager) -> None:
    """Return when the ManagerActor has handled all that it was sent so far."""
    manager._crew.manager.ask("anything", timeout=PATIENCE)


def inside(manager: Manager) -> list[Reply[Any]]:
    """The calls that have come in and have not been answered."""
    return manager._crew.gate.inside()


def settle(manager: Manager, namespace: str = NS) -> None:
    """Return when all that was asked so far, and every tick that fell due, has been dealt with.

    Operations are serialised: what comes out last went in last. Thrice, because an answer may
    lead to another operation, which stands behind the first barrier.
    """
    for _ in range(3):
        pass_expiry(manager)
        manager.ask(Unpin(Key(namespace, "", "barrier"), "nobody"), timeout=PATIENCE)
    pass_expiry(manager)


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


def pass_secretary(manager: Manager, namespace: str = NS) -> None:
    """Return when the secretary has passed on all that was asked so far, whatever the store does."""
    with pytest.raises(NotValid):
        manager.ask(Unpin(Key(namespace, "", ""), "nobody"), timeout=PATIENCE)


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


class Turnstile:
    """Where whoever passes can be held up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._permits = 0
        self._standing = 0

    def close(self) -> None:
        """Let nobody through."""
        with self._changed:
            self._open, self._permits = False, 0

    def open(self) -> None:
        """Let everybody through."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def let_one(self) -> None:
        """Let one through, and return when it has gone."""
        with self._changed:
            self._permits += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._permits == 0, PATIENCE)

    def await_one(self) -> None:
        """Return when somebody stands before it."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._standing > 0, PATIENCE), "nobody came"

    def go_through(self) -> None:
        with self._changed:
            self._standing += 1
            self._changed.notify_all()
            through = self._changed.wait_for(lambda: self._open or self._permits > 0, PATIENCE)
            self._standing -= 1
            self._permits = max(0, self._permits - 1)
            self._changed.notify_all()
        assert through, "the test forgot to open it"


class WatchedStore(Store):
    """Another store, whose transactions are counted, and held up or made to fail at will."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.way_in = Turnstile()
        """Before each transaction."""
        self.way_out = Turnstile()
        """After each transaction, before anybody is told of it."""
        self.applied: list[int] = []
        """How many leases each transaction touched."""
        self.pruned = 0
        self.gone: list[int] = []
        """What the next prunings say."""
        self.failure: Exception | None = None
        self.read_failure: Exception | None = None

    def apply(self, batch: Batch) -> bool:
        self.way_in.go_through()
        if self.failure is not None:
            raise self.failure
        applied = self.store.apply(batch)
        self.applied.append(len(batch.needs))
        self.way_out.go_through()
        return applied

    def get(self, key: Key) -> tuple[LeaseState, Instant]:
        if self.read_failure is not None:
            raise self.read_failure
        return self.store.get(key)

    def leases(self, namespace: str, model_uuid: str) -> tuple[list[LeaseState], Instant]:
        if self.read_failure is not None:
            raise self.read_failure
        return self.store.leases(namespace, model_uuid)

    def prune(self, idle_for: Micros, limit: int = 1000) -> int:
        self.pruned += 1
        gone = self.store.prune(idle_for, limit)
        return self.gone.pop(0) if self.gone else gone

    def __getattribute__(self, name: str) -> Any:
        # All else is the other store's: not what this class inherits from the protocol.
        inherited = Store.__dict__.get(name)
        if inherited is not None and getattr(type(self), name) is inherited:
            return getattr(self.store, name)
        return super().__getattribute__(name)
