"""Pruning: rows that nothing hangs on go, a bounded number at a time.

A clock hand goes round by primary key. Deleting rows and raising the floor above their terms
is one transaction, and whoever creates a row reads the floor, locked, within its own: so no
interleaving of pruning and creating gives a term twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lease_actors.core.model import Instant, Key, Micros
from lease_actors.stores.idle import idle_since
from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.history import History
from lease_actors.stores.sql.rows import HOLDER, PINS, to_state
from lease_actors.stores.sql.statements import Statements

__all__ = ["STARTS_KEPT", "prune_history", "prune_leases", "prune_starts"]

STARTS_KEPT: Micros = 7 * 24 * 3600 * 1_000_000
"""So long a start that nobody waits under is remembered. One that returns later finds itself
unknown before its batch has done anything."""

_ROUNDS = 200
"""So often one call goes on with the history. Many more tenures may have ended since the last
call than there are leases; each round is a transaction of its own, for others want to write."""

_ANY = Key("", "", "")
_LAST = 2**62


def prune_leases(
    connection: sa.Connection,
    statements: Statements,
    dialect: Dialect,
    history: History,
    before: Instant,
    after: int,
    limit: int,
) -> tuple[int, int]:
    """Delete, among the next ``limit`` rows behind id ``after``, those idle since ``before``.

    Returns how many went, and the id to go on after (0: from the beginning).
    """
    rows: list[Any] = statements.sweep.rows(connection, after, limit)
    hand = rows[-1][0] if len(rows) == limit else 0
    idle = {row[0]: row[1] for row in rows if _is_idle(row[1:], before)}
    held = {row[0] for row in rows if row[1 + HOLDER] is not None}
    if dialect.locks_tenures:
        idle = _without_guarded(connection, statements, idle)
        orphans = statements.orphans.rows(connection, after, hand or _LAST, limit)
        _drop_tenures(connection, statements, [*idle, *(row[0] for row in orphans)])
    if idle:
        history.record_overdue(connection, held.intersection(idle))
        statements.drop_lease.run(connection, [(lease,) for lease in sorted(idle)])
        statements.raise_floor.count(connection, max(idle.values()))
    return len(idle), hand


def _without_guarded(
    connection: sa.Connection, statements: Statements, idle: dict[int, int]
) -> dict[int, int]:
    """A tenure that nobody has tidied up may be guarded, long past its expiry."""
    free = {row[0] for row in statements.lock_tenures.run(connection, sorted(idle))}
    return {lease: term for lease, term in idle.items() if lease in free}


def _drop_tenures(connection: sa.Connection, statements: Statements, leases: Sequence[int]) -> None:
    """Delete what guards lock, but never the row of the highest id: it goes when it no longer is.

    A guard may still ask for a row that has gone, and where reads lock gaps it keeps everybody
    from inserting there until its transaction ends. Between two ids nobody ever will.
    """
    newest = statements.newest_tenure.one(connection)
    wanted = sorted(lease for lease in leases if lease != newest)
    free = [row[0] for row in statements.lock_tenures.run(connection, wanted)]
    statements.drop_tenure.run(connection, [(lease,) for lease in sorted(free)])


def prune_history(
    connection: sa.Connection, dialect: Dialect, history: History, now: Instant, limit: int
) -> None:
    """Forget what ended too long ago, ``limit`` records a transaction."""
    for _ in range(_ROUNDS):
        dialect.begin(connection)
        more = history.prune(connection, now, limit)
        dialect.commit(connection)
        if not more:
            return


def _is_idle(columns: Sequence[Any], before: Instant) -> bool:
    if columns[PINS]:
        return False
    since = idle_since(to_state(_ANY, columns))
    return since is not None and since <= before


def prune_starts(
    connection: sa.Connection, statements: Statements, now: Instant, limit: int
) -> None:
    """Forget starts long unseen, but never the one seen last: the clock's rule rests on it."""
    newest = statements.newest_start.one(connection)
    old: list[Any] = statements.old_starts.rows(connection, now - STARTS_KEPT, limit)
    gone = [(row[0], row[1]) for row in old if row[1] != newest]
    statements.drop_start.run(connection, gone)
    statements.drop_absence.run(connection, [(start,) for start, _ in gone])
