"""Batches: each applied once, in one transaction, past rows that somebody else keeps locked.

Statement by statement, a batch is: its number into the row of its start; the lease rows,
locked, in one order for everybody; the time; queues, pins and terms; the decision; what
changed; commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import islice

import sqlalchemy as sa

from lease_actors.core.model import Instant, Key
from lease_actors.stores.base import Batch, StartUnknown
from lease_actors.stores.sql.dialects import Dialect, LockedElsewhere, Taken
from lease_actors.stores.sql.history import History
from lease_actors.stores.sql.load import Loader
from lease_actors.stores.sql.statements import Statements
from lease_actors.stores.sql.write import Writes

__all__ = ["Batches"]

_TRIES = 5
"""So many transactions at most for one attempt at a batch."""

_PATIENT = 3
"""A batch of nothing but stuck leases waits for them each third time."""

_MOST_CONTENDED = 4096
"""So many leases are remembered to be contended; to forget one costs a round trip."""


class Batches:
    """Applies the batches of one store."""

    def __init__(
        self,
        dialect: Dialect,
        statements: Statements,
        history: History,
        connect: Callable[[], AbstractContextManager[sa.Connection]],
    ) -> None:
        self._dialect, self._statements, self._history = dialect, statements, history
        self._connect = connect
        self._stuck: dict[Key, int] = {}
        """Rows that were locked for longer than anybody waits, and how often they were found so:
        the batches that want them do not wait again, until they are found free. Only a batch of
        nothing else does, now and then: a row that many want is hardly ever free just so."""
        self._contended: dict[Key, int] = {}
        """Leases on which somebody has waited, and the ids of their rows."""

    def apply(self, batch: Batch) -> bool:
        """Apply the batch once; durable when it returns."""
        wary = self._wary(batch)
        hopeless: set[Key] = set()
        contended = {k: id for k in batch.needs if (id := self._contended.get(k)) is not None}
        for left in range(_TRIES - 1, -1, -1):
            attempt = _Attempt(
                self._dialect, self._statements, self._history, batch, wary, hopeless, contended
            )
            try:
                with self._connect() as connection:
                    applied = attempt.apply(connection)
            except Taken:
                # Somebody else has just made a row that we found missing. Now it is there.
                if not left:
                    raise
            except LockedElsewhere:
                if not left:
                    raise
                if attempt.created:
                    # Somebody else makes one of these rows just now, and does not come to an end.
                    hopeless |= set(attempt.created)
                elif wary == set(batch.needs):
                    raise
                else:
                    wary = set(batch.needs)
            else:
                self._note(batch.needs, attempt.elsewhere)
                if len(self._contended) > _MOST_CONTENDED:
                    self._contended.clear()
                self._contended.update(attempt.queued)
                return applied
        raise AssertionError("unreachable")

    def _wary(self, batch: Batch) -> set[Key]:
        """The rows that this batch will not wait for."""
        if not self._stuck:
            return set()
        wary = {key for key in batch.needs if key in self._stuck}
        if len(wary) == len(batch.needs) and all(self._stuck[k] % _PATIENT == 0 for k in wary):
            return set()
        return wary

    def _note(self, wanted: Iterable[Key], elsewhere: Collection[Key]) -> None:
        if not (elsewhere or self._stuck):
            return
        for key in wanted:
            if key in elsewhere:
                self._stuck[key] = self._stuck.get(key, 0) + 1
            else:
                self._stuck.pop(key, None)


class _Attempt:
    """One transaction."""

    def __init__(
        self,
        dialect: Dialect,
        statements: Statements,
        history: History,
        batch: Batch,
        wary: set[Key],
        hopeless: set[Key],
        contended: Mapping[Key, int],
    ) -> None:
        self.created: list[Key] = []
        """The rows that it tried to make."""
        self.queued: dict[Key, int] = {}
        """The rows, by their ids, on which somebody waits afterwards."""
        needs = batch.needs
        if hopeless:
            needs = {k: n for k, n in needs.items() if k not in hopeless}
        self._loader = Loader(dialect, statements, needs, wary, contended)
        self._hopeless = hopeless
        self._dialect, self._statements, self._batch = dialect, statements, batch
        self._history = history
        self._setting: str | None = None

    @property
    def elsewhere(self) -> set[Key]:
        """The leases that were left out."""
        return self._loader.elsewhere | self._hopeless

    def apply(self, connection: sa.Connection) -> bool:
        """Load, let decide, write, commit."""
        now = self._begin(connection)
        if now is None:
            self._look_for_start(connection)
            self._dialect.rollback(connection)
            return False
        self._loader.load(connection, now)
        changes = self._batch.decide(self._loader.states, now)
        writes = Writes(self._loader, changes, terms=self._dialect.locks_tenures)
        self.created = writes.created
        calls = writes.calls(connection, self._statements)
        calls += self._history.calls(connection, changes.ended, self._setting)
        if changes.notices:
            calls += self._dialect.notify(self._batch.start, changes.notices)
        self._dialect.finish(connection, calls)
        if self._dialect.asks_ahead:
            self.queued = self._loader.queued(changes.states)
        return True

    def _begin(self, connection: sa.Connection) -> Instant | None:
        """Write the number, lock the rows, read the time; None if the number was there before."""
        dialect, statements, batch = self._dialect, self._statements, self._batch
        opening = dialect.opening(connection)
        # The machine's time is asked for once: where it counts, the whole file is locked by now.
        now = 0 if statements.clock else dialect.now(None)
        seen = () if statements.clock else (now,)
        calls = [*opening, statements.advance.call(batch.number, batch.start, *seen)]
        clock = [statement.call() for statement in statements.clock]
        locks, ahead = self._loader.locks(), self._loader.ahead()
        asked = [*calls, *locks, *clock, *(call for call, _ in ahead)]
        answers = iter(dialect.together(connection, asked))
        if not list(islice(answers, len(calls)))[-1].rowcount:
            return None
        for answer in islice(answers, len(locks)):
            self._loader.see(answer.fetchall())
        self._setting = self._loader.setting
        for answer in islice(answers, len(clock)):
            told, self._setting = answer.fetchone()
            now = int(told)
        for answer, (_, take) in zip(answers, ahead, strict=True):
            take(answer.fetchall())
        return now

    def _look_for_start(self, connection: sa.Connection) -> None:
        if self._statements.start.one(connection, self._batch.start) is None:
            where = self._dialect.place
            raise StartUnknown(f"start {self._batch.start!r} is not recorded in {where}")
