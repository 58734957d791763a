"""The suite that every store must pass.

Inherit from :class:`StoreConformance` in a test module of yours, and say how a store is made::

    class TestMyStore(StoreConformance):
        def make_store(self, clock):
            return MyStore(...)          # empty, not open yet

Each test gets a store of its own, opened with a ``FakeClock`` that stands still; a store with a
clock of its own may ignore it. What may pass (``StorePassing``) is tried again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from lease_actors.clock import Clock
from lease_actors.stores.base import Store
from lease_actors.testing.cases.batches import BatchCases, ConcurrencyCases, StateCases
from lease_actors.testing.cases.histories import HistoryCases
from lease_actors.testing.cases.lookouts import ListenCases, PeekCases
from lease_actors.testing.cases.prunings import PruneCases
from lease_actors.testing.cases.queues import AbsenceCases, QueueCases
from lease_actors.testing.cases.reads import NameCases, ReadCases
from lease_actors.testing.clock import FakeClock

__all__ = ["StoreConformance"]


class StoreConformance(
    BatchCases,
    StateCases,
    ConcurrencyCases,
    QueueCases,
    AbsenceCases,
    ReadCases,
    NameCases,
    PeekCases,
    ListenCases,
    PruneCases,
    HistoryCases,
    ABC,
):
    """Every sentence of the ``Store`` protocol, as tests."""

    @abstractmethod
    def make_store(self, clock: Clock) -> Store:
        """A store that has nothing in it and is not open yet."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The clock that the store is opened with."""
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> Iterator[Store]:
        """The store of this test, open."""
        store = self.make_store(clock)
        store.open(clock)
        yield store
        store.close()

    def test_it_is_a_store(self, store: Store) -> None:
        """It has every method of the protocol."""
        assert isinstance(store, Store)
