"""The suite for all stores on a database server: by its URL, and on an engine of the user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.core.model import Instant, Key, LeaseState, Need
from lease_actors.stores import Changes, SqlStore, Store
from lease_actors.testing.cases.prunings import prune_once
from lease_actors.testing.cases.starts import KEY, Start
from lease_actors.testing.clock import FakeClock
from lease_actors.testing.conformance import StoreConformance


class ByUrl(StoreConformance):
    kind: ClassVar[str]
    """The fixture of the server."""

    @pytest.fixture(autouse=True)
    def _in(self, request: pytest.FixtureRequest) -> None:
        self.url, self.prefix = request.getfixturevalue(self.kind).shared()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)

    def test_a_new_row_starts_above_what_is_forgotten_while_it_is_made(
        self, store: Store, clock: FakeClock
    ) -> None:
        """Another process makes the same row, uses it, and prunes it: all that between what this
        one has read and what it writes."""
        elsewhere = self.make_store(clock)
        elsewhere.open(clock)
        other, given = Start(elsewhere), list[int]()

        def claim_between(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            if not given:
                for _ in range(3):
                    tenure = other.claim()
                    given.append(tenure.term)
                    other.release(tenure)
                prune_once(elsewhere)
            return Changes([LeaseState(KEY, states[KEY].term + 1)])

        start = Start(store)
        start.run_whole({KEY: Need()}, claim_between)
        assert given == [1, 2, 3]
        assert start.look().term == 4
        elsewhere.close()


class OnAnEngine(StoreConformance):
    kind: ClassVar[str]
    level: ClassVar[str]
    """The isolation level of the user's own transactions."""

    @pytest.fixture(autouse=True)
    def _in(self, request: pytest.FixtureRequest) -> Iterator[None]:
        url, self.prefix = request.getfixturevalue(self.kind).shared()
        url = url.set(drivername=url.drivername.replace("mariadb", "mysql"))  # as most write it
        self.engine = sa.create_engine(url, isolation_level=self.level)
        yield
        assert self.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        self.engine.dispose()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.engine, create_schema=True, table_prefix=self.prefix)
