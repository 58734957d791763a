"""The first half of a transaction: what a batch has to see, locked.

Statements that do not need each other's answers travel together, where the driver can: first
the batch's number, the lease rows and the time; then what hangs on those rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from lease_actors.core.model import ClaimId, Instant, Key, LeaseState, Need, Waiter
from lease_actors.stores.sql.compiled import Call
from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.rows import (
    ENDING,
    EXPIRY,
    HOLDER,
    OFFER,
    PINS,
    QUEUED,
    STATE_COLUMNS,
    digest,
    to_state,
    to_waiter,
)
from lease_actors.stores.sql.statements import Statements

__all__ = ["Found", "Loader"]


class Found(NamedTuple):
    """A row of ``leases``: its id, and its columns in the order of ``STATE_COLUMNS``."""

    id: int
    columns: tuple[Any, ...]


_Window: TypeAlias = tuple[tuple[Waiter, ...], int | None]
_NOBODY_WAITS: _Window = ((), None)
_STATE = slice(2, 2 + len(STATE_COLUMNS))
_MOST_AHEAD = 8
"""Of so many leases at most the queue is asked for on suspicion: each is a statement."""
_Question: TypeAlias = tuple[Call, Callable[[Sequence[Any]], None]]


class Loader:
    """Loads what a batch needs.

    Rows are locked in one order for everybody. Queues and pins are read by statements of their
    own, after the rows are locked: one that waits for a lock and joins the queue would see a
    fresh lease and the queue as it was. ``wary``: of these leases, rows that somebody else has
    locked are not waited for; they end up in ``elsewhere``, and not in ``states``. ``contended``:
    of leases on which somebody has waited before, the ids of their rows.
    """

    def __init__(
        self,
        dialect: Dialect,
        statements: Statements,
        needs: Mapping[Key, Need],
        wary: set[Key],
        contended: Mapping[Key, int],
    ) -> None:
        self.states: dict[Key, LeaseState] = {}
        self.found: dict[Key, Found] = {}
        self.elsewhere: set[Key] = set()
        self.setting: Any = None
        """The history's, where it comes with the rows."""
        self._dialect, self._statements = dialect, statements
        self._needs, self._wary = needs, wary
        self._keys = {digest(key): key for key in needs}
        self._floor: int | None = None
        self._pins: dict[int, tuple[str, ...]] = defaultdict(tuple)
        self._contended = contended
        self._windows: dict[Key, _Window] = {}
        self._reached: set[int] = set()
        self._unreached: set[int] = set()

    def queued(self, changed: Iterable[LeaseState]) -> dict[Key, int]:
        """The rows, by their ids, on which somebody waits once these states are written."""
        waiting = {key: row.columns[QUEUED] for key, row in self.found.items()}
        waiting.update((s.key, s.queued) for s in changed)
        return {key: row.id for key, row in self.found.items() if waiting[key]}

    # -- first: the rows -----------------------------------------------------------------

    def locks(self) -> list[Call]:
        """What locks the lease rows; the answers are for ``see``."""
        statements, keys = self._statements, self._keys
        if not self._wary:
            return statements.lock_leases.calls(sorted(keys))
        bold = sorted(hash for hash, key in keys.items() if key not in self._wary)
        wary = sorted(hash for hash, key in keys.items() if key in self._wary)
        return statements.lock_leases.calls(bold) + statements.lock_free_leases.calls(wary)

    def see(self, rows: Sequence[Sequence[Any]]) -> None:
        """These are the rows that there are, locked."""
        for row in rows:
            self.found[self._keys[bytes(row[1])]] = Found(row[0], tuple(row[_STATE]))
        if rows and len(rows[0]) > _STATE.stop:  # it is the same in all of them
            self.setting = rows[0][_STATE.stop]

    def ahead(self) -> list[_Question]:
        """Where that saves a round trip: what would be asked next, before the rows are seen."""
        if not self._dialect.asks_ahead:
            return []
        return self._about_terms() + self._about_contended()

    def _about_terms(self) -> list[_Question]:
        """Lock the terms that may change, by a condition.

        It looks at the time after ``now`` was read, so it takes in all that ``load`` will want.
        """
        # Not where the row may be somebody else's: he would take us for a guard.
        own = {hash: key for hash, key in self._keys.items() if key not in self._wary}
        ends = sorted(hash for hash, key in own.items() if self._needs[key].ends)
        unsure = sorted(hash for hash, key in own.items() if not self._needs[key].ends)

        def take(rows: Sequence[Any]) -> None:
            self._reached.update(row[0] for row in rows)

        statements = self._statements
        calls = statements.lock_terms.calls(ends) + statements.lock_unsure_terms.calls(unsure)
        return [(call, take) for call in calls]

    def _about_contended(self) -> list[_Question]:
        """Where somebody has waited before, somebody will wait now."""
        known = [(key, id) for key, id in self._contended.items() if key in self._needs]
        return [self._about_heads(key, id) for key, id in known[:_MOST_AHEAD]]

    # -- then: what hangs on them --------------------------------------------------------

    def load(self, connection: sa.Connection, now: Instant) -> None:
        """See what else there is to be seen, the time being ``now``."""
        self._ask(
            connection,
            self._about_pins()
            + self._about_queues()
            + self._about_tenures(now)
            + self._about_new(),
        )
        self._ask(connection, self._about_named())
        for key, (lease_id, columns) in self.found.items():
            queue, horizon = self._windows.get(key, _NOBODY_WAITS)
            state = to_state(key, columns, self._pins.get(lease_id, ()), queue, horizon)
            self._add(key, lease_id, state)
        for key in self._needs:
            if key not in self.found and key not in self.elsewhere:
                if self._floor is None:  # the floor's row is locked elsewhere
                    self.elsewhere.add(key)
                else:
                    self.states[key] = LeaseState(key, self._floor)

    def _add(self, key: Key, lease_id: int, state: LeaseState) -> None:
        if lease_id in self._unreached:
            if state.tenure is None:
                # A guard that came too late, in a transaction that goes on: what it has locked
                # may have to be written here.
                self.elsewhere.add(key)
                return
            state = state._replace(guarded=True)
        self.states[key] = state

    def _ask(self, connection: sa.Connection, questions: list[_Question]) -> None:
        if not questions:
            return
        answers = self._dialect.together(connection, [call for call, _ in questions])
        for answer, (_, take) in zip(answers, questions, strict=True):
            take(answer.fetchall())

    def _about_pins(self) -> list[_Question]:
        pinned = [row.id for row in self.found.values() if row.columns[PINS]]
        if not pinned:
            return []

        def take(rows: Sequence[Any]) -> None:
            for lease_id, entity in rows:
                self._pins[lease_id] += (entity,)

        return [(call, take) for call in self._statements.pins.calls(pinned)]

    def _about_queues(self) -> list[_Question]:
        """Of each queue the first live waiters, unless they have been seen by now."""
        queued = {key: row.id for key, row in self.found.items() if row.columns[QUEUED]}
        if self._windows:  # seen ahead: but those may be others' rows by now, or nobody waits
            self._windows = {
                key: window
                for key, window in self._windows.items()
                if queued.get(key) == self._contended[key]
            }
        return [self._about_heads(k, id) for k, id in queued.items() if k not in self._windows]

    def _about_heads(self, key: Key, lease_id: int) -> _Question:
        """The first live waiters; one more tells whether there are others behind."""
        limit = self._needs[key].heads

        def take(rows: Sequence[Any]) -> None:
            queue = tuple(to_waiter(row) for row in rows[:limit])
            horizon = None if len(rows) <= limit else queue[-1].place if queue else 0
            self._windows[key] = queue, horizon

        return self._statements.heads.call(lease_id, limit + 1), take

    def _about_named(self) -> list[_Question]:
        """The waiters that are named, wherever they stand."""
        if not self._windows:
            return []
        named: dict[str, list[int]] = defaultdict(list)
        for claim in sorted(self._unseen()):
            named[claim.start].append(claim.number)
        keys = {self.found[key].id: key for key in self._windows}

        def take(rows: Sequence[Any]) -> None:
            for lease_id, *row in rows:
                if lease_id in keys:
                    self._show(keys[lease_id], to_waiter(row))

        statement = self._statements.named
        return [
            (call, take)
            for start, numbers in named.items()
            for call in statement.calls(numbers, start)
        ]

    def _unseen(self) -> set[ClaimId]:
        claims: set[ClaimId] = set()
        for key, (queue, _) in self._windows.items():
            if len(queue) < self.found[key].columns[QUEUED]:
                claims |= self._needs[key].claims - {w.claim for w in queue}
        return claims

    def _show(self, key: Key, waiter: Waiter) -> None:
        queue, horizon = self._windows[key]
        there = {w.place: w for w in (*queue, waiter)}
        self._windows[key] = tuple(there[place] for place in sorted(there)), horizon

    def _about_tenures(self, now: Instant) -> list[_Question]:
        """Lock the terms that may change. What a guard has locked is not waited for."""
        if not self._dialect.locks_tenures:
            return []
        ids = {
            row.id: key
            for key, row in self.found.items()
            if _may_change(row.columns, self._needs[key], now)
        }
        self._unreached = set(ids) - self._reached
        unasked = [
            lease for lease, key in ids.items() if key in self._wary or not self._dialect.asks_ahead
        ]

        def take(rows: Sequence[Any]) -> None:
            self._unreached.difference_update(row[0] for row in rows)

        return [(call, take) for call in self._statements.lock_tenures.calls(sorted(unasked))]

    def _about_new(self) -> list[_Question]:
        """Where rows are missing: the floor, locked; and are they missing, or just not free?"""
        if len(self.found) == len(self._keys):
            return []
        missing = [hash for hash, key in self._keys.items() if key not in self.found]

        def take_floor(rows: Sequence[Any]) -> None:
            self._floor = rows[0][0] if rows else None

        def take_there(rows: Sequence[Any]) -> None:
            self.elsewhere |= {self._keys[bytes(row[0])] for row in rows}

        statements = self._statements
        if not self._wary:
            return [(statements.lock_floor.call(), take_floor)]
        suspects = [hash for hash in missing if self._keys[hash] in self._wary]
        return [(statements.lock_free_floor.call(), take_floor)] + [
            (call, take_there) for call in statements.ids.calls(suspects)
        ]


def _may_change(columns: Sequence[Any], need: Need, now: Instant) -> bool:
    """Can the standing term change in this batch? Not by a renewal, a check, or queueing."""
    held = columns[HOLDER] is not None and columns[OFFER] is None
    if not held or need.ends or columns[ENDING] is not None:
        return True
    return not columns[PINS] and bool(columns[EXPIRY] <= now)
