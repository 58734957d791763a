"""Pins keep a lease from expiry and revocation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from acceptance.conftest import OpenManager
from acceptance.support import NS, PATIENCE, is_pending, key, pass_secretary, pass_time, settle
from support.faults import FaultyStore, HangAfterCommit
from support.managers import Calling, managing

from lease_actors import (
    ClaimDenied,
    Claimer,
    Key,
    Lease,
    LeasePinned,
    LeaseTimeout,
    Manager,
    NotHeld,
    NotValid,
    Pinner,
)
from lease_actors.secretaries import DefaultSecretary, Secretaries
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


@pytest.fixture
def pinner(manager: Manager) -> Pinner:
    return manager.pinner(NS)


def read(manager: Manager, lease: str = "db") -> Lease:
    found = manager.reader(NS).get(lease)
    assert found is not None
    return found


def test_pinned_lease_does_not_expire(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    lease = claimer.claim("db", "app-1", 10)
    pinner.pin("db", "upgrade")
    pass_time(manager, clock, 100_000)

    assert read(manager).term == lease.term
    assert read(manager).pinned
    manager.checker(NS).token("db", "app-1").check()
    with pytest.raises(ClaimDenied, match="'app-1' holds it"):
        claimer.claim("db", "app-2", 10)


def test_pinned_lease_cannot_be_revoked(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    revoker = manager.revoker(NS)
    claimer.claim("db", "app-1", 10)
    for entity in ("machine-1", "machine-2"):
        pinner.pin("db", entity)
    for _ in range(2):
        with pytest.raises(LeasePinned, match=r"'db' .*pinned by 'machine-1', 'machine-2'") as e:
            revoker.revoke("db", "app-1")
        assert e.value.key == key("db")
        clock.advance(20)
    with pytest.raises(NotHeld):
        revoker.revoke("db", "app-2")

    pinner.unpin("db", "machine-1")
    with pytest.raises(LeasePinned, match="by 'machine-2'"):
        revoker.revoke("db", "app-1")
    pinner.unpin("db", "machine-2")
    revoker.revoke("db", "app-1")
    assert manager.reader(NS).leases() == {}


def test_pinning_twice_is_once(claimer: Claimer, pinner: Pinner) -> None:
    claimer.claim("db", "app-1", 10)
    pinner.pin("db", "upgrade")
    pinner.pin("db", "upgrade")
    assert pinner.pinned() == {"db": ["upgrade"]}
    pinner.unpin("db", "upgrade")
    assert pinner.pinned() == {}


def test_unpinning_what_is_not_pinned_is_nothing(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    pinner.unpin("never-seen", "upgrade")
    lease = claimer.claim("db", "app-1", 10)
    clock.advance(5)
    pinner.unpin("db", "upgrade")
    assert read(manager) == lease

    pinner.pin("db", "upgrade")
    pinner.unpin("db", "another")
    assert pinner.pinned() == {"db": ["upgrade"]}
    assert read(manager).expiry == lease.expiry


def test_each_entity_pins_for_itself(claimer: Claimer, pinner: Pinner) -> None:
    claimer.claim("db", "app-1", 10)
    for entity in ("machine-2", "machine-1", "machine-3"):
        pinner.pin("db", entity)
    pinner.unpin("db", "machine-3")
    assert pinner.pinned() == {"db": ["machine-1", "machine-2"]}


def test_pinned_lists_exactly_its_namespace_and_model(pinner: Pinner, manager: Manager) -> None:
    for place in ((NS, "model"), ("other", "")):
        manager.pinner(*place).pin("db", "elsewhere")
    pinner.pin("db", "here")
    pinner.pin("cache", "here")
    manager.claimer(NS).claim("unpinned", "app-1", 60)

    assert pinner.pinned() == {"db": ["here"], "cache": ["here"]}
    assert manager.pinner(NS, "model").pinned() == {"db": ["elsewhere"]}


@pytest.mark.parametrize("late", [3, 10, 500])
def test_when_the_last_pin_goes_the_holder_has_its_full_duration_again(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock, late: float
) -> None:
    lease = claimer.claim("db", "app-1", 10)
    for entity in ("machine-1", "machine-2"):
        pinner.pin("db", entity)
    pass_time(manager, clock, late)

    pinner.unpin("db", "machine-1")
    assert read(manager).expiry == lease.expiry
    pinner.unpin("db", "machine-2")

    after = read(manager)
    assert after.expiry == lease.granted_at + timedelta(seconds=late + 10)
    assert (after.term, after.pinned) == (lease.term, False)
    pass_time(manager, clock, 9.999_999)
    manager.checker(NS).token("db", "app-1").check()
    pass_time(manager, clock, 0.000_001)
    assert manager.reader(NS).get("db") is None


def test_full_duration_is_the_one_of_the_last_extension_that_moved_the_expiry(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 10)
    pinner.pin("db", "upgrade")
    claimer.claim("db", "app-1", 60)
    claimer.claim("db", "app-1", 5)
    clock.advance(1000)
    pinner.unpin("db", "upgrade")
    assert read(manager).remaining() == timedelta(seconds=60)


def test_last_pin_that_goes_shortens_nothing(
    claimer: Claimer, pinner: Pinner, manager: Manager
) -> None:
    lease = claimer.claim("db", "app-1", 10)
    pinner.pin("db", "upgrade")
    pinner.unpin("db", "upgrade")
    assert read(manager) == lease


def test_pin_on_a_lease_that_nobody_holds_waits_for_the_next_claimant(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    pinner.pin("db", "upgrade")
    assert pinner.pinned() == {"db": ["upgrade"]}
    assert manager.reader(NS).get("db") is None
    clock.advance(1000)

    lease = claimer.claim("db", "app-1", 10)
    assert lease.pinned
    pass_time(manager, clock, 1000)
    with pytest.raises(LeasePinned):
        manager.revoker(NS).revoke("db", "app-1")
    pinner.unpin("db", "upgrade")
    assert read(manager).remaining() == timedelta(seconds=10)


def test_pin_that_came_before_a_claim_may_go_before_it_too(
    claimer: Claimer, pinner: Pinner
) -> None:
    pinner.pin("db", "upgrade")
    pinner.unpin("db", "upgrade")
    assert not claimer.claim("db", "app-1", 10).pinned


def test_pinning_what_has_expired_does_not_revive_it(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 10)
    clock.advance(10)
    pinner.pin("db", "upgrade")
    assert manager.reader(NS).get("db") is None
    lease = claimer.claim("db", "app-2", 10)
    assert (lease.term, lease.pinned) == (2, True)


def test_pinned_lease_can_be_extended(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    first = claimer.claim("db", "app-1", 10)
    pinner.pin("db", "upgrade")
    clock.advance(500)
    lease = claimer.claim("db", "app-1", 10)
    assert (lease.term, lease.pinned) == (first.term, True)
    assert lease.remaining() == timedelta(seconds=10)


def test_claims_queue_behind_a_pinned_lease_and_have_it_after_its_last_pin(
    claimer: Claimer, pinner: Pinner, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 10)
    pinner.pin("db", "upgrade")
    future = claimer.claim_future("db", "app-2", 10)
    pass_time(manager, clock, 500)
    assert is_pending(future)

    pinner.unpin("db", "upgrade")
    pass_time(manager, clock, 9.999_999)
    assert is_pending(future)
    pass_time(manager, clock, 0.000_001)
    assert future.get(timeout=PATIENCE).term == 2


def test_lease_handed_over_while_a_pin_waits_for_it_is_pinned(
    claimer: Claimer, pinner: Pinner, manager: Manager
) -> None:
    claimer.claim("db", "app-1", 10)
    future = claimer.claim_future("db", "app-2", 10)
    settle(manager)
    manager.revoker(NS).revoke("db", "app-1")
    assert not future.get(timeout=PATIENCE).pinned
    pinner.pin("db", "upgrade")
    assert claimer.claim("db", "app-2", 20).pinned


def test_pinning_block_pins_while_it_runs(claimer: Claimer, pinner: Pinner) -> None:
    claimer.claim("db", "app-1", 10)
    with pinner.pinning("db", "upgrade"):
        assert pinner.pinned() == {"db": ["upgrade"]}
    assert pinner.pinned() == {}
    with pytest.raises(ZeroDivisionError), pinner.pinning("db", "upgrade"):
        raise ZeroDivisionError
    assert pinner.pinned() == {}


@pytest.mark.usefixtures("hanging")
def test_pin_of_a_block_that_was_not_entered_in_time_goes_again(clock: FakeClock) -> None:
    store = FaultyStore()
    with HangAfterCommit() as silent, managing(store, clock, call_timeout=3) as manager:
        store.then(silent)
        pinner = manager.pinner(NS)
        entering = Calling(pinner.pinning("db", "upgrade").__enter__)
        assert silent.began.wait(PATIENCE)
        clock.wait_for_sleepers(2)  # the caller, and the alarm of the attempt
        clock.advance(3)
        assert isinstance(entering.ended(), LeaseTimeout)
        assert pinner.pinned() == {"db": ["upgrade"]}
        silent.release()
        settle(manager)
        assert pinner.pinned() == {}


def test_nothing_is_undone_of_a_pinning_that_was_refused(open_manager: OpenManager) -> None:
    asked: list[Key] = []

    class Refusing(DefaultSecretary):
        def check_lease(self, key: Key) -> None:
            asked.append(key)
            raise NotValid("no lease is pinned here")

    manager = open_manager(secretary_finder=Secretaries(Refusing()))
    with pytest.raises(NotValid), manager.pinner(NS).pinning("db", "upgrade"):
        pass
    pass_secretary(manager)
    assert asked == [key("db"), key("")]  # the other one is the barrier's


def test_names_are_validated(pinner: Pinner) -> None:
    calls = {
        r"^cannot pin lease 'bad name': ": lambda: pinner.pin("bad name", "bad entity"),
        r"^cannot unpin lease 'bad name': ": lambda: pinner.unpin("bad name", "bad entity"),
        r"^cannot pin lease 'db' for entity 'bad entity': ": lambda: pinner.pin("db", "bad entity"),
        r"^cannot unpin lease 'db' for entity '': ": lambda: pinner.unpin("db", ""),
    }
    for message, call in calls.items():
        with pytest.raises(NotValid, match=message):
            call()
    assert pinner.pinned() == {}
