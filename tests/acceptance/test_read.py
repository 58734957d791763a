"""Reading: snapshots of exactly one namespace and model, that delay nobody."""

from __future__ import annotations

from datetime import timedelta

import pykka
import pytest
from acceptance.conftest import OpenManager
from acceptance.support import NS, PATIENCE, WatchedStore, key, settle

from lease_actors import (
    Claim,
    Claimer,
    Key,
    Manager,
    ManagerStopped,
    NotValid,
    Reader,
    Store,
    StoreError,
)
from lease_actors.clock import from_instant
from lease_actors.core.model import LeaseState, Offer
from lease_actors.secretaries import DefaultSecretary, FixedSecretaries
from lease_actors.stores.base import StorePassing
from lease_actors.testing import FakeClock
from lease_actors.testing.cases.starts import DURATION, Start


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


@pytest.fixture
def reader(manager: Manager) -> Reader:
    return manager.reader(NS)


def test_nothing_is_there_at_first(reader: Reader) -> None:
    assert reader.leases() == {}
    assert reader.get("db") is None
    assert reader.waiting("db") == []


def test_leases_are_listed_with_their_holders(claimer: Claimer, reader: Reader) -> None:
    for i in range(10):
        claimer.claim(f"db-{i}", f"app-{i % 3}", 60)
    assert reader.leases() == {f"db-{i}": f"app-{i % 3}" for i in range(10)}


def test_only_standing_leases_are_read(
    claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    for lease, seconds in (("ten", 10), ("twenty", 20), ("revoked", 20)):
        claimer.claim(lease, "app-1", seconds)
    manager.revoker(NS).revoke("revoked", "app-1")
    manager.pinner(NS).pin("pinned-by-nobody's-holder", "upgrade")
    assert reader.leases() == {"ten": "app-1", "twenty": "app-1"}

    clock.advance(9.999_999)
    assert set(reader.leases()) == {"ten", "twenty"}
    clock.advance(0.000_001)
    assert reader.leases() == {"twenty": "app-1"}
    assert reader.get("ten") is None
    assert reader.get("twenty") is not None


def test_a_lease_on_offer_names_its_next_holder_until_the_offer_lapses(
    reader: Reader, manager: Manager, store: Store, clock: FakeClock
) -> None:
    start, now = Start(store), clock.wall()
    offer = Offer(start.claim_id(1), "app-1", 1, now, now + 5_000_000)
    start.write(LeaseState(key("db"), 1, offer=offer, pins=("upgrade",)))

    def read() -> tuple[dict[str, str], str, str | None]:
        view = manager.overview().lease(key("db"))
        assert [view] == manager.overview().leases(NS)
        return reader.leases(), view.state, view.holder

    clock.advance(4.999_999)
    assert read() == ({"db": "app-1"}, "offered", "app-1")
    clock.advance(0.000_001)
    assert read() == ({}, "free", None)


def test_of_whole_leases_those_are_listed_that_are_held_or_pinned(
    claimer: Claimer, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("ten", "app-1", 10)
    claimer.claim("twenty", "app-1", 20)
    manager.claimer("another").claim("ten", "app-1", 10)
    manager.pinner(NS).pin("nobody's", "upgrade")
    clock.advance(10)
    listed = [("nobody's", "free"), ("twenty", "held")]
    overview = manager.overview()
    assert [(v.key.lease, v.state) for v in overview.leases(NS)] == listed
    assert [(v.key.lease, v.state) for v in overview.leases()] == listed


def test_one_that_has_expired_is_listed_as_long_as_somebody_is_in_its_queue(
    manager: Manager, store: Store, clock: FakeClock
) -> None:
    gone = Start(store)  # nobody of that process looks after it any more
    gone.claim(key("db"))
    gone.ask(Claim(key("db"), "app-2", DURATION, gone.claim_id(1)))
    gone.claim(key("cache"))
    clock.advance(DURATION.total_seconds())
    [view] = manager.overview().leases(NS)
    assert (view.key, view.state, view.holder, view.waiting) == (key("db"), "free", None, 1)


def test_a_tenure_that_has_expired_is_the_last_to_end_before_anybody_records_it(
    manager: Manager, store: Store, clock: FakeClock
) -> None:
    gone = Start(store)  # nobody of that process looks after it any more
    gone.claim(key("db"))
    manager.revoker(NS).revoke("db", "holder")
    tenure = gone.claim(key("db"))
    overview = manager.overview()
    before = overview.lease(key("db"))
    assert (before.ended, before.ended_term) == ("revoked", tenure.term - 1)
    clock.advance(DURATION.total_seconds())
    view = overview.lease(key("db"))
    assert (view.state, view.ended, view.ended_term) == ("free", "expired", tenure.term)
    assert view.ended_at == from_instant(tenure.expiry)


def test_pinned_lease_is_read_past_its_expiry(
    claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 10)
    manager.pinner(NS).pin("db", "upgrade")
    clock.advance(1000)
    assert reader.leases() == {"db": "app-1"}
    lease = reader.get("db")
    assert lease is not None
    assert lease.pinned
    assert lease.remaining() == timedelta(0)


def test_lease_is_read_as_it_was_attributed(claimer: Claimer, reader: Reader) -> None:
    lease = claimer.claim("db", "app-1", 60)
    read = reader.get("db")
    assert read == lease
    assert read is not None
    assert read.remaining() == timedelta(seconds=60)


def test_neither_other_namespaces_nor_other_models_are_listed(manager: Manager) -> None:
    names = [f"other-{i}" for i in range(100)]
    futures: list[pykka.Future[object]] = []
    for name in names:
        for place in (Key(name, "", "db"), Key(name, "model", "db"), Key(NS, name, "db")):
            futures.append(manager.ask(Claim(place, name, 60), block=False))
    pykka.get_all(futures, timeout=PATIENCE)
    manager.claimer(NS, "model").claim("db", "mine", 60)
    manager.claimer(NS, "model").claim("cache", "mine", 60)

    assert manager.reader(NS, "model").leases() == {"db": "mine", "cache": "mine"}
    assert manager.reader(NS).leases() == {}
    assert manager.reader(NS, "other-7").leases() == {"db": "other-7"}
    assert manager.reader("other-7").leases() == {"db": "other-7"}
    assert manager.reader(NS, "other-7").get("cache") is None


def test_queue_is_read_in_its_order_with_positions_from_one(
    claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-0", 60)
    claimer.claim("cache", "app-0", 60)
    futures = []
    since = []
    for i in range(1, 5):
        settle(manager)
        clock.advance(0.125)
        since.append(from_instant(clock.wall()))
        futures.append(claimer.claim_future("db", f"app-{i}", 60))
    futures[1].cancel()
    settle(manager)

    waiting = reader.waiting("db")
    assert [(w.holder, w.position) for w in waiting] == [("app-1", 1), ("app-3", 2), ("app-4", 3)]
    assert [w.since for w in waiting] == [since[0], since[2], since[3]]
    assert reader.waiting("cache") == []
    assert manager.reader(NS, "model").waiting("db") == []


def test_reads_go_past_a_transaction_that_hangs(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    manager = open_manager(store=watched)
    lease = manager.claimer(NS).claim("db", "app-1", 60)
    settle(manager)
    watched.way_in.close()
    stuck = manager.claimer(NS).claim_future("cache", "app-1", 60)
    watched.way_in.await_one()
    reader = manager.reader(NS)
    assert reader.get("db") == lease
    assert reader.leases() == {"db": "app-1"}
    assert reader.waiting("db") == []
    watched.way_in.open()
    assert stuck.get(timeout=PATIENCE).holder == "app-1"


def test_read_that_fails_says_what_was_read(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    reader = open_manager(store=watched).reader(NS)
    watched.read_failure = RuntimeError("the disk is gone")

    with pytest.raises(StoreError, match=r"cannot read lease 'db': .*the disk is gone") as one:
        reader.get("db")
    assert one.value.key == key("db")
    assert one.value.__cause__ is watched.read_failure
    with pytest.raises(StoreError, match=f"cannot read the leases of namespace '{NS}'") as all_:
        reader.leases()
    assert all_.value.key is None

    watched.read_failure = None
    assert reader.leases() == {}


def test_read_whose_failure_may_pass_says_to_try_again(
    open_manager: OpenManager, watched: WatchedStore
) -> None:
    reader = open_manager(store=watched).reader(NS)
    for failure, advised in ((StorePassing("locked"), True), (OSError("disk full"), False)):
        watched.read_failure = failure
        with pytest.raises(StoreError) as error:
            reader.leases()
        assert str(error.value).endswith("(try again)") is advised


@pytest.mark.parametrize("name", [5, None, b"db", ("db",), "\ud800", "db\udcff"])
def test_what_no_lease_can_be_called_is_refused(
    manager: Manager, reader: Reader, name: str
) -> None:
    overview = manager.overview()
    for read in (
        lambda: reader.get(name),
        lambda: reader.waiting(name),
        lambda: overview.lease(key(name)),
        lambda: overview.waiting(key(name)),
        lambda: overview.leases(name) if name is not None else reader.get(name),
    ):
        with pytest.raises(NotValid, match="cannot read "):
            read()
    if name is not None:
        with pytest.raises(NotValid, match="cannot read "):
            reader.history(name)


def test_what_a_secretary_has_let_in_can_be_read(
    open_manager: OpenManager, store: Store, clock: FakeClock
) -> None:
    class Anything(DefaultSecretary):
        def check_lease(self, key: Key) -> None:
            pass

    name = "night ly\n"
    with open_manager(
        store=store, clock=clock, secretary_finder=FixedSecretaries({NS: Anything()})
    ) as theirs:
        theirs.claimer(NS).claim(name, "me", 60)
        for reader in (theirs.reader(NS), open_manager(store=store, clock=clock).reader(NS)):
            assert reader.get(name) is not None
            assert reader.waiting(name) == []


def test_nothing_is_read_from_a_stopped_manager(manager: Manager) -> None:
    reader = manager.reader(NS)
    manager.kill()
    for read in (reader.leases, lambda: reader.get("db"), lambda: reader.waiting("db")):
        with pytest.raises(ManagerStopped, match="cannot read"):
            read()
