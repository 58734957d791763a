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
from lease_actors.core.model import Key
from lease_actors.stores.base import Heard, Peek


class QuietStore:
    """Nothing is heard of; the version is what the test says."""

    def __init__(self) -> None:
        self.number = 1
        self.looks = 0
        self.looked_at: set[str] = set()

    def listen(self, start: str, heard: Heard) -> None:
        return None

    def version(self) -> int:
        return self.number

    def offered(self, start: str) -> bool:
        return False

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        self.looks += 1
        self.looked_at |= {key.lease for key in keys}
        return Peek([], [], False, 0)


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
