"""The second half of a transaction: what has changed, and nothing else, is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from lease_actors.core.model import Key, LeaseState, Waiter
from lease_actors.stores.base import Changes
from lease_actors.stores.sql.compiled import Call
from lease_actors.stores.sql.load import Loader
from lease_actors.stores.sql.rows import digest, scope_of, to_row
from lease_actors.stores.sql.statements import Statements

__all__ = ["Writes"]

_Rows = list[tuple[Any, ...]]


class Writes:
    """The rows that a batch's changes come to, gathered so that each table is written at once.

    ``terms``: ``tenure`` is kept in step.
    """

    __slots__ = (
        "_absent",
        "_created",
        "_loaded",
        "_off",
        "_on",
        "_pinned",
        "_terms",
        "_unpinned",
        "_updates",
    )

    def __init__(self, loaded: Loader, changes: Changes, *, terms: bool) -> None:
        self._loaded = loaded
        self._absent = changes.absent
        self._created: list[LeaseState] = []
        self._updates: _Rows = []
        self._on: _Rows = []
        self._off: _Rows = []
        self._pinned: _Rows = []
        self._unpinned: _Rows = []
        self._terms: _Rows | None = [] if terms else None
        for state in changes.states:
            before = loaded.states[state.key]
            if state is not before:
                self._add(before, state)
        # In one order for everybody: two that make the same rows would wait for each other.
        self._created.sort(key=lambda state: digest(state.key))

    @property
    def created(self) -> list[Key]:
        """The leases that get a row."""
        return [state.key for state in self._created]

    def _add(self, before: LeaseState, state: LeaseState) -> None:
        found = self._loaded.found.get(state.key)
        if found is None:
            if state != before:
                self._created.append(state)
            return
        columns = to_row(state)
        if columns != found.columns:
            self._updates.append((*columns, found.id))
        if self._terms is not None and _standing(state) != _standing(before):
            self._terms.append((_standing(state), found.id))
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

    def calls(self, connection: sa.Connection, statements: Statements) -> list[Call]:
        """The statements that write it all; what they need to know is asked for first."""
        calls = self._create(connection, statements) if self._created else []
        for statement, rows in (
            (statements.set_tenure, self._terms),
            (statements.update_lease, self._updates),
            (statements.drop_waiter, self._off),
            (statements.add_waiter, self._on),
            (statements.drop_pin, self._unpinned),
            (statements.add_pin, self._pinned),
        ):
            if rows:
                calls += statement.calls(rows)
        for start in sorted(self._absent):
            if not statements.mark_absent.count(connection, start):
                calls.append(statements.add_absent.call(start))
        return calls

    def _create(self, connection: sa.Connection, statements: Statements) -> list[Call]:
        calls = statements.add_lease.calls([_lease_row(state) for state in self._created])
        if self._terms is not None:
            born = [(_standing(state), digest(state.key)) for state in self._created]
            calls += statements.add_tenure.calls(born)
        tied = {digest(s.key): s for s in self._created if s.queue or s.pins}
        if not tied:
            return calls
        for call in calls:
            call.run(connection)
        for key_hash, lease in statements.ids.run(connection, sorted(tied)):
            state = tied[bytes(key_hash)]
            self._queue(lease, (), state.queue)
            self._pins(lease, (), state.pins)
        return []


def _standing(state: LeaseState) -> int:
    """What a guard is told: the term of the tenure, 0 if there is none."""
    return state.tenure.term if state.tenure is not None else 0


def _lease_row(state: LeaseState) -> tuple[Any, ...]:
    key: Key = state.key
    return (digest(key), scope_of(key.namespace, key.model_uuid), *key, *to_row(state))


def _waiter_row(lease: int, waiter: Waiter) -> tuple[Any, ...]:
    return (lease, waiter.place, *waiter.claim, waiter.holder, waiter.duration, waiter.since)
