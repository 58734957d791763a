"""The suite for all stores on a database server: by its URL, and on an engine of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest
import sqlalchemy as sa

from lease_actors.clock import Clock
from lease_actors.stores import SqlStore, Store
from lease_actors.testing.conformance import StoreConformance


class ByUrl(StoreConformance):
    kind: ClassVar[str]
    """The fixture of the server."""

    @pytest.fixture(autouse=True)
    def _in(self, request: pytest.FixtureRequest) -> None:
        self.url, self.prefix = request.getfixturevalue(self.kind).shared()

    def make_store(self, clock: Clock) -> Store:
        return SqlStore(self.url, create_schema=True, table_prefix=self.prefix)


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
