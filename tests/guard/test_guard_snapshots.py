"""Transactions that see what was: one that is older than the tenure is refused."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from guard.desks import LONG, SNAPSHOTS, Desk
from sqlalchemy import exc

pytestmark = pytest.mark.parametrize("desk", SNAPSHOTS, indirect=True)


def test_a_transaction_that_began_before_the_tenure_is_refused(desk: Desk) -> None:
    desk.claimer.claim("db", "bob", LONG)
    with desk.user.connect() as connection:
        connection.execute(sa.select(desk.table.c.who)).all()  # from here on it sees the past
        desk.revoker.revoke("db", "bob")
        lease = desk.claimer.claim("db", "alice", LONG)
        with pytest.raises(exc.DBAPIError):
            lease.guard(connection)
        connection.rollback()
        lease.guard(connection)  # begun anew, it sees all


def test_a_transaction_that_began_before_the_lease_was_known_is_refused(desk: Desk) -> None:
    with desk.user.connect() as connection:
        connection.execute(sa.select(desk.table.c.who)).all()
        lease = desk.claimer.claim("db", "alice", LONG)
        with pytest.raises(exc.DBAPIError):
            lease.guard(connection)
        connection.rollback()
        lease.guard(connection)


def test_a_transaction_older_than_the_last_renewal_is_let_through(desk: Desk) -> None:
    desk.claimer.claim("db", "alice", 0.3)
    with desk.user.connect() as connection:
        connection.execute(sa.select(desk.table.c.who)).all()
        lease = desk.claimer.claim("db", "alice", LONG)
        desk.claimer.claim("probe", "alice", 0.4)
        desk.claimer.wait_until_expired("probe")  # by what it sees, the lease has run out
        lease.guard(connection)
