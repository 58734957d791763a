"""Servers that break, stop, and lock: what passes is tried again, and nobody else is delayed."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from support.connections import assert_all_given_back
from support.managers import Calling, managing, until
from support.proxy import proxying
from support.servers import Databases, run_mariadb, run_mysql, run_postgresql

from lease_actors.clock import SystemClock
from lease_actors.core.decision import Granted
from lease_actors.core.model import Instant, Key, LeaseState, Need
from lease_actors.core.operations import Claim, Revoke
from lease_actors.errors import StoreError
from lease_actors.manager import Manager
from lease_actors.stores import Batch, Changes, SqlStore, StorePassing
from lease_actors.stores.sql.rows import digest
from lease_actors.testing.cases.histories import end, history, leases, past
from lease_actors.testing.cases.starts import DURATION, KEY, Start, named
from lease_actors.testing.cases.threads import together

KINDS = ["postgresql", "mariadb", "mysql"]


@pytest.fixture(params=KINDS)
def databases(request: pytest.FixtureRequest) -> Databases:
    found: Databases = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(databases: Databases) -> Iterator[sa.URL]:
    with databases.fresh() as url:
        yield url


@pytest.fixture
def store(url: sa.URL) -> Iterator[SqlStore]:
    store = opened(url)
    yield store
    assert_all_given_back(store)
    store.close()


@pytest.fixture
def other(url: sa.URL) -> Iterator[sa.Connection]:
    """Another program's connection."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def opened(url: sa.URL, **settings: Any) -> SqlStore:
    store = SqlStore(url, create_schema=True, **settings)
    store.open(SystemClock())
    return store


def lock(other: sa.Connection, lease: str) -> None:
    """Lock its row, found by its id: MariaDB locks whatever it looks at."""
    text = f"SELECT id FROM lease_leases WHERE lease = '{lease}'"
    number = other.exec_driver_sql(text).scalar_one()
    other.exec_driver_sql(f"SELECT id FROM lease_leases WHERE id = {number} FOR UPDATE")


def unchanged(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
    return Changes([])


class TestLockedRow:
    def test_it_is_left_out_and_the_others_are_decided(
        self, store: SqlStore, other: sa.Connection
    ) -> None:
        start = Start(store)
        stuck, free, new = named("stuck"), named("free"), named("new")
        start.ask(Claim(stuck, "h", DURATION), Claim(free, "h", DURATION))
        lock(other, "stuck")
        for _ in range(2):  # the first time it is waited for
            start.run(dict.fromkeys((stuck, free, new), Need()), unchanged)
            assert set(start.seen) == {free, new}
        other.rollback()
        start.run(dict.fromkeys((stuck, free, new), Need()), unchanged)
        assert set(start.seen) == {stuck, free, new}

    def test_it_is_left_out_where_nobody_waits_at_all(
        self, url: sa.URL, other: sa.Connection
    ) -> None:
        store = opened(url, lock_timeout=0)
        start = Start(store)
        start.claim(named("stuck"))
        lock(other, "stuck")
        start.run(dict.fromkeys((named("stuck"), named("free")), Need()), unchanged)
        assert set(start.seen) == {named("free")}
        store.close()

    def test_it_delays_its_own_lease_alone(self, url: sa.URL, other: sa.Connection) -> None:
        with Manager.open(url.render_as_string(hide_password=False)) as manager:
            claimer = manager.claimer("ns", "model")
            claimer.claim("stuck", "me", 60)
            lock(other, "stuck")
            waiting = Calling(claimer.claim, "stuck", "me", 60)
            for n in range(5):
                assert claimer.claim(f"free-{n}", "me", 60).term == 1
            assert waiting.is_alive()
            other.rollback()
            assert waiting.outcome().term == 1


def test_a_row_that_does_not_get_made_is_left_out(postgresql_url: sa.URL) -> None:
    """A process stood still after it had inserted the row, before it committed. (On MariaDB it
    has lost its transaction before anybody who waits for a second each time has found out.)"""
    store, maker = opened(postgresql_url), opened(postgresql_url)
    start = Start(store)
    inside, go = threading.Event(), threading.Event()
    hold_commit(maker, inside, go)
    making = Calling(lambda: Start(maker).claim(named("made")))
    assert inside.wait(20)

    def raise_terms(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
        return Changes([LeaseState(key, state.term + 1) for key, state in states.items()])

    start.run({named("made"): Need()}, raise_terms)
    assert start.seen == {}
    start.claim(named("new"))
    go.set()
    making.outcome()
    assert store.get(named("made"))[0].tenure is not None
    maker.close()
    store.close()


def hold_commit(store: SqlStore, inside: threading.Event, go: threading.Event) -> None:
    """Its next batch has written everything, and does not commit before it is told to."""
    dialect, finish = store._dialect, store._dialect.finish

    def held(connection: sa.Connection, calls: Any) -> None:
        dialect.together(connection, calls)
        inside.set()
        go.wait(20)
        finish(connection, [])

    dialect.finish = held  # type: ignore[method-assign]


def test_a_record_whose_commit_came_late_is_not_pruned_with_an_older_one(
    store: SqlStore, url: sa.URL
) -> None:
    store.set_history(10**12)
    other = opened(url)
    inside, go = threading.Event(), threading.Event()
    hold_commit(other, inside, go)
    ending = Calling(end, Start(other), past("young", store.now()))
    assert inside.wait(20)
    end(Start(store), past("old", 1))  # its id is the higher one, and is seen first
    oldest = store._history._oldest

    def rows(*arguments: Any) -> list[tuple[Any, ...]]:
        found = oldest.rows(*arguments)
        go.set()
        ending.outcome()
        return found

    store._history._oldest = SimpleNamespace(rows=rows)  # type: ignore[assignment]
    store.prune(10**12)
    assert leases(history(store)) == ["young"]
    other.close()


class TestGuarded:
    """A user's transaction that depends on a tenure, written by hand."""

    def guard(self, other: sa.Connection, lease: str) -> int:
        mode = "FOR SHARE" if other.dialect.name == "postgresql" else "LOCK IN SHARE MODE"
        return int(
            other.exec_driver_sql(
                "SELECT term FROM lease_tenure WHERE lease_id ="
                f" (SELECT id FROM lease_leases WHERE lease = '{lease}') {mode}"
            ).scalar_one()
        )

    def test_the_term_is_what_stands(self, store: SqlStore, other: sa.Connection) -> None:
        start = Start(store)
        for _ in range(2):
            tenure = start.claim()
            assert self.guard(other, "lease") == tenure.term
            other.rollback()
            start.release(tenure)
            assert self.guard(other, "lease") == 0
            other.rollback()

    def test_only_what_may_end_it_sees_it(self, store: SqlStore, other: sa.Connection) -> None:
        start = Start(store)
        start.claim()
        self.guard(other, "lease")
        assert start.look().guarded is False
        assert start.look(need=Need(ends=True)).guarded is True
        start.claim()  # extended
        start.queue(1, 2)
        start.ask(Revoke(KEY, "holder"))
        tenure = start.look().tenure
        assert tenure is not None and tenure.ending == "revoked"
        assert start.seen[KEY].guarded is True  # as long as the guard is there
        other.rollback()
        assert start.look().guarded is False
        start.run({KEY: Need()}, unchanged)

    def test_it_holds_past_the_expiry(self, store: SqlStore, other: sa.Connection) -> None:
        start = Start(store)
        start.ask(Claim(KEY, "holder", timedelta(microseconds=1)))
        self.guard(other, "lease")
        assert start.look().guarded is True
        other.rollback()
        assert start.look().guarded is False

    def test_it_is_not_pruned(self, store: SqlStore, other: sa.Connection) -> None:
        start = Start(store)
        start.ask(Claim(KEY, "holder", timedelta(microseconds=1)))
        start.claim(named("newer"))
        self.guard(other, "lease")
        assert store.prune(0) == 0
        other.rollback()
        assert store.prune(0) == 1

    def test_one_that_came_too_late_delays_its_own_lease_alone(
        self, store: SqlStore, other: sa.Connection
    ) -> None:
        start = Start(store)
        start.release(start.claim())
        assert self.guard(other, "lease") == 0  # and its transaction goes on
        start.run({KEY: Need(), named("new"): Need()}, unchanged)
        assert set(start.seen) == {named("new")}
        other.rollback()
        assert start.claim().term == 2

    def test_pruned_leases_leave_the_newest_row_alone(
        self, store: SqlStore, other: sa.Connection
    ) -> None:
        start = Start(store)
        for lease in "abc":
            start.release(start.claim(named(lease)), named(lease))
        count = "SELECT count(*) FROM lease_tenure"
        assert store.prune(0) == 3
        assert other.exec_driver_sql(count).scalar_one() == 1
        other.rollback()
        start.claim(named("d"))
        store.prune(0)
        assert other.exec_driver_sql(count).scalar_one() == 1


class TestOnce:
    def test_a_batch_whose_commit_was_not_answered(self, url: sa.URL) -> None:
        with proxying(url.host, url.port) as proxy:
            through = url.set(host="127.0.0.1", port=proxy.port)
            with Manager.open(through.render_as_string(hide_password=False)) as manager:
                claimer, revoker = manager.claimer("ns"), manager.revoker("ns")
                for n in range(1, 6):
                    proxy.lose_reply_to(b"COMMIT")
                    assert claimer.claim("lease", "me", 60).term == n
                    assert proxy.lost.wait(20)
                    proxy.lose_reply_to(b"COMMIT")
                    revoker.revoke("lease", "me")
                    assert proxy.lost.wait(20)
                assert manager.report()["retries"] >= 10

    def test_it_was_applied_and_is_not_applied_again(self, url: sa.URL) -> None:
        with proxying(url.host, url.port) as proxy:
            store = opened(url.set(host="127.0.0.1", port=proxy.port))
            start = Start(store)
            batch = Batch(start.name, 1, {KEY: Need()}, lambda s, n: Changes([LeaseState(KEY, 7)]))
            for _ in range(2):  # so that the text of the commit is sent
                start.ask()
            batch = Batch(start.name, 9, batch.needs, batch.decide)
            proxy.lose_reply_to(b"COMMIT")
            try:
                applied = store.apply(batch)
            except StorePassing:
                applied = store.apply(batch)
                assert applied is False
            assert store.get(KEY)[0].term == 7
            store.close()


class TestServer:
    @pytest.fixture(params=KINDS)
    def own(self, request: pytest.FixtureRequest) -> Iterator[Databases]:
        """A server of the test's own: others go on meanwhile."""
        run = {"postgresql": run_postgresql, "mariadb": run_mariadb, "mysql": run_mysql}
        with run[request.param]() as databases:
            yield databases

    @pytest.mark.timeout(120)
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["restarted", "crashed"])
    def test_it_comes_back(self, own: Databases, how: int) -> None:
        # On a busy machine a server takes longer to start than a call waits by itself.
        with own.fresh() as url, Manager.open(url, call_timeout=80) as manager:
            claimer = manager.claimer("ns")
            claimer.claim("lease", "me", 60)
            own.server.stop(how)
            claiming = Calling(claimer.claim, "lease", "me", 60)
            own.server.start()
            assert claiming.outcome(80).term == 1
            assert claimer.claim("other", "me", 60).term == 1

    def test_a_stopped_one_ends_an_attempt(self, own: Databases) -> None:
        with own.fresh() as url:
            store = opened(url, reply_timeout=1)
            start = Start(store)
            start.claim()
            with own.server.frozen():
                for call in (lambda: store.apply(batch(start)), store.now, lambda: store.prune(0)):
                    with pytest.raises(StorePassing):
                        call()
                assert_all_given_back(store)
            start.claim()
            store.close()

    def test_a_stopped_one_keeps_no_manager(self, own: Databases) -> None:
        with own.fresh() as url:
            store = SqlStore(url, create_schema=True, reply_timeout=2)
            with managing(store, SystemClock(), attempt_timeout=0.5) as manager:
                claimer = manager.claimer("ns")
                claimer.claim("lease", "me", 60)
                with own.server.frozen():
                    claiming = Calling(claimer.claim, "lease", "me", 60)
                    claiming.join(1.5)
                    assert claiming.is_alive()
                assert claiming.outcome(40).term == 1


def batch(start: Start) -> Batch:
    return Batch(start.name, start.number + 1, {KEY: Need()}, unchanged)


def test_a_process_that_stands_still_in_a_transaction_loses_it(store: SqlStore) -> None:
    still, start = Start(store), Start(store)
    start.claim()
    entered, go = threading.Event(), threading.Event()

    def stand_still(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
        entered.set()
        go.wait(30)
        return Changes([LeaseState(KEY, 99)])

    def attempt() -> bool:
        return store.apply(Batch(still.name, 1, {KEY: Need()}, stand_still))

    standing = Calling(attempt)
    assert entered.wait(20)
    found: list[bool] = []
    while not found or not found[-1]:  # for two seconds it is left out
        start.run({KEY: Need()}, unchanged)
        found.append(KEY in start.seen)
    go.set()
    assert isinstance(standing.ended(), StorePassing)
    assert store.get(KEY)[0].term == 1


def test_two_that_make_one_row_at_once(store: SqlStore) -> None:
    """Neither sees the other's row when it looks."""
    for turn in range(5):
        ready = threading.Barrier(2)

        def claim(ready: threading.Barrier = ready, turn: int = turn) -> bool:
            start, met = Start(store), []

            def decide(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
                if not met:
                    met.append(1)
                    ready.wait(20)
                state = next(iter(states.values()))
                return Changes([LeaseState(state.key, state.term + 1)])

            return start.run({named(f"l{turn}"): Need()}, decide)

        assert together(claim, claim) == [True, True]
        assert store.get(named(f"l{turn}"))[0].term == 2


def test_a_deadlock_passes(url: sa.URL, other: sa.Connection) -> None:
    """The other one has the second row and wants the first."""
    store = opened(url, lock_timeout=10)  # longer than it takes to find a deadlock
    start = Start(store)
    first, second = sorted((named("a"), named("b")), key=digest)
    start.ask(Claim(first, "h", DURATION), Claim(second, "h", DURATION))
    lock(other, second.lease)
    crossing = Calling(start.ask, Claim(first, "h", DURATION), Claim(second, "h", DURATION))
    until(lambda: not crossing.is_alive() or waiting_for_a_lock(url), "somebody who waits")
    try:
        lock(other, first.lease)
    except sa.exc.DBAPIError:
        pass  # one of the two is chosen; if it is the batch, it is tried again
    other.rollback()
    assert all(isinstance(outcome, Granted) for outcome in crossing.outcome())
    store.close()


def waiting_for_a_lock(url: sa.URL) -> bool:
    if url.get_backend_name() == "postgresql":
        text = "SELECT 'waits', count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    else:
        text = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(text).one()[1]) > 0


def open_and_claim(url: str, name: str) -> None:
    """In a process of its own: make the tables if need be, and take a lease of one's own."""
    store = opened(sa.make_url(url))
    Start(store).claim(named(name))
    store.close()


def test_several_processes_make_the_tables_at_once(url: sa.URL) -> None:
    context = multiprocessing.get_context("spawn")
    names, text = [f"p{n}" for n in range(4)], url.render_as_string(hide_password=False)
    processes = [context.Process(target=open_and_claim, args=(text, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    store = opened(url)
    assert sorted(s.key.lease for s in store.leases("ns", "model")[0]) == names
    store.close()


def test_the_servers_time_does_not_depend_on_the_session(store: SqlStore, url: sa.URL) -> None:
    if url.get_backend_name() == "postgresql":
        zone = {"options": "-c timezone=Asia/Kathmandu"}
    else:
        zone = {"init_command": "SET time_zone = '+05:45'"}
    zoned = sa.create_engine(url, isolation_level="REPEATABLE READ", connect_args=zone)
    elsewhere = SqlStore(zoned)
    elsewhere.open(SystemClock())
    first, second, third = store.now(), elsewhere.now(), store.now()
    assert first <= second <= third
    assert abs(first - SystemClock().wall()) < 60_000_000
    elsewhere.close()
    zoned.dispose()


class TestWillNotPass:
    def test_no_such_database(self, databases: Databases) -> None:
        with pytest.raises((StoreError, StorePassing), match="nowhere"):
            opened(databases.url.set(database="nowhere"))

    def test_no_tables(self, url: sa.URL) -> None:
        with pytest.raises(StoreError, match="create_schema=True"):
            SqlStore(url).open(SystemClock())

    def test_a_table_dropped(self, store: SqlStore, other: sa.Connection) -> None:
        start = Start(store)
        other.exec_driver_sql("DROP TABLE lease_leases")
        other.commit()
        with pytest.raises(StoreError, match="a table is missing"):
            start.claim()

    def test_nobody_listens(self) -> None:
        for scheme in KINDS:
            with pytest.raises(StorePassing, match=scheme):
                opened(sa.make_url(f"{scheme}://u:geheim@127.0.0.1:1/d"), reply_timeout=2)
