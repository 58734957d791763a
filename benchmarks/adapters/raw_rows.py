"""The raw way on SQL: a row is a lease; one upsert claims it, one delete releases it.

Each call is one durable transaction. That is what a user would write by hand: no queue, no term,
no retry, and whoever finds the row taken has to ask again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from benchmarks.adapters.base import Lost

CONNECTIONS = 8
"""So many connections the threads of one process share."""


class Rows(ABC):
    """One table of leases, and what is said to it."""

    CREATE: ClassVar[str]
    CLAIM: ClassVar[str]
    RELEASE: ClassVar[str]
    CHECK: ClassVar[str]
    FILL: ClassVar[str]
    EPOCH: ClassVar[object]
    """An expiry long ago."""

    def __init__(self, duration: float) -> None:
        self.duration = duration

    @abstractmethod
    def change(self, statement: str, *values: Any) -> int:
        """Execute and commit; so many rows were changed."""

    @abstractmethod
    def look(self, statement: str, *values: Any) -> bool:
        """Whether the query finds a row."""

    @abstractmethod
    def change_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def claim(self, name: str, holder: str, *, block: bool) -> Row | None:
        assert not block, "a row cannot be waited for"
        return Row(self, name, holder) if self.upsert(name, holder) else None

    def upsert(self, name: str, holder: str) -> bool:
        return self.change(self.CLAIM, name, holder, self.duration) > 0

    def fill(self, names: Sequence[str]) -> Sequence[str]:
        """Standing rows (a released one is deleted)."""
        for start in range(0, len(names), 5000):
            some = names[start : start + 5000]
            rows = [(f"filled-{name}", "holder", self.EPOCH) for name in some]
            self.change_many(self.FILL, rows)
        return names


class Row:
    """A row that is held."""

    def __init__(self, rows: Rows, name: str, holder: str) -> None:
        self._rows, self._name, self._holder = rows, name, holder

    def release(self) -> None:
        if not self._rows.change(self._rows.RELEASE, self._name, self._holder):
            raise Lost(self._name)

    def renew(self) -> None:
        if not self._rows.upsert(self._name, self._holder):
            raise Lost(self._name)

    def check(self) -> None:
        if not self._rows.look(self._rows.CHECK, self._name, self._holder):
            raise Lost(self._name)
