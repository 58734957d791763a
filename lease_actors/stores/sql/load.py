"""The first half of a transaction: what a batch has to see, locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from lease_actors.core.model import ClaimId, Key, LeaseState, Need, Waiter
from lease_actors.stores.sql.rows import PINS, QUEUED, digest, to_state, to_waiter
from lease_actors.stores.sql.statements import Statements

__all__ = ["Found", "Loaded", "load"]


class Found(NamedTuple):
    """A row of ``leases``: its id, and its columns in the order of ``STATE_COLUMNS``."""

    id: int
    columns: tuple[Any, ...]


class Loaded(NamedTuple):
    """The states of the keys, and the rows that there are of them."""

    states: dict[Key, LeaseState]
    found: dict[Key, Found]


def load(connection: sa.Connection, statements: Statements, needs: Mapping[Key, Need]) -> Loaded:
    """Lock the rows in one order for everybody; then read what hangs on them.

    Queues and pins are read by statements of their own, after the rows are locked: one that
    waits for a lock and joins the queue would see a fresh lease and the queue as it was.
    """
    keys = {digest(key): key for key in needs}
    rows = statements.lock_leases.run(connection, sorted(keys))
    found = {keys[row[1]]: Found(row[0], tuple(row[2:])) for row in rows}
    pins = _pins(connection, statements, found.values())
    windows = _windows(connection, statements, needs, found)
    states = {}
    for key, (lease_id, columns) in found.items():
        queue, horizon = windows.get(key, _NOBODY_WAITS)
        states[key] = to_state(key, columns, pins.get(lease_id, ()), queue, horizon)
    if len(found) < len(needs):
        floor = statements.lock_floor.one(connection)
        for key in needs:
            if key not in found:
                states[key] = LeaseState(key, floor)
    return Loaded(states, found)


_Window = tuple[tuple[Waiter, ...], int | None]
_NOBODY_WAITS: _Window = ((), None)


def _pins(
    connection: sa.Connection, statements: Statements, found: Iterable[Found]
) -> dict[int, tuple[str, ...]]:
    pinned = [row.id for row in found if row.columns[PINS]]
    if not pinned:
        return {}
    pins: dict[int, tuple[str, ...]] = defaultdict(tuple)
    for lease_id, entity in statements.pins.run(connection, pinned):
        pins[lease_id] += (entity,)
    return pins


def _windows(
    connection: sa.Connection,
    statements: Statements,
    needs: Mapping[Key, Need],
    found: Mapping[Key, Found],
) -> dict[Key, _Window]:
    """Of each queue the first live waiters, and those that are named wherever they stand."""
    queued = {key: row for key, row in found.items() if row.columns[QUEUED]}
    if not queued:
        return {}
    windows: dict[Key, _Window] = {}
    named: set[ClaimId] = set()
    for key, row in queued.items():
        need = needs[key]
        heads = _heads(connection, statements, row.id, need.heads)
        windows[key] = heads
        if len(heads[0]) < row.columns[QUEUED]:
            named |= need.claims - {w.claim for w in heads[0]}
    if named:
        others = _named(connection, statements, named)
        for key, row in queued.items():
            queue, horizon = windows[key]
            more = {w.place: w for w in (*queue, *others.get(row.id, ()))}
            windows[key] = tuple(more[place] for place in sorted(more)), horizon
    return windows


def _heads(connection: sa.Connection, statements: Statements, lease: int, limit: int) -> _Window:
    """One more than is wanted tells whether there are others behind."""
    rows = statements.heads.rows(connection, (lease, limit + 1))
    queue = tuple(to_waiter(row) for row in rows[:limit])
    if len(rows) <= limit:
        return queue, None
    return queue, queue[-1].place if queue else 0


def _named(
    connection: sa.Connection, statements: Statements, claims: Iterable[ClaimId]
) -> dict[int, list[Waiter]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for start, number in claims:
        numbers[start].append(number)
    waiters: dict[int, list[Waiter]] = defaultdict(list)
    for start in sorted(numbers):
        for lease_id, *row in statements.named.run(connection, sorted(numbers[start]), start):
            waiters[lease_id].append(to_waiter(row))
    return waiters
