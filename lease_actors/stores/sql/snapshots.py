"""Reading without a lock: leases as they are at a moment, delaying nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from lease_actors.core.model import Instant, Key, LeaseState, Waiter
from lease_actors.stores.base import Peek
from lease_actors.stores.sql.rows import digest, scope_of, to_state, to_waiter
from lease_actors.stores.sql.statements import Statements

__all__ = ["Snapshots"]


class Snapshots:
    """What a store shows of its leases."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def get(self, connection: sa.Connection, key: Key) -> LeaseState:
        """One lease."""
        rows = self._statements.get.rows(connection, digest(key))
        if not rows:
            return LeaseState(key, self._statements.floor.one(connection))
        [state] = _states(key.namespace, key.model_uuid, rows)
        return state

    def leases(
        self, connection: sa.Connection, namespace: str | None, model_uuid: str | None
    ) -> list[LeaseState]:
        """Those there, or everywhere, that have a tenure, an offer or pins."""
        if namespace is None or model_uuid is None:
            return self._everywhere(connection)
        place = (scope_of(namespace, model_uuid), namespace, model_uuid)
        rows = self._statements.list.rows(connection, *place)
        return list(_states(namespace, model_uuid, rows))

    def _everywhere(self, connection: sa.Connection) -> list[LeaseState]:
        places: dict[tuple[str, str], list[Sequence[Any]]] = {}
        for *row, namespace, model in self._statements.list_all.rows(connection):
            places.setdefault((namespace, model), []).append(row)
        return [s for place, rows in places.items() for s in _states(*place, rows)]

    def waiting(self, connection: sa.Connection, key: Key) -> list[Waiter]:
        """The whole queue of one lease, in order."""
        return [to_waiter(r) for r in self._statements.waiting.rows(connection, digest(key))]

    def peek(
        self,
        connection: sa.Connection,
        start: str,
        keys: Sequence[Key],
        now: Callable[[sa.Connection], Instant],
    ) -> Peek:
        """What concerns that start."""
        statements = self._statements
        offers = [
            (state.key, state.offer)
            for row in statements.offers.rows(connection, start)
            if (state := to_state(Key(*row[:3]), row[3:])).offer is not None
        ]
        states = self._of(connection, keys)
        absent = statements.absent.one(connection, start) is not None
        return Peek(offers, states, absent, now(connection))

    def _of(self, connection: sa.Connection, keys: Sequence[Key]) -> list[LeaseState]:
        rows = list(self._statements.peek.run(connection, [digest(key) for key in keys]))
        found: dict[bytes, list[Sequence[Any]]] = {}
        for *row, key_hash in rows:
            found.setdefault(bytes(key_hash), []).append(row)
        states: list[LeaseState] = []
        for key in keys:
            there = found.get(digest(key))
            states += _states(key.namespace, key.model_uuid, there) if there else [LeaseState(key)]
        return states


def _states(namespace: str, model_uuid: str, rows: Iterable[Sequence[Any]]) -> Iterator[LeaseState]:
    """One state for each lease, from rows that have one pin, or none, each; in order."""
    leases: dict[str, tuple[Sequence[Any], list[str]]] = {}
    for row in rows:
        _, pins = leases.setdefault(row[0], (row[2:], []))
        if row[1] is not None:
            pins.append(row[1])
    for lease, (columns, pins) in leases.items():
        yield to_state(Key(namespace, model_uuid, lease), columns, tuple(pins))
