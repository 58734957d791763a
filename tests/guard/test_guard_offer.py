"""A guard in a block of hold() that has begun with an offer waits until that is confirmed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from acceptance.support import Turnstile
from guard.desks import LONG, NS, Desk, laid_out
from support.managers import Calling, until

from lease_actors import LeaseLost, Manager, ManagerConfig, NotHeld, SqlStore
from lease_actors.core.model import Key
from lease_actors.held import HeldLease, Hold
from lease_actors.stores.base import Batch, Heard, Listener, Peek


class HeldUpStore(SqlStore):
    """Its transactions can be held up; says when notices arrive."""

    def __init__(self, url: Any) -> None:
        super().__init__(url)
        self.way_in = Turnstile()
        self.looking = threading.Lock()
        """Whoever has it keeps the manager from seeing what it is to hear of."""
        self.listener: Listener | None = None

    def apply(self, batch: Batch) -> bool:
        self.way_in.go_through()
        return super().apply(batch)

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        with self.looking:
            return super().peek(start, keys)

    def listen(self, start: str, heard: Heard) -> Listener | None:
        self.listener = super().listen(start, heard)
        return self.listener

    def hears(self) -> bool:
        return self.listener is not None and self.listener.working


@pytest.fixture
def desk(postgresql_url: str) -> Iterator[Desk]:
    with laid_out(postgresql_url, "READ COMMITTED") as desk:
        yield desk


@pytest.fixture
def store(desk: Desk, postgresql_url: str) -> Iterator[HeldUpStore]:
    store = HeldUpStore(postgresql_url)
    yield store
    store.way_in.open()


@pytest.fixture
def other(store: HeldUpStore) -> Iterator[Manager]:
    with Manager(ManagerConfig(store)) as manager:
        yield manager
        store.way_in.open()


@pytest.fixture
def on_offer(desk: Desk, store: HeldUpStore, other: Manager) -> tuple[Hold, HeldLease]:
    """A hold of the other manager's that has begun, and cannot be confirmed."""
    desk.claimer.claim("app", "first", LONG)
    hold = other.claimer(NS).hold("app", "me", 60)
    entering = Calling(hold.__enter__)
    until(lambda: bool(desk.manager.reader(NS).waiting("app")), "its place in the queue")
    until(store.hears, "notices arrive")
    store.way_in.close()
    with store.looking:
        desk.revoker.revoke("app", "first")
        return hold, entering.outcome()


def guarding(desk: Desk, lease: HeldLease) -> Calling:
    """A guarded write in a thread, which waits for the confirmation when this returns."""

    def write() -> None:
        with desk.user.begin() as connection:
            lease.guard(connection)
            desk.write(connection, lease.holder)

    call, settled = Calling(write), lease._share.kept.settled
    assert settled is not None
    until(lambda: bool(settled._cond._waiters), "the guard waits")  # type: ignore[attr-defined]
    return call


def test_it_holds_once_the_offer_is_confirmed(
    desk: Desk, store: HeldUpStore, on_offer: tuple[Hold, HeldLease]
) -> None:
    hold, lease = on_offer
    call = guarding(desk, lease)
    store.way_in.open()
    call.outcome()
    assert desk.written() == ["me"]
    with desk.user.begin() as connection:
        lease.guard(connection)  # and waits for nothing any more
    hold.__exit__(None, None, None)


def test_it_says_not_held_if_the_offer_has_gone_to_somebody_else(
    desk: Desk, store: HeldUpStore, on_offer: tuple[Hold, HeldLease]
) -> None:
    hold, lease = on_offer
    call = guarding(desk, lease)
    after = desk.waits_for("app", "next")
    desk.revoker.revoke("app", "me")
    assert after.outcome().term == 3
    store.way_in.open()
    with pytest.raises(NotHeld):
        call.outcome()
    assert desk.written() == []
    with pytest.raises(LeaseLost):
        hold.__exit__(None, None, None)
