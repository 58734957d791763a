"""How often a batch goes to a server and back: what can be asked together, is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from support.servers import Databases

from lease_actors.core.decision import Granted
from lease_actors.core.operations import Cancel, Claim, Expire, Revoke
from lease_actors.stores import SqlStore
from lease_actors.testing.cases.starts import DURATION, KEY, Start, named
from lease_actors.testing.clock import FakeClock


@pytest.fixture
def store(postgresql_url: sa.URL) -> Iterator[SqlStore]:
    store = SqlStore(postgresql_url, create_schema=True)
    store.open(FakeClock())
    yield store
    store.close()


@pytest.fixture
def trips(store: SqlStore) -> Callable[[], int]:
    return counted(store)


def counted(store: SqlStore) -> Callable[[], int]:
    """How many round trips there have been since this was last asked."""
    made = [0]
    together = store._dialect.together

    def count(connection: sa.Connection, calls: Sequence[Any]) -> list[Any]:
        made[0] += bool(calls)
        return together(connection, calls)

    store._dialect.together = count  # type: ignore[method-assign]

    def since() -> int:
        found, made[0] = made[0], 0
        return found

    return since


@pytest.mark.parametrize(("kind", "least"), [("postgresql", 2), ("mariadb", 3), ("mysql", 3)])
def test_a_batch_in_which_nobody_waits_makes_as_few_as_its_server_allows(
    request: pytest.FixtureRequest, kind: str, least: int
) -> None:
    databases: Databases = request.getfixturevalue(kind)
    with databases.fresh() as url:
        store = SqlStore(url, create_schema=True)
        store.open(FakeClock())
        start = Start(store)
        keys = [named(f"lease-{n}") for n in range(20)]
        start.ask(*(Claim(key, "holder", DURATION) for key in keys))
        trips = counted(store)
        for operation in (Revoke, Claim):
            more = (DURATION,) if operation is Claim else ()
            start.ask(*(operation(key, "holder", *more) for key in keys))
            assert trips() == least
        store.close()


def test_a_hand_over_makes_two_once_the_lease_is_known_to_be_contended(
    store: SqlStore, trips: Callable[[], int]
) -> None:
    start = Start(store)
    tenure = start.claim()
    start.queue(1, 2)
    trips()
    start.release(tenure)
    assert trips() == 2
    state = start.look()
    assert state.tenure is not None and state.tenure.holder == "w1"
    assert [w.holder for w in state.queue] == ["w2"]


def test_a_queue_that_is_gone_by_then_is_not_seen(store: SqlStore) -> None:
    start = Start(store)
    tenure = start.claim()
    start.queue(1)
    start.ask(Cancel(KEY, start.claim_id(1)))
    start.release(tenure)
    state = start.look()
    assert state.tenure is None and not state.queue


def test_what_is_known_of_a_row_says_nothing_of_the_one_in_its_place(store: SqlStore) -> None:
    """A row that was pruned is made anew under another id, and its queue hangs on that."""
    start = Start(store)
    tenure = start.claim()
    start.queue(1)
    start.ask(Cancel(KEY, start.claim_id(1)))
    start.release(tenure)
    assert store.prune(0) == 1
    second = SqlStore(store.engine)  # which makes the row anew, unseen by the first
    second.open(FakeClock())
    other = Start(second)
    tenure = other.claim()
    other.queue(7)
    start.release(tenure)
    state = start.look()
    assert state.offer is not None and state.offer.holder == "w7"
    second.close()


def test_of_many_contended_leases_some_are_asked_for_later(
    store: SqlStore, trips: Callable[[], int]
) -> None:
    start = Start(store)
    keys = [named(f"lease-{n}") for n in range(20)]
    for number, key in enumerate(keys):
        start.claim(key)
        start.queue(number, key=key)
    trips()
    outcomes = start.ask(*(Expire(key) for key in keys))
    assert len(outcomes) == 20 and not any(isinstance(o, Granted) for o in outcomes)
    assert trips() == 3
