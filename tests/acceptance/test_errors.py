"""Errors say what was tried, on which lease, for whom; and they survive a process boundary."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, PATIENCE, WatchedStore, key, settle

from lease_actors import (
    ClaimDenied,
    LeaseError,
    LeaseLost,
    LeasePinned,
    LeaseTimeout,
    Manager,
    ManagerStopped,
    MemoryStore,
    NotHeld,
    NotValid,
    StoreError,
    WaitCancelled,
    WaitTimeout,
    errors,
)
from lease_actors.testing import FakeClock

KINDS: list[type[LeaseError]] = [
    NotValid,
    ClaimDenied,
    NotHeld,
    LeasePinned,
    WaitTimeout,
    WaitCancelled,
    LeaseLost,
    LeaseTimeout,
    StoreError,
    ManagerStopped,
]


@pytest.fixture
def store() -> MemoryStore:
    """Errors do not depend on the kind of store."""
    return MemoryStore()


def same_after_a_journey(error: LeaseError) -> LeaseError:
    """The error, pickled and back in every way there is."""
    travelled = error
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        travelled = pickle.loads(pickle.dumps(error, protocol))
        assert type(travelled) is type(error)
        assert str(travelled) == str(error)
        assert travelled.args == error.args
        assert travelled.key == error.key
        assert vars(travelled) == vars(error)
    return travelled


def test_all_errors_are_under_one_root() -> None:
    assert {getattr(errors, name) for name in errors.__all__} == {LeaseError, *KINDS}
    assert all(issubclass(kind, LeaseError) for kind in KINDS)
    assert not issubclass(LeaseError, ValueError | TimeoutError)
    assert issubclass(NotValid, ValueError)
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(LeaseTimeout, TimeoutError)


@pytest.mark.parametrize("kind", [LeaseError, *KINDS])
def test_error_can_be_pickled_with_its_key(kind: type[LeaseError]) -> None:
    error = same_after_a_journey(kind("cannot do it", key=key("db")))
    assert error.key == (NS, "", "db")
    assert same_after_a_journey(kind("cannot do it")).key is None


@pytest.mark.parametrize("reason", ["expired", "revoked", "taken", "stopped", "unknown"])
def test_loss_keeps_its_reason(reason: str) -> None:
    error = same_after_a_journey(LeaseLost("lost", key=key("db"), reason=reason))
    assert isinstance(error, LeaseLost)
    assert error.reason == reason
    assert LeaseLost("lost").reason == "unknown"


class Provoker:
    """Has every kind of error raised by a manager."""

    def __init__(self, manager: Manager, store: WatchedStore, clock: FakeClock, run: Run) -> None:
        self.manager, self.store, self.clock, self.run = manager, store, clock, run
        self.claimer = manager.claimer(NS)
        self.claimer.claim("db", "owner", 3600)

    def not_valid(self) -> None:
        self.claimer.claim("db", "bad one", 60)

    def claim_denied(self) -> None:
        self.claimer.claim("db", "app-1", 60)

    def not_held_by_check(self) -> None:
        self.manager.checker(NS).token("db", "app-1").check()

    def not_held_by_revoke(self) -> None:
        self.manager.revoker(NS).revoke("db", "app-1")

    def lease_pinned(self) -> None:
        self.manager.pinner(NS).pin("db", "upgrade")
        self.manager.revoker(NS).revoke("db", "owner")

    def wait_timeout(self) -> None:
        future = self.claimer.claim_future("db", "app-1", 60, wait=5)
        settle(self.manager)
        self.clock.advance(5)
        future.get(timeout=PATIENCE)

    def wait_cancelled(self) -> None:
        future = self.claimer.claim_future("db", "app-1", 60)
        assert future.cancel()
        future.get(timeout=PATIENCE)

    def lease_timeout(self) -> None:
        self.store.way_in.close()
        future = self.claimer.claim_future("db", "app-1", 60)
        self.store.way_in.await_one()
        self.clock.advance(30)
        self.store.way_in.open()
        future.get(timeout=PATIENCE)

    def store_error(self) -> None:
        settle(self.manager)
        self.store.failure = RuntimeError("the disk is gone")
        try:
            self.claimer.claim("db", "app-1", 60)
        finally:
            self.store.failure = None

    def manager_stopped(self) -> None:
        self.manager.kill()
        self.claimer.claim("db", "app-1", 60)


@pytest.fixture
def provoker(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock, run: Run
) -> Iterator[Provoker]:
    manager = open_manager(store=watched, attempt_timeout=100)
    yield Provoker(manager, watched, clock, run)
    watched.way_in.open()


@pytest.mark.parametrize(
    ("provoke", "kind", "says"),
    [
        (Provoker.not_valid, NotValid, "cannot claim lease for holder 'bad one': "),
        (Provoker.claim_denied, ClaimDenied, "cannot claim lease 'db' for holder 'app-1': 'owner'"),
        (Provoker.not_held_by_check, NotHeld, "checked lease 'db': 'app-1' does not hold it"),
        (Provoker.not_held_by_revoke, NotHeld, "cannot revoke lease 'db': 'app-1' does not hold"),
        (Provoker.lease_pinned, LeasePinned, "cannot revoke lease 'db' from holder 'owner': "),
        (Provoker.wait_timeout, WaitTimeout, "cannot claim lease 'db' for holder 'app-1': "),
        (Provoker.wait_cancelled, WaitCancelled, "cannot claim lease 'db' for holder 'app-1': "),
        (Provoker.lease_timeout, LeaseTimeout, "cannot claim lease 'db' for holder 'app-1': "),
        (Provoker.store_error, StoreError, "cannot claim lease 'db' for holder 'app-1': "),
        (Provoker.manager_stopped, ManagerStopped, "cannot claim lease 'db' for holder 'app-1': "),
    ],
)
def test_error_says_what_was_tried_on_which_lease_for_whom(
    provoker: Provoker,
    provoke: Callable[[Provoker], None],
    kind: type[LeaseError],
    says: str,
) -> None:
    with pytest.raises(LeaseError) as error:
        provoke(provoker)
    assert type(error.value) is kind
    assert str(error.value).startswith(says)
    assert error.value.key == key("db")
    same_after_a_journey(error.value)


def test_store_error_has_its_cause_and_its_neighbours_have_none(provoker: Provoker) -> None:
    with pytest.raises(StoreError, match="the disk is gone") as error:
        provoker.store_error()
    assert isinstance(error.value.__cause__, RuntimeError)
    assert provoker.claimer.claim("cache", "app-1", 60).term == 1


def test_denial_says_what_to_do(provoker: Provoker) -> None:
    with pytest.raises(ClaimDenied, match=r"\(claim with wait=… to queue\)"):
        provoker.claim_denied()
    with pytest.raises(LeasePinned, match=r"pinned by 'upgrade' \(unpin it first\)"):
        provoker.lease_pinned()


def test_error_of_a_future_is_the_same_each_time(provoker: Provoker) -> None:
    future = provoker.claimer.claim_future("db", "bad one", 60)
    messages = set()
    for _ in range(2):
        with pytest.raises(NotValid) as error:
            future.get(timeout=PATIENCE)
        messages.add(str(error.value))
    assert len(messages) == 1
