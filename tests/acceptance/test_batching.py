"""What has gathered while a transaction was on its way goes into the next one, in order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pykka
import pytest
from acceptance.conftest import OpenManager
from acceptance.support import NS, PATIENCE, WatchedStore, key, pass_secretary, settle

from lease_actors import Check, Claim, ClaimDenied, Manager, NotHeld, Revoke

MINUTE = timedelta(minutes=1)


@pytest.fixture
def manager(open_manager: OpenManager, watched: WatchedStore) -> Manager:
    manager = open_manager(store=watched)
    settle(manager)
    return manager


class Gathered:
    """While it lasts a transaction hangs, and everything asked gathers behind it."""

    def __init__(self, manager: Manager, store: WatchedStore) -> None:
        self.manager, self.store = manager, store

    def __enter__(self) -> None:
        self.store.way_in.close()
        self.first = self.manager.ask(Claim(key("first"), "app-1", MINUTE), block=False)
        self.store.way_in.await_one()

    def __exit__(self, *_: object) -> None:
        pass_secretary(self.manager)
        self.store.applied.clear()
        self.store.way_in.open()
        self.first.get(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("operations", "batches"),
    [
        (1, [1]),
        (100, [100]),
        (256, [256]),
        (257, [256, 1]),
        (600, [256, 256, 88]),
    ],
)
def test_all_that_has_gathered_is_one_transaction_up_to_256(
    manager: Manager, watched: WatchedStore, operations: int, batches: list[int]
) -> None:
    with Gathered(manager, watched):
        futures: list[pykka.Future[Any]] = [
            manager.ask(Claim(key(f"db-{i}"), "app-1", MINUTE), block=False)
            for i in range(operations)
        ]
    leases = pykka.get_all(futures, timeout=PATIENCE)

    assert watched.applied == [1, *batches]  # the one that hung, and one lease an operation
    assert manager.report()["last-batch"] == batches[-1]
    assert [lease.key.lease for lease in leases] == [f"db-{i}" for i in range(operations)]


def test_order_within_a_transaction_is_the_order_of_asking(
    manager: Manager, watched: WatchedStore
) -> None:
    with Gathered(manager, watched):
        futures: list[pykka.Future[Any]] = []
        for i in range(80):
            futures += [
                manager.ask(Claim(key("db"), f"app-{i}", MINUTE), block=False),
                manager.ask(Check(key("db"), f"app-{i}"), block=False),
                manager.ask(Revoke(key("db"), f"app-{i}"), block=False),
            ]
    answers = [f.get(timeout=PATIENCE) for f in futures]

    assert watched.applied == [1, 1]  # the one that hung, and all the others on one lease
    assert [lease.term for lease in answers[::3]] == list(range(1, 81))
    assert set(answers[1::3]) == set(answers[2::3]) == {None}


def test_queue_has_the_order_of_asking_too(manager: Manager, watched: WatchedStore) -> None:
    claimer = manager.claimer(NS)
    with Gathered(manager, watched):
        futures = [claimer.claim_future("db", f"app-{i}", 60) for i in range(300)]
    assert futures[0].get(timeout=PATIENCE).term == 1
    settle(manager)
    waiting = manager.reader(NS).waiting("db")
    assert [w.holder for w in waiting] == [f"app-{i}" for i in range(1, 300)]


def test_refusal_in_a_transaction_is_its_own(manager: Manager, watched: WatchedStore) -> None:
    with Gathered(manager, watched):
        good = manager.ask(Claim(key("db"), "app-1", MINUTE), block=False)
        denied = manager.ask(Claim(key("db"), "app-2", MINUTE), block=False)
        not_held = manager.ask(Check(key("db"), "app-2"), block=False)
        check = manager.ask(Check(key("db"), "app-1"), block=False)
    assert good.get(timeout=PATIENCE).term == 1
    with pytest.raises(ClaimDenied):
        denied.get(timeout=PATIENCE)
    with pytest.raises(NotHeld):
        not_held.get(timeout=PATIENCE)
    assert check.get(timeout=PATIENCE) is None
    assert len(watched.applied) == 2


def test_claim_whose_caller_has_gone_is_not_in_the_transaction(
    manager: Manager, watched: WatchedStore
) -> None:
    claimer = manager.claimer(NS)
    with Gathered(manager, watched):
        gone = [claimer.claim_future(f"db-{i}", "app-1", 60) for i in range(10)]
        stays = claimer.claim_future("db", "app-1", 60)
        assert all(future.cancel() for future in gone)
    assert stays.get(timeout=PATIENCE).term == 1
    assert watched.applied == [1, 1]
    assert manager.reader(NS).leases() == {"first": "app-1", "db": "app-1"}


def test_nobody_is_answered_before_the_commit(manager: Manager, watched: WatchedStore) -> None:
    watched.way_out.close()
    future = manager.claimer(NS).claim_future("db", "app-1", 60)
    watched.way_out.await_one()
    with pytest.raises(pykka.Timeout):
        future.get(timeout=0)
    watched.way_out.open()
    assert future.get(timeout=PATIENCE).term == 1
