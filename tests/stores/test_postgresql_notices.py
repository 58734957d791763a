"""LISTEN and NOTIFY: who hears what, and what becomes of a listener that hears nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import sqlalchemy as sa
from support.managers import until
from support.servers import Databases, run_postgresql

from lease_actors.core.model import ClaimId, Key, LeaseState, Need, Notice, Tenure
from lease_actors.stores import Changes, SqlStore
from lease_actors.stores.sql.dialects.postgresql_notices import PostgresqlListener
from lease_actors.testing.cases.starts import KEY, Start, named
from lease_actors.testing.clock import FakeClock


class Ear:
    """A listener's ``heard``."""

    def __init__(self) -> None:
        self.heard: list[Sequence[Notice]] = []
        self.changed = threading.Condition()

    def __call__(self, notices: Sequence[Notice]) -> None:
        with self.changed:
            self.heard.append(notices)
            self.changed.notify_all()

    def wait(self, count: int) -> list[Sequence[Notice]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.heard) >= count, 20), self.heard
        return self.heard


@pytest.fixture
def store(postgresql_url: sa.URL) -> Iterator[SqlStore]:
    store = SqlStore(postgresql_url, create_schema=True)
    store.open(FakeClock())
    yield store
    store.close()


@pytest.fixture
def listen(store: SqlStore) -> Iterator[Callable[[str, Ear], PostgresqlListener]]:
    listeners: list[PostgresqlListener] = []

    def begin(start: str, ear: Ear) -> PostgresqlListener:
        listener = store.listen(start, ear)
        assert isinstance(listener, PostgresqlListener)
        listeners.append(listener)
        until(lambda: listener.working, "a working listener")
        ear.wait(1)
        assert ear.heard == [[]]  # it may have missed something before
        del ear.heard[:]
        return listener

    yield begin
    for listener in listeners:
        listener.close()


def say(start: Start, *notices: Notice) -> None:
    start.run({KEY: Need()}, lambda states, now: Changes([], notices=notices))


Listen = Callable[[str, Ear], PostgresqlListener]


def test_others_hear_and_oneself_does_not(store: SqlStore, listen: Listen) -> None:
    one, other, third = Start(store), Start(store), Ear()
    ears = {s.name: Ear() for s in (one, other)}
    for name, ear in ears.items():
        listen(name, ear)
    listen("f" * 32, third)
    say(one, Notice(KEY), Notice(named("x")))
    say(other, Notice(named("y")))
    assert ears[other.name].wait(1) == [[Notice(KEY), Notice(named("x"))]]
    assert ears[one.name].wait(1) == [[Notice(named("y"))]]
    assert third.wait(2) == [[Notice(KEY), Notice(named("x"))], [Notice(named("y"))]]


def test_those_hear_each_other_who_name_the_schema_in_different_ways(
    postgresql_url: sa.URL, store: SqlStore, listen: Listen
) -> None:
    named_it = SqlStore(postgresql_url, schema="public")
    named_it.open(FakeClock())
    ear = Ear()
    listen("a" * 32, ear)
    say(Start(named_it), Notice(KEY))
    assert ear.wait(1) == [[Notice(KEY)]]
    named_it.close()


def test_an_offer_is_heard_by_its_own_start_alone(store: SqlStore, listen: Listen) -> None:
    teller, ears = Start(store), [Ear(), Ear()]
    starts = ["a" * 32, "b" * 32]
    for start, ear in zip(starts, ears, strict=True):
        listen(start, ear)
    offers = [Notice(KEY, ClaimId(start, 7)) for start in starts]
    say(teller, *offers, Notice(named("all")))
    for offer, ear in zip(offers, ears, strict=True):
        assert sorted(ear.wait(2)) == sorted([[offer], [Notice(named("all"))]])


def test_what_is_said_of_an_offer_is_heard_whole(store: SqlStore, listen: Listen) -> None:
    teller, ear = Start(store), Ear()
    listen("a" * 32, ear)
    offer = Notice(KEY, ClaimId("a" * 32, 7), 8, 1_582_979_696_789_013, 5_000_000, True)
    say(teller, offer, Notice(KEY, ClaimId("a" * 32, 9)))
    assert ear.wait(1) == [[offer, Notice(KEY, ClaimId("a" * 32, 9))]]
    assert isinstance(ear.wait(1)[0][0].pinned, bool)


def test_what_is_taken_back_is_not_heard(store: SqlStore, listen: Listen) -> None:
    teller, ear = Start(store), Ear()
    listen("a" * 32, ear)

    bad = LeaseState(KEY, 1, Tenure("h", 2, 1, 1, 1))
    Start(store).claim(KEY)
    with pytest.raises(ValueError, match="standing term"):
        teller.run({KEY: Need()}, lambda states, now: Changes([bad], notices=[Notice(KEY)]))
    say(teller, Notice(named("after")))
    assert ear.wait(1) == [[Notice(named("after"))]]


@pytest.mark.parametrize("letter", ["x", "\U0001f512"])
def test_what_does_not_fit_becomes_everything(store: SqlStore, listen: Listen, letter: str) -> None:
    teller, ear = Start(store), Ear()
    listen("a" * 32, ear)
    long = [Notice(Key("ns", "", letter * 200 + str(n))) for n in range(50)]
    say(teller, *long)
    say(teller, long[0])
    assert ear.wait(2) == [[], [long[0]]]


def test_a_listener_whose_connection_is_cut_comes_back(
    store: SqlStore, listen: Listen, postgresql: Databases
) -> None:
    teller, ear = Start(store), Ear()
    listener = listen("a" * 32, ear)
    assert store.engine.url.database is not None
    postgresql.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(query, 'LISTEN')",
        database=store.engine.url.database,
    )
    ear.wait(1)
    assert ear.heard == [[]]  # something may have been missed
    until(lambda: listener.working)
    say(teller, Notice(KEY))
    assert ear.wait(2)[1] == [Notice(KEY)]


def test_a_listener_outlives_a_restart_of_the_server() -> None:
    with run_postgresql("fsync=off") as databases, databases.fresh() as url:
        store, ear = SqlStore(url, create_schema=True), Ear()
        store.open(FakeClock())
        listener = store.listen("a" * 32, ear)
        assert listener is not None
        until(lambda: listener.working)
        databases.server.stop()
        until(lambda: not listener.working, "the loss")
        databases.server.start()
        until(lambda: listener.working, "the return")
        ear.wait(2)
        listener.close()
        store.close()


def test_behind_a_pooler_in_transaction_mode_it_never_works(
    postgresql_url: sa.URL, pgbouncer: Callable[[sa.URL], sa.URL]
) -> None:
    store, ear = SqlStore(pgbouncer(postgresql_url), create_schema=True), Ear()
    store.open(FakeClock())
    listener = PostgresqlListener(store.engine, "lease_x", "a" * 32, ear, patience=0.3)
    until(lambda: listener.attempts >= 4, "another attempt")
    assert not listener.working
    assert ear.heard == []
    listener.close()
    store.close()


def test_it_says_so_when_nothing_arrives_any_more(store: SqlStore) -> None:
    ear = Ear()
    listener = PostgresqlListener(store.engine, "lease_x", "a" * 32, ear, quiet=0.05, patience=0.3)
    until(lambda: listener.working)
    listener._test = lambda: setattr(listener, "_sent", "lost")  # type: ignore[method-assign]
    until(lambda: not listener.working)
    listener.close()


def test_closing_is_quick_and_leaves_no_thread(store: SqlStore, listen: Listen) -> None:
    listener = listen("a" * 32, Ear())
    listener.close()
    assert not listener._thread.is_alive()
    listener.close()


def test_what_fails_in_hearing_does_not_end_it(
    store: SqlStore, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    teller, ear = Start(store), Ear()
    listener = listen("a" * 32, ear)
    listener._heard = lambda notices: 1 / 0  # type: ignore[assignment]
    say(teller, Notice(KEY))
    until(lambda: "ZeroDivisionError" in caplog.text)
    listener._heard = ear
    say(teller, Notice(named("after")))
    assert ear.wait(1) == [[Notice(named("after"))]]
