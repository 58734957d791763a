"""The second half of a transaction: what has changed, and nothing else, is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from lease_actors.core.model import Key, LeaseState, Waiter
from lease_actors.stores.base import Changes
from lease_actors.stores.sql.load import Loaded
from lease_actors.stores.sql.rows import digest, scope_of, to_row
from lease_actors.stores.sql.statements import Statements

__all__ = ["Writes"]

_Rows = list[tuple[Any, ...]]


class Writes:
    """The rows that a batch's changes come to, gathered so that each table is written at once."""

    __slots__ = (
        "_absent",
        "_created",
        "_loaded",
        "_off",
        "_on",
        "_pinned",
        "_unpinned",
        "_updates",
    )

    def __init__(self, loaded: Loaded, changes: Changes) -> None:
        self._loaded = loaded
        self._absent = changes.absent
        self._created: list[LeaseState] = []
        self._updates: _Rows = []
        self._on: _Rows = []
        self._off: _Rows = []
        self._pinned: _Rows = []
        self._unpinned: _Rows = []
        for state in changes.states:
            before = loaded.states[state.key]
            if state is not before:
                self._add(before, state)

    def _add(self, before: LeaseState, state: LeaseState) -> None:
        found = self._loaded.found.get(state.key)
        if found is None:
            if state != before:
                self._created.append(state)
            return
        columns = to_row(state)
        if columns != found.columns:
            self._updates.append((*columns, found.id))
        if state.queue is not before.queue:
            self._queue(found.id, before.queue, state.queue)
        if state.pins is not before.pins:
            self._pins(found.id, before.pins, state.pins)

    def _queue(self, lease: int, before: Iterable[Waiter], after: Iterable[Waiter]) -> None:
        was = {w.place: w for w in before}
        for waiter in after:
            old = was.pop(waiter.place, None)
            if old is None:
                self._on.append(_waiter_row(lease, waiter))
        self._off += [(lease, place) for place in was]

    def _pins(self, lease: int, before: Iterable[str], after: Iterable[str]) -> None:
        was, now = set(before), set(after)
        self._pinned += [(lease, entity) for entity in sorted(now - was)]
        self._unpinned += [(lease, entity) for entity in sorted(was - now)]

    def run(self, connection: sa.Connection, statements: Statements) -> None:
        """Write it all."""
        if self._created:
            self._create(connection, statements)
        statements.update_lease.many(connection, self._updates)
        statements.drop_waiter.many(connection, self._off)
        statements.add_waiter.many(connection, self._on)
        statements.drop_pin.many(connection, self._unpinned)
        statements.add_pin.many(connection, self._pinned)
        for start in sorted(self._absent):
            if not statements.mark_absent.count(connection, (start,)):
                statements.add_absent.count(connection, (start,))

    def _create(self, connection: sa.Connection, statements: Statements) -> None:
        statements.add_lease.many(connection, [_lease_row(state) for state in self._created])
        tied = {digest(s.key): s for s in self._created if s.queue or s.pins}
        if not tied:
            return
        for key_hash, lease in statements.ids.run(connection, sorted(tied)):
            state = tied[key_hash]
            self._queue(lease, (), state.queue)
            self._pins(lease, (), state.pins)


def _lease_row(state: LeaseState) -> tuple[Any, ...]:
    key: Key = state.key
    return (digest(key), scope_of(key.namespace, key.model_uuid), *key, *to_row(state))


def _waiter_row(lease: int, waiter: Waiter) -> tuple[Any, ...]:
    return (lease, waiter.place, *waiter.claim, waiter.holder, waiter.duration, waiter.since)
