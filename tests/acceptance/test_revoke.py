"""A revocation ends whatever tenure that holder has."""

from __future__ import annotations

from datetime import timedelta

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, PATIENCE, WatchedStore, key, settle
from support.faults import FaultyStore, guarded
from support.managers import waits

from lease_actors import Claimer, LeaseTimeout, Manager, NotHeld, NotValid, Revoker
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


@pytest.fixture
def revoker(manager: Manager) -> Revoker:
    return manager.revoker(NS)


def test_holder_has_the_lease_no_more(claimer: Claimer, revoker: Revoker, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    revoker.revoke("db", "app-1")
    assert manager.reader(NS).leases() == {}
    with pytest.raises(NotHeld):
        manager.checker(NS).token("db", "app-1").check()


def test_what_nobody_holds_is_revoked_already(
    claimer: Claimer, revoker: Revoker, clock: FakeClock
) -> None:
    revoker.revoke("never-claimed", "app-1")
    claimer.claim("db", "app-1", 10)
    clock.advance(10)
    revoker.revoke("db", "app-2")
    revoker.revoke("db", "app-1")
    revoker.revoke("db", "app-1")


def test_lease_of_another_is_not_revoked(
    claimer: Claimer, revoker: Revoker, manager: Manager
) -> None:
    lease = claimer.claim("db", "app-1", 60)
    with pytest.raises(
        NotHeld, match="cannot revoke lease 'db': 'app-2' does not hold it, 'app-1' does"
    ) as e:
        revoker.revoke("db", "app-2")
    assert e.value.key == key("db")
    assert manager.reader(NS).get("db") == lease


def test_every_tenure_of_that_holder_is_ended(claimer: Claimer, revoker: Revoker) -> None:
    """A revocation names no term: it ends the tenure that stands, however often extended."""
    for term in range(1, 4):
        assert claimer.claim("db", "app-1", 60).term == term
        claimer.claim("db", "app-1", 90)
        revoker.revoke("db", "app-1")


def test_claims_of_the_revoked_holder_that_are_blocked_stay_in_the_queue(
    claimer: Claimer, revoker: Revoker, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    first = claimer.claim_future("db", "app-2", 60)
    settle(manager)
    with pytest.raises(NotHeld):
        revoker.revoke("db", "app-2")  # it waits, but does not hold
    assert [w.holder for w in manager.reader(NS).waiting("db")] == ["app-2"]
    revoker.revoke("db", "app-1")
    assert first.get(timeout=PATIENCE).term == 2


def test_only_that_lease_in_that_place_is_revoked(
    claimer: Claimer, revoker: Revoker, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 60)
    claimer.claim("cache", "app-1", 60)
    manager.claimer(NS, "model").claim("db", "app-1", 60)
    revoker.revoke("db", "app-1")
    assert manager.reader(NS).leases() == {"cache": "app-1"}
    assert manager.reader(NS, "model").leases() == {"db": "app-1"}


def test_names_are_validated_the_lease_first(revoker: Revoker) -> None:
    with pytest.raises(NotValid, match=r"^cannot revoke lease 'bad name': "):
        revoker.revoke("bad name", "bad holder")
    with pytest.raises(NotValid, match=r"^cannot revoke lease for holder 'bad holder': "):
        revoker.revoke("db", "bad holder")
    with pytest.raises(NotValid, match="not a time to wait"):
        revoker.revoke("db", "app-1", timeout=-1)


@pytest.mark.parametrize("timeout", [2, timedelta(seconds=2), None])
def test_revocation_whose_answer_does_not_come_in_time_promises_nothing(
    open_manager: OpenManager,
    watched: WatchedStore,
    clock: FakeClock,
    run: Run,
    timeout: float | timedelta | None,
) -> None:
    # None is the manager's own patience, which is two seconds here as well.
    manager = open_manager(store=watched, call_timeout=2, attempt_timeout=60)
    manager.claimer(NS).claim("db", "app-1", 60)
    settle(manager)
    watched.way_in.close()
    call = run(lambda: manager.revoker(NS).revoke("db", "app-1", timeout=timeout))
    watched.way_in.await_one()
    clock.wait_for_sleepers(2)  # the alarm, and the caller
    clock.advance(1.999_999)
    assert not call.is_over

    clock.advance(0.000_001)
    with pytest.raises(LeaseTimeout, match="cannot revoke lease 'db' for holder 'app-1'") as e:
        call.outcome()
    assert e.value.key == key("db")
    watched.way_in.open()


def test_revocation_that_waits_for_a_guard_says_so_when_its_time_is_over(
    open_manager: OpenManager, clock: FakeClock, run: Run
) -> None:
    store = FaultyStore()
    manager = open_manager(store=store)
    manager.claimer(NS).claim("db", "app-1", 60)
    store.always(guarded)
    call = run(lambda: manager.revoker(NS).revoke("db", "app-1", timeout=30))
    waits(manager, 1)
    clock.advance(30)
    with pytest.raises(LeaseTimeout) as e:
        call.outcome()
    assert str(e.value) == (
        "cannot revoke lease 'db' for holder 'app-1': a transaction guards the lease, which ends with"
        " that transaction (revoke it again to wait for that)"
    )
    with pytest.raises(NotHeld):
        manager.checker(NS).token("db", "app-1").check()
