"""The raw door: operations in, their outcomes or futures of them out."""

from __future__ import annotations

import gc
from datetime import timedelta
from functools import partial
from typing import Any

import pykka
import pytest
from acceptance.conftest import OpenManager
from acceptance.support import NS, PATIENCE, WatchedStore, is_pending, key, settle
from support.managers import NO_TIMES

from lease_actors import (
    Check,
    Claim,
    ClaimDenied,
    Key,
    Lease,
    LeasePinned,
    Manager,
    NotHeld,
    NotValid,
    Pin,
    Revoke,
    Unpin,
    WaitCancelled,
)
from lease_actors.core.model import ClaimId
from lease_actors.core.operations import Expire, Release, Wait

MINUTE = timedelta(minutes=1)


def claim(holder: str = "app-1", lease: str = "db") -> Claim:
    return Claim(key(lease), holder, MINUTE)


def test_ask_gives_what_the_capability_gives_and_raises_what_it_raises(manager: Manager) -> None:
    lease = manager.ask(claim())
    assert isinstance(lease, Lease)
    assert (lease.holder, lease.term, lease.remaining()) == ("app-1", 1, MINUTE)
    assert manager.ask(Check(key("db"), "app-1")) is None
    assert manager.ask(Pin(key("db"), "upgrade")) is None
    with pytest.raises(LeasePinned):
        manager.ask(Revoke(key("db"), "app-1"))
    assert manager.ask(Unpin(key("db"), "upgrade")) is None
    with pytest.raises(ClaimDenied):
        manager.ask(claim("app-2"))
    assert manager.ask(Revoke(key("db"), "app-1")) is None
    with pytest.raises(NotHeld):
        manager.ask(Check(key("db"), "app-1"))
    with pytest.raises(NotValid, match=r"^cannot claim lease for holder 'bad name': "):
        manager.ask(claim("bad name"))


def test_duration_may_be_seconds_here_as_well(manager: Manager) -> None:
    lease = manager.ask(Claim(key("db"), "app-1", 60))  # type: ignore[arg-type]
    assert lease.duration == MINUTE


def test_ask_without_blocking_gives_a_future(manager: Manager) -> None:
    future = manager.ask(claim(), block=False)
    assert isinstance(future, pykka.Future)
    assert future.get(timeout=PATIENCE).term == 1
    assert future.get().term == 1
    denied = manager.ask(claim("app-2"), block=False)
    for _ in range(2):
        with pytest.raises(ClaimDenied):
            denied.get(timeout=PATIENCE)


def test_asked_claim_never_queues(manager: Manager) -> None:
    manager.ask(claim())
    with pytest.raises(ClaimDenied):
        manager.ask(Claim(key("db"), "app-2", MINUTE, ClaimId("somebody", 1)))
    assert manager.reader(NS).waiting("db") == []


def test_future_is_what_pykka_knows(manager: Manager) -> None:
    futures = [manager.ask(claim(lease=f"db-{i}"), block=False) for i in range(4)]
    leases = pykka.get_all(futures, timeout=PATIENCE)
    assert [lease.key.lease for lease in leases] == ["db-0", "db-1", "db-2", "db-3"]

    first, *others = futures
    assert first.map(lambda lease: lease.term).get(timeout=PATIENCE) == 1
    joined = first.join(*others)
    terms = joined.map(lambda leases: [lease.term for lease in leases])
    assert terms.get(timeout=PATIENCE) == [1, 1, 1, 1]
    assert terms.reduce(lambda a, b: a + b).get(timeout=PATIENCE) == 4
    assert joined.filter(lambda lease: lease.key.lease > "db-1").get(timeout=PATIENCE) == leases[2:]

    done = manager.ask(Check(key("db-0"), "app-1"), block=False)
    assert done.map(lambda nothing: nothing is None).get(timeout=PATIENCE)
    denied = manager.ask(claim("app-2", "db-0"), block=False)
    with pytest.raises(ClaimDenied):
        denied.map(lambda lease: lease.term).get(timeout=PATIENCE)


def test_claim_future_may_be_mapped_and_cancelled(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    future = claimer.claim_future("db", "app-2", 60)
    term = future.map(lambda lease: lease.term)
    with pytest.raises(pykka.Timeout):
        term.get(timeout=0.001)
    manager.revoker(NS).revoke("db", "app-1")
    assert term.get(timeout=PATIENCE) == 2
    left = claimer.claim_future("db", "app-3", 60)
    holder = left.map(lambda lease: lease.holder)
    assert left.cancel()
    with pytest.raises(WaitCancelled):
        holder.get(timeout=PATIENCE)


def test_future_that_is_derived_from_a_claims_cancels_nothing(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    future = claimer.claim_future("db", "app-2", 60)
    settle(manager)
    term: Any = future.map(lambda lease: lease.term)
    assert not term.cancel()
    with term:
        pass
    settle(manager)
    assert [w.holder for w in manager.reader(NS).waiting("db")] == ["app-2"]
    manager.revoker(NS).revoke("db", "app-1")
    assert term.get(timeout=PATIENCE) == 2
    assert not term.cancel()


def test_a_claim_that_was_asked_and_left_is_given_back(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    watched.way_out.close()
    with pytest.raises(pykka.Timeout):
        manager.ask(claim("app-1"), timeout=0.001)
    watched.way_out.open()
    assert manager.claimer(NS).claim("db", "app-2", 60, wait=PATIENCE).holder == "app-2"


@pytest.mark.parametrize("timeout", [0.01, timedelta(milliseconds=10)])
def test_get_and_ask_that_take_too_long_raise_pykkas_timeout(
    open_manager: OpenManager, watched: WatchedStore, timeout: float | timedelta
) -> None:
    manager = open_manager(store=watched)
    watched.way_in.close()
    future = manager.ask(claim(), block=False)
    for late in (future, future.map(lambda lease: lease.term)):
        with pytest.raises(pykka.Timeout, match=r"0\.01 seconds"):
            late.get(timeout=timeout)
    with pytest.raises(pykka.Timeout):
        manager.ask(Check(key("db"), "app-1"), timeout=timeout)
    assert is_pending(future)

    watched.way_in.open()
    assert future.get(timeout=PATIENCE).holder == "app-1"


@pytest.mark.parametrize("timeout", NO_TIMES)
def test_what_is_no_time_to_wait_is_refused_and_nothing_is_sent(
    manager: Manager, timeout: Any
) -> None:
    for block in (True, False):
        with pytest.raises(NotValid, match=r"cannot claim lease 'db' .* not a time to wait") as e:
            manager.ask(claim(), block=block, timeout=timeout)
        assert e.value.key == key("db")
    settle(manager)
    assert manager.reader(NS).get("db") is None


@pytest.mark.parametrize("timeout", NO_TIMES)
def test_get_takes_a_time_that_is_negative_for_over_as_pykka_does(
    manager: Manager, timeout: Any
) -> None:
    manager.ask(claim())
    pending = manager.claimer(NS).claim_future("db", "app-2", 60)
    negative = timeout in (-1, -0.001, timedelta(-1))
    with pytest.raises(pykka.Timeout if negative else NotValid):
        pending.get(timeout=timeout)
    assert is_pending(pending)
    manager.revoker(NS).revoke("db", "app-1")
    assert pending.get(timeout=timedelta.max).term == 2


def test_tell_does_it_and_says_nothing(manager: Manager) -> None:
    assert manager.tell(claim()) is None  # type: ignore[func-returns-value]
    manager.tell(claim("app-2"))  # denied, and nobody hears of it
    manager.tell(claim("bad name"))
    manager.tell(Pin(key("db"), "upgrade"))
    gc.collect()
    settle(manager)
    lease = manager.reader(NS).get("db")
    assert lease is not None
    assert (lease.holder, lease.pinned) == ("app-1", True)


def test_what_was_told_is_done_in_order(manager: Manager) -> None:
    for i in range(50):
        manager.tell(claim(f"app-{i}"))
        manager.tell(Revoke(key("db"), f"app-{i}"))
    assert manager.ask(claim("last")).term == 51


@pytest.mark.parametrize(
    "message",
    [
        None,
        "claim",
        Wait(Key(NS, "", "db")),
        Expire(Key(NS, "", "db")),
        Release(Key(NS, "", "db"), "app-1", 1),
        Claim,
    ],
)
def test_only_public_operations_come_in(manager: Manager, message: object) -> None:
    lease = manager.ask(claim())
    for send in (manager.ask, manager.tell, partial(manager.ask, block=False)):
        with pytest.raises(NotValid, match="is not a Claim, Revoke, Check, Pin or Unpin"):
            send(message)  # type: ignore[operator]
    settle(manager)
    assert manager.reader(NS).get("db") == lease


def test_unknown_namespace_is_refused_at_once(manager: Manager) -> None:
    for send in (manager.ask, manager.tell):
        with pytest.raises(NotValid, match="'no namespace'"):
            send(Claim(Key("no namespace", "", "db"), "app-1", MINUTE))  # type: ignore[operator]
