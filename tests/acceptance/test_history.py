"""The history: what every tenure came to, from whichever manager, once it is switched on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from acceptance.conftest import OpenManager
from acceptance.support import NS

from lease_actors import Claimer, Manager, NotValid, PastTenure, Reader, Store
from lease_actors.core.model import Micros
from lease_actors.testing import FakeClock

DAY: Micros = 24 * 3600 * 1_000_000


@pytest.fixture
def claimer(manager: Manager) -> Claimer:
    return manager.claimer(NS)


@pytest.fixture
def reader(manager: Manager) -> Reader:
    return manager.reader(NS)


def test_nothing_is_recorded_unless_asked_for(
    claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    claimer.claim("db", "app-1", 10)
    manager.revoker(NS).revoke("db", "app-1")
    claimer.claim("db", "app-1", 10)
    clock.advance(10)
    assert reader.history() == []


def test_managers_that_run_already_record_from_now_on(
    store: Store, claimer: Claimer, reader: Reader, manager: Manager
) -> None:
    claimer.claim("before", "app-1", 10)
    manager.revoker(NS).revoke("before", "app-1")
    lease = claimer.claim("db", "app-1", 10)
    store.set_history(DAY)
    manager.revoker(NS).revoke("db", "app-1")
    [past] = reader.history()
    assert past == PastTenure(
        lease.key, "app-1", lease.term, lease.granted_at, past.ended_at, "revoked"
    )
    store.set_history(None)
    claimer.claim("db", "app-1", 10)
    manager.revoker(NS).revoke("db", "app-1")
    assert reader.history() == [past]


def test_an_expiry_is_read_at_its_instant_whether_or_not_anybody_looked(
    store: Store, claimer: Claimer, reader: Reader, clock: FakeClock
) -> None:
    store.set_history(DAY)
    lease = claimer.claim("db", "app-1", 10)
    clock.advance(9.999_999)
    assert reader.history("db") == []
    clock.advance(0.000_001)
    [past] = reader.history("db")
    assert (past.ended, past.ended_at, past.term) == ("expired", lease.expiry, lease.term)
    clock.advance(5)
    claimer.claim("db", "app-2", 10)
    assert reader.history("db") == [past]


def test_each_tenure_of_a_hand_over_is_recorded(
    store: Store, claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    store.set_history(DAY)
    claimer.claim("db", "app-1", 10)
    queued = claimer.claim_future("db", "app-2", 10)
    clock.advance(3)
    manager.revoker(NS).revoke("db", "app-1")
    second = queued.get()
    clock.advance(4)
    manager.revoker(NS).revoke("db", "app-2")
    last, first = reader.history("db")
    assert (last.holder, last.term, last.granted_at) == ("app-2", second.term, second.granted_at)
    assert last.ended_at - last.granted_at == timedelta(seconds=4)
    assert (first.holder, first.ended_at - first.granted_at) == ("app-1", timedelta(seconds=3))
    assert first.ended_at == last.granted_at


def test_another_manager_reads_the_same(
    store: Store, claimer: Claimer, reader: Reader, manager: Manager, open_manager: OpenManager
) -> None:
    store.set_history(DAY)
    claimer.claim("db", "app-1", 10)
    manager.revoker(NS).revoke("db", "app-1")
    other = open_manager()
    assert other.reader(NS).history() == reader.history() != []
    assert other.reader("elsewhere").history() == []
    assert other.reader(NS, "model").history() == []


def test_bounds_are_instants_of_the_end(
    store: Store, claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    store.set_history(DAY)
    for n in range(5):
        claimer.claim(f"db-{n}", "app-1", 60)
        clock.advance(1)
        manager.revoker(NS).revoke(f"db-{n}", "app-1")
    all_of_them = reader.history()
    assert [past.key.lease for past in all_of_them] == ["db-4", "db-3", "db-2", "db-1", "db-0"]
    since, until = all_of_them[3].ended_at, all_of_them[1].ended_at
    elsewhere = since.astimezone(timezone(timedelta(hours=-5)))
    assert reader.history(since=elsewhere, until=until) == all_of_them[2:4]
    assert reader.history(limit=2) == all_of_them[:2]
    assert reader.history(limit=2**64) == all_of_them
    assert reader.history("db-2", since=since) == [all_of_them[2]]


def test_it_is_bounded_by_age(
    store: Store, claimer: Claimer, reader: Reader, manager: Manager, clock: FakeClock
) -> None:
    store.set_history(3600 * 1_000_000)
    claimer.claim("db", "app-1", 10)
    manager.revoker(NS).revoke("db", "app-1")
    clock.advance(3599)
    store.prune(DAY)
    assert len(reader.history()) == 1
    clock.advance(1)
    store.prune(DAY)
    assert reader.history() == []


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3", None])
def test_a_limit_that_is_none_is_refused(reader: Reader, limit: int) -> None:
    with pytest.raises(NotValid, match=r"cannot read the history of lease 'db': limit="):
        reader.history("db", limit=limit)


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), 3, "yesterday"])  # noqa: DTZ001
@pytest.mark.parametrize("bound", ["since", "until"])
def test_a_bound_that_is_none_is_refused(reader: Reader, bound: str, moment: datetime) -> None:
    with pytest.raises(NotValid, match=r"cannot read the history: .* with a time zone"):
        reader.history(**{bound: moment})
