"""A token's check: does that holder's lease stand, at this moment?"""

from __future__ import annotations

import pytest
from acceptance.support import NS, key, settle

from lease_actors import Claim, Claimer, Manager, NotHeld, NotValid, Revoke
from lease_actors.testing import FakeClock


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


def test_holder_of_a_standing_lease_passes(claimer: Claimer, manager: Manager) -> None:
    token = manager.checker(NS).token("db", "app-1")
    claimer.claim("db", "app-1", 60)
    token.check()
    token.check()


def test_nobody_holds_a_lease_that_was_never_claimed(manager: Manager) -> None:
    with pytest.raises(NotHeld, match="lease 'db': 'app-1' does not hold it, nobody does") as e:
        manager.checker(NS).token("db", "app-1").check()
    assert e.value.key == key("db")


def test_another_than_the_holder_fails(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    with pytest.raises(NotHeld, match="'app-2' does not hold it, 'app-1' does"):
        manager.checker(NS).token("db", "app-2").check()


def test_same_name_elsewhere_fails(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    for place in ((NS, "model"), ("other", "")):
        with pytest.raises(NotHeld):
            manager.checker(*place).token("db", "app-1").check()


def test_lease_stands_until_its_expiry_and_not_at_it(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    token = manager.checker(NS).token("db", "app-1")
    claimer.claim("db", "app-1", 10)
    clock.advance(9.999_999)
    token.check()
    clock.advance(0.000_001)
    with pytest.raises(NotHeld, match="nobody does"):
        token.check()


def test_check_keeps_nothing_alive(claimer: Claimer, manager: Manager, clock: FakeClock) -> None:
    token = manager.checker(NS).token("db", "app-1")
    lease = claimer.claim("db", "app-1", 10)
    clock.advance(5)
    token.check()
    assert manager.reader(NS).get("db") == lease


def test_revoked_lease_fails(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    manager.revoker(NS).revoke("db", "app-1")
    with pytest.raises(NotHeld):
        manager.checker(NS).token("db", "app-1").check()


def test_blocked_claim_is_not_holding(claimer: Claimer, manager: Manager) -> None:
    claimer.claim("db", "app-1", 60)
    claimer.claim_future("db", "app-2", 60)
    settle(manager)
    with pytest.raises(NotHeld):
        manager.checker(NS).token("db", "app-2").check()


def test_check_stands_in_line_with_what_was_asked_before(manager: Manager) -> None:
    token = manager.checker(NS).token("db", "app-1")
    for _ in range(20):
        manager.tell(Claim(key("db"), "app-1", 60))
        token.check()
        manager.tell(Revoke(key("db"), "app-1"))
        with pytest.raises(NotHeld):
            token.check()


def test_token_is_made_without_any_check_and_check_looks_at_the_lease_first(
    manager: Manager,
) -> None:
    checker = manager.checker(NS)
    both, holder = checker.token("bad lease", "bad holder"), checker.token("db", "bad holder")
    with pytest.raises(NotValid, match=r"^cannot check lease 'bad lease': "):
        both.check()
    with pytest.raises(NotValid, match=r"^cannot check lease for holder 'bad holder': "):
        holder.check()
