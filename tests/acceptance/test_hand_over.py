"""The end of a tenure gives the lease to the queue's first, in one step."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta

import pytest
from acceptance.conftest import Run
from acceptance.support import NS, PATIENCE, is_pending, key, pass_time, settle

from lease_actors import ClaimDenied, Claimer, Lease, Manager, NotHeld
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


def test_revocation_hands_over(claimer: Claimer, manager: Manager, clock: FakeClock) -> None:
    claimer.claim("db", "app-1", 60)
    future = claimer.claim_future("db", "app-2", 7)
    pass_time(manager, clock, 10)

    manager.revoker(NS).revoke("db", "app-1")

    lease = future.get(timeout=PATIENCE)
    assert (lease.holder, lease.term, lease.key) == ("app-2", 2, key("db"))
    assert lease.duration == lease.expiry - lease.granted_at == timedelta(seconds=7)
    assert lease.remaining() == timedelta(seconds=7)  # it was not its duration that it waited
    manager.checker(NS).token("db", "app-2").check()
    with pytest.raises(NotHeld, match="'app-1' does not hold it, 'app-2' does"):
        manager.checker(NS).token("db", "app-1").check()


def test_expiry_hands_over_by_itself_at_its_instant(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    first = claimer.claim("db", "app-1", 60)
    future = claimer.claim_future("db", "app-2", 7)

    pass_time(manager, clock, 59.999_999)
    assert is_pending(future)
    pass_time(manager, clock, 0.000_001)

    lease = future.get(timeout=PATIENCE)
    assert (lease.term, lease.granted_at) == (2, first.expiry)


def test_one_tenure_after_the_other_is_handed_on(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-0", 10)
    futures = [claimer.claim_future("db", f"app-{i}", 10) for i in range(1, 5)]
    for i in range(4):
        assert [is_pending(f) for f in futures] == [False] * i + [True] * (4 - i)
        pass_time(manager, clock, 10)
    leases = [f.get() for f in futures]
    assert [lease.term for lease in leases] == [2, 3, 4, 5]
    assert all(a.expiry == b.granted_at for a, b in itertools.pairwise(leases))


def test_withdrawn_attribution_hands_over(claimer: Claimer, manager: Manager) -> None:
    """What a claim withdrawn too late gives back is released, and goes to the next."""
    claimer.claim("db", "app-0", 10)
    winners = 0
    for i in range(20):
        leaving = claimer.claim_future("db", f"leaving-{i}", 10)
        staying = claimer.claim_future("db", f"staying-{i}", 10)
        settle(manager)
        holder = manager.reader(NS).leases()["db"]
        revocation = threading.Thread(target=manager.revoker(NS).revoke, args=("db", holder))
        revocation.start()
        cancelled = leaving.cancel()
        revocation.join(PATIENCE)
        if cancelled:
            winners += 1
            assert staying.get(timeout=PATIENCE).holder == f"staying-{i}"
        else:
            assert leaving.get(timeout=PATIENCE).holder == f"leaving-{i}"
            manager.revoker(NS).revoke("db", f"leaving-{i}")
            staying.get(timeout=PATIENCE)
    settle(manager)
    assert manager.reader(NS).leases() == {"db": "staying-19"}
    assert manager.report()["blocked-claims"] == 0


def test_only_the_winner_wakes(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-0", 60)
    futures = [claimer.claim_future("db", f"app-{i}", 60) for i in range(1, 21)]
    elsewhere = claimer.claim("other", "app-0", 60)
    others = claimer.claim_future("other", "app-1", 60)
    manager.revoker(NS).revoke("db", "app-0")
    settle(manager)

    assert [is_pending(f) for f in futures] == [False] + [True] * 19
    assert is_pending(others)
    assert manager.reader(NS).get("other") == elsewhere
    assert [w.holder for w in manager.reader(NS).waiting("db")] == [
        f"app-{i}" for i in range(2, 21)
    ]


def test_lease_is_never_seen_free_between_two_holders(real_manager: Manager, run: Run) -> None:
    claimer = real_manager.claimer(NS)
    revoker, reader = real_manager.revoker(NS), real_manager.reader(NS)
    claimer.claim("db", "app-0", 60)
    futures = [claimer.claim_future("db", f"app-{i}", 60) for i in range(1, 31)]
    settle(real_manager)
    seen: list[Lease | None] = []
    denied: list[Exception | Lease] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(reader.get("db"))

    def barge_in() -> None:
        while not over.is_set():
            try:
                denied.append(claimer.claim("db", "barger", 60))
            except ClaimDenied as error:
                denied.append(error)

    calls = [run(look), run(barge_in)]
    for i, future in enumerate(futures):
        revoker.revoke("db", f"app-{i}")
        future.get(timeout=PATIENCE)
    over.set()
    for call in calls:
        call.outcome()

    terms = [lease.term for lease in seen if lease is not None]
    assert len(terms) == len(seen)
    assert terms == sorted(terms)
    assert {type(error) for error in denied} <= {ClaimDenied}


def test_lease_that_nobody_waits_for_is_free(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    manager.revoker(NS).revoke("db", "app-1")
    assert manager.reader(NS).get("db") is None
    assert claimer.claim("db", "app-2", 60).term == 2
