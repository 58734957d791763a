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


def prune_leases(
    connection: sa.Connection,
    statements: Statements,
    history: History,
    before: Instant,
    after: int,
    limit: int,
) -> tuple[int, int]:
    """Delete, among the next ``limit`` rows behind id ``after``, those idle since ``before``.

    Returns how many went, and the id to go on after (0: from the beginning).
    """
    rows: list[Any] = list(statements.sweep.rows(connection, (after, limit)))
    idle = [row for row in rows if _is_idle(row[1:], before)]
    if idle:
        history.record_overdue(connection, (row[0] for row in idle if row[1 + HOLDER] is not None))
        statements.drop_lease.many(connection, [(row[0],) for row in idle])
        statements.raise_floor.count(connection, (max(row[1] for row in idle),))
    return len(idle), rows[-1][0] if len(rows) == limit else 0


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
    rows = statements.old_starts.rows(connection, (now - STARTS_KEPT, limit))
    old: list[Any] = list(rows)
    gone = [(row[0], row[1]) for row in old if row[1] != newest]
    statements.drop_start.many(connection, gone)
    statements.drop_absence.many(connection, [(start,) for start, _ in gone])
