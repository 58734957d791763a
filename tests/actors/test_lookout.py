"""The lookout: what it looks at, and that it leaves nothing out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from support.managers import until

from lease_actors import SystemClock
from lease_actors.actors.lookout import Lookout
from lease_actors.core.model import ClaimId, Key, Notice, Offer
from lease_actors.stores.base import Heard, Peek


class QuietStore:
    """Nothing is heard of; the version is what the test says."""

    def __init__(self) -> None:
        self.number: int | None = 1
        self.looks = 0
        self.looked_at: set[str] = set()
        self.offers: list[tuple[Key, Offer]] = []

    def listen(self, start: str, heard: Heard) -> None:
        return None

    def version(self) -> int:
        return self.number

    def offered(self, start: str) -> bool:
        return bool(self.offers)

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        self.looks += 1
        self.looked_at |= {key.lease for key in keys}
        return Peek(self.offers, [], False, 0)


@pytest.fixture
def store() -> QuietStore:
    return QuietStore()


@pytest.fixture
def lookout(store: QuietStore) -> Iterator[Lookout]:
    runtime: Any = SimpleNamespace(
        store=store, clock=SystemClock(), label="test", log=logging.getLogger("test")
    )
    lookout = Lookout(runtime, lambda: "start", lambda message: None)
    yield lookout
    lookout.close()
    lookout.join(5)


def test_after_a_change_all_leases_are_looked_at_however_many(
    store: QuietStore, lookout: Lookout
) -> None:
    names = {str(number) for number in range(700)}
    lookout.follow([Key("ns", "", name) for name in names], [])
    for change in range(2):
        until(lambda: store.looked_at == names, f"a look at all after change {change}")
        store.looked_at = set()
        store.number += 1
    until(lambda: store.looked_at == names, "a look at all")


def test_a_lease_that_is_added_is_looked_at_though_nothing_changes_any_more(
    store: QuietStore, lookout: Lookout
) -> None:
    lookout.follow([Key("ns", "", "first")], [])
    until(lambda: store.looks == 2, "a look to begin with, and one for the version")
    lookout.follow([Key("ns", "", "second")], [])  # it changed before that version was read
    until(lambda: "second" in store.looked_at, "a look at the lease that was added")


# -- how long it waits between two looks ---------------------------------------------------

LEASE = Key("ns", "", "lease")


@pytest.fixture
def by_hand(lookout: Lookout) -> Lookout:
    """Its thread has ended: what it does is done step by step, and nobody sleeps."""
    lookout.close()
    lookout.join(5)
    lookout.follow([LEASE], [])
    return lookout


def pauses(lookout: Lookout, looks: int) -> list[float]:
    """How long it would have waited before each of the next looks."""
    found = []
    for _ in range(looks):
        found.append(lookout._next_pause())
        lookout._look()
    return found


@pytest.mark.parametrize(("version", "most"), [(1, 0.02), (None, 0.04)])
def test_without_notices_it_looks_ever_more_seldom(
    store: QuietStore, by_hand: Lookout, version: int | None, most: float
) -> None:
    store.number = version
    found = pauses(by_hand, 20)
    assert found[0] == 0.002
    assert found == sorted(found)
    assert found[-1] == most


def test_after_an_offer_it_looks_soon_again(store: QuietStore, by_hand: Lookout) -> None:
    pauses(by_hand, 20)
    store.number = 2
    store.offers = [(LEASE, Offer(ClaimId("start", 1), "app-1", 2, 0, 5_000_000))]
    assert pauses(by_hand, 2) == [0.02, 0.002]


def test_where_notices_arrive_it_looks_once_a_second(by_hand: Lookout) -> None:
    listener: Any = SimpleNamespace(working=True)
    by_hand._listener = listener
    assert pauses(by_hand, 3) == [1.0] * 3
    by_hand._heard([Notice(LEASE)])
    assert pauses(by_hand, 2) == [0, 1.0]
    listener.working = False
    assert max(pauses(by_hand, 20)) == 0.02
