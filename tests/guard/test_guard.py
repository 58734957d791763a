"""A transaction that depends on a tenure: while it is open the lease is given to nobody."""

from __future__ import annotations

import pytest
from guard.desks import LONG, NS, PLACES, SERVERS, SHORT, UNCOMMITTED, Desk
from sqlalchemy import orm
from support.managers import Calling

from lease_actors import NotHeld, SqlStore, SystemClock

everywhere = pytest.mark.parametrize("desk", PLACES, indirect=True)
on_servers = pytest.mark.parametrize("desk", SERVERS, indirect=True)
at_every_level = pytest.mark.parametrize("desk", [*PLACES, *UNCOMMITTED], indirect=True)


@everywhere
def test_a_holders_transaction_is_let_through(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.begin() as connection:
        lease.guard(connection)
        desk.write(connection, "alice")
    assert desk.written() == ["alice"]


@everywhere
def test_a_session_of_the_orm_will_do(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with orm.Session(desk.user) as session, session.begin():
        lease.guard(session)
        desk.write(session, "alice")
    with orm.Session(desk.user) as session:
        scoped = orm.scoped_session(orm.sessionmaker(desk.user))
        lease.guard(scoped)
        scoped.remove()
    assert desk.written() == ["alice"]


@everywhere
def test_where_a_connection_has_its_own_tables_is_not_where_the_leases_are(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    tenant = desk.user.execution_options(schema_translate_map={None: "tenant"})
    with tenant.begin() as connection:
        lease.guard(connection)
    with orm.Session(tenant) as session, session.begin():
        lease.guard(session)


@everywhere
def test_a_stale_holder_cannot_commit_after_a_take_over(desk: Desk) -> None:
    stale = desk.claimer.claim("db", "alice", SHORT)
    fresh = desk.claimer.claim("db", "bob", LONG, wait=None)
    with desk.user.connect() as connection:
        with pytest.raises(NotHeld, match=r"lease 'db' of holder 'alice': its tenure has ended"):
            stale.guard(connection)
        connection.rollback()
    with desk.user.begin() as connection:
        fresh.guard(connection)


@everywhere
def test_the_same_holder_under_a_later_term_is_not_the_same_tenure(desk: Desk) -> None:
    stale = desk.claimer.claim("db", "alice", LONG)
    desk.revoker.revoke("db", "alice")
    fresh = desk.claimer.claim("db", "alice", LONG)
    assert fresh.term > stale.term
    with desk.user.connect() as connection:
        with pytest.raises(NotHeld):
            stale.guard(connection)
        connection.rollback()
        fresh.guard(connection)


@everywhere
def test_what_has_run_out_is_not_held_even_if_nobody_has_taken_it(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", SHORT)
    desk.claimer.wait_until_expired("db")
    with desk.user.connect() as connection, pytest.raises(NotHeld):
        lease.guard(connection)


@at_every_level
def test_what_has_been_pruned_is_not_held(desk: Desk) -> None:
    stale = desk.claimer.claim("db", "alice", LONG)
    desk.claimer.claim("newer", "alice", LONG)  # the newest row of all would stay in part
    desk.revoker.revoke("db", "alice")
    store = SqlStore(desk.user.url)
    store.open(SystemClock())
    assert store.prune(0) == 1
    store.close()
    with desk.user.connect() as connection, pytest.raises(NotHeld, match="its tenure has ended"):
        stale.guard(connection)


@everywhere
def test_a_guard_that_lasts_longer_than_the_lease_keeps_it_to_its_end(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", SHORT)
    with desk.user.begin() as connection:
        lease.guard(connection)
        if desk.user.dialect.name == "sqlite":  # nobody can even queue: it is a write
            next_one = Calling(desk.claimer.claim, "db", "bob", LONG, wait=None)
            next_one.join(2 * SHORT)
        else:
            next_one = desk.waits_for("db", "bob")
            next_one.join(2 * SHORT)
            assert desk.manager.reader(NS).get("db") is None  # its time is over …
        assert next_one.is_alive()  # … but nobody has it
        desk.write(connection, "alice")
    assert next_one.outcome().term == lease.term + 1
    assert desk.written() == ["alice"]


@everywhere
def test_a_rollback_lets_go(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.connect() as connection:
        lease.guard(connection)
        connection.rollback()
        desk.revoker.revoke("db", "alice")
    assert desk.claimer.claim("db", "bob", LONG).term == 2


@on_servers
def test_renewals_and_checks_go_on_under_it(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", 60)
    with desk.user.begin() as connection:
        lease.guard(connection)
        longer = desk.claimer.claim("db", "alice", LONG)
        assert (longer.term, longer.expiry > lease.expiry) == (lease.term, True)
        desk.check("db", "alice")
        with desk.manager.pinner(NS).pinning("db", "unit"):
            desk.check("db", "alice")


@on_servers
def test_no_operation_on_any_other_lease_waits_for_it(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    names = [f"other-{n}" for n in range(100)]
    for name in names[:50]:
        desk.claimer.claim(name, "carol", LONG)
    with desk.user.begin() as connection:
        lease.guard(connection)
        next_one = desk.waits_for("db", "bob")
        for name in names:
            desk.claimer.claim(name, "carol", LONG)
            desk.check(name, "carol")
            desk.revoker.revoke(name, "carol")
        assert next_one.is_alive()
        desk.check("db", "alice")
    desk.revoker.revoke("db", "alice")
    assert next_one.outcome().term == 2


@on_servers
def test_two_guards_of_one_tenure_pass_each_other_by(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", LONG)
    with desk.user.begin() as one, desk.user.begin() as other:
        lease.guard(one)
        lease.guard(other)
        desk.write(one, "alice")
        desk.write(other, "alice")
    assert desk.written() == ["alice", "alice"]


@on_servers
def test_a_pinned_lease_past_its_expiry_can_be_guarded(desk: Desk) -> None:
    lease = desk.claimer.claim("db", "alice", SHORT)
    desk.manager.pinner(NS).pin("db", "unit")
    probe = desk.claimer.claim("probe", "alice", 2 * SHORT)
    desk.claimer.wait_until_expired("probe")
    assert probe.remaining().total_seconds() == 0
    with desk.user.begin() as connection:
        lease.guard(connection)
