"""A revocation or a release that meets a guard: the tenure is ending, and over with the last guard."""

from __future__ import annotations

import pytest
from guard.desks import LONG, NS, SERVERS, Desk
from support.managers import Calling, until

from lease_actors import ClaimDenied, LeaseTimeout, Manager, NotHeld

pytestmark = pytest.mark.parametrize("desk", SERVERS, indirect=True)


def is_ending(desk: Desk, lease: str, holder: str) -> bool:
    try:
        desk.check(lease, holder)
    except NotHeld:
        return True
    return False


def test_a_revoke_waits_for_the_guard_and_then_hands_over(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.begin() as connection:
        lease.guard(connection)
        next_one = desk.waits_for("db", "bob")
        revoke = Calling(desk.revoker.revoke, "db", "alice")
        until(lambda: is_ending(desk, "db", "alice"), "the mark")
        assert revoke.is_alive()
        assert next_one.is_alive()
        with pytest.raises(ClaimDenied):
            desk.claimer.claim("db", "alice", LONG)  # nothing extends it
        desk.write(connection, "alice")
    revoke.outcome()
    assert next_one.outcome().term == 2


def test_from_the_mark_on_no_new_guard_is_had_so_that_guards_starve_nobody(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.begin() as first:
        lease.guard(first)
        with desk.user.begin() as second:
            lease.guard(second)
            revoke = Calling(desk.revoker.revoke, "db", "alice")
            until(lambda: is_ending(desk, "db", "alice"), "the mark")
            with desk.user.connect() as third, pytest.raises(NotHeld, match="is ending"):
                lease.guard(third)
        assert revoke.is_alive()
    revoke.outcome()


def test_a_revoke_that_runs_out_of_time_leaves_its_mark(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.begin() as connection:
        lease.guard(connection)
        with pytest.raises(LeaseTimeout, match="a transaction guards the lease"):
            desk.revoker.revoke("db", "alice", timeout=0.3)
        assert is_ending(desk, "db", "alice")
    desk.revoker.revoke("db", "alice")
    assert desk.claimer.claim("db", "bob", LONG).term == 2


def test_a_hold_ends_inside_its_own_guarded_transaction(desk: Desk) -> None:
    with desk.user.connect() as connection:
        with desk.claimer.hold("db", "alice", LONG) as lease:
            transaction = connection.begin()
            lease.guard(connection)
            next_one = desk.waits_for("db", "bob")
            desk.write(connection, "alice")
        assert next_one.is_alive()  # released, but not given away under the transaction
        transaction.commit()
    assert next_one.outcome().term == 2
    assert desk.written() == ["alice"]


def test_who_waits_at_another_manager_has_it_when_the_hold_has_ended_and_then_the_guard(
    desk: Desk,
) -> None:
    url = desk.user.url.render_as_string(hide_password=False)
    with Manager.open(url) as other, desk.user.connect() as connection:
        with desk.claimer.hold("db", "alice", LONG) as lease:
            transaction = connection.begin()
            lease.guard(connection)
            next_one = Calling(other.claimer(NS).claim, "db", "bob", LONG, wait=None)
            until(lambda: len(other.reader(NS).waiting("db")) == 1, "the queue")
        assert next_one.is_alive()
        transaction.commit()
        assert next_one.outcome().term == 2


def test_the_mark_outlives_the_manager_that_made_it(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.begin() as connection:
        lease.guard(connection)
        with pytest.raises(LeaseTimeout):
            desk.revoker.revoke("db", "alice", timeout=0.3)
    assert desk.manager.reader(NS).get("db") is None
    assert desk.claimer.claim("db", "bob", LONG, wait=None).term == 2
