"""Transactions that see what was: one that is older than the tenure is refused."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from acceptance.support import Turnstile
from guard.desks import LONG, NS, PATIENCE, SHORT, SNAPSHOTS, Desk
from sqlalchemy import exc
from support.managers import managing, until

from lease_actors import SqlStore, SystemClock
from lease_actors.stores import Batch

pytestmark = pytest.mark.parametrize("desk", SNAPSHOTS, indirect=True)


class HeldUpStore(SqlStore):
    """One whose transactions can be held up."""

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        self.way_in = Turnstile()

    def apply(self, batch: Batch) -> bool:
        self.way_in.go_through()
        return super().apply(batch)


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


def test_a_transaction_that_began_while_the_lease_was_on_offer_is_refused(desk: Desk) -> None:
    store = HeldUpStore(desk.user.url)
    with managing(store, SystemClock()) as other, desk.user.connect() as connection:
        desk.claimer.claim("db", "bob", LONG)
        future = other.claimer(NS).claim_future("db", "alice", LONG)
        until(lambda: len(desk.manager.reader(NS).waiting("db")) == 1, "a claim in the queue")
        store.way_in.close()  # the offer cannot be confirmed
        desk.revoker.revoke("db", "bob")
        connection.execute(sa.select(desk.table.c.who)).all()
        store.way_in.open()
        lease = future.get(timeout=PATIENCE)
        with pytest.raises(exc.DBAPIError):
            lease.guard(connection)
        connection.rollback()
        lease.guard(connection)


def test_a_transaction_older_than_the_last_renewal_is_let_through(desk: Desk) -> None:
    desk.claimer.claim("db", "alice", SHORT)
    with desk.user.connect() as connection:
        connection.execute(sa.select(desk.table.c.who)).all()
        lease = desk.claimer.claim("db", "alice", LONG)
        desk.claimer.claim("probe", "alice", SHORT)
        desk.claimer.wait_until_expired("probe")  # by what it sees, the lease has run out
        lease.guard(connection)
