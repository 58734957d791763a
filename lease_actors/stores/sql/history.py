"""The history: tenures that have ended, written down in the transaction that ended them.

Whether they are is a setting of the database, read in that very transaction: so it holds for every
manager from the next batch on, however each is configured. The look costs no statement of its own:
the setting comes along with the rows, or with the server's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from lease_actors.core.model import Instant, Key, Micros, PastTenure
from lease_actors.stores.base import HistoryQuery
from lease_actors.stores.past import check_retention, latest
from lease_actors.stores.sql.compiled import Call, Compiler, Statement, arg
from lease_actors.stores.sql.many import insert
from lease_actors.stores.sql.rows import digest, scope_of
from lease_actors.stores.sql.tables import Tables

__all__ = ["History", "select_setting"]

_NAMES = ("namespace", "model", "lease")
_PAST = ("holder", "term", "granted_at", "ended_at", "ended")
_COLUMNS = ("key_hash", "scope", *_NAMES, *_PAST)
_ZERO = sa.literal_column("0", sa.Integer)
_EXPIRED = sa.literal_column("'expired'", sa.String)
_FOREVER = 2**63 - 1


def select_setting(tables: Tables) -> sa.Select[Any]:
    """Whether tenures that end are recorded, and for how long: also for a part of a statement."""
    meta = tables.meta
    # Spelled out, not an argument: a statement with this in it has none but those of its own.
    return sa.select(meta.c.value).where(meta.c.name == sa.literal_column("'history'", sa.String))


class History:
    """The statements about the history, compiled for one engine, and what they come to."""

    def __init__(self, tables: Tables, dialect: sa.Dialect) -> None:
        compile, history, meta = Compiler(dialect), tables.history, tables.meta
        self._setting = compile(lambda: select_setting(tables))
        self._set = compile(
            lambda: meta.update().values(value=arg("value")).where(meta.c.name == "history"),
            "value",
        )
        self._add = insert(compile, history, *_COLUMNS)
        self._add_overdue = compile(lambda: _copy(tables), "id")
        self._oldest = compile(
            lambda: (
                sa.select(history.c.id, history.c.ended_at)
                .order_by(history.c.id)
                .limit(arg("limit"))
            ),
            "limit",
        )
        # Ids are given before commits: one that is as low may be younger than what was looked at.
        self._drop = compile(
            lambda: history.delete().where(
                history.c.id <= arg("id"), history.c.ended_at <= arg("before")
            ),
            *("id", "before"),
        )
        bounds, leases = ("since", "until", "limit"), tables.leases
        recorded, unrecorded = _recorded(history), _unrecorded(leases)
        scope = ("scope", "namespace", "model")
        order, due = (history.c.ended_at.desc(), history.c.id.desc()), leases.c.expiry.desc()
        self._of_lease = (
            compile(lambda: _of_lease(unrecorded, leases).order_by(due), "hash", *bounds),
            compile(lambda: _of_lease(recorded, history).order_by(*order), "hash", *bounds),
        )
        self._of_scope = (
            compile(lambda: _of_scope(unrecorded, leases).order_by(due), *scope, *bounds),
            compile(lambda: _of_scope(recorded, history).order_by(*order), *scope, *bounds),
        )
        self._of_all = (
            compile(lambda: unrecorded.order_by(due), *bounds),
            # By id: there is no index over all instants.
            compile(lambda: recorded.order_by(history.c.id.desc()), *bounds),
        )

    # -- the setting ---------------------------------------------------------------------

    def retention(self, connection: sa.Connection) -> Micros | None:
        """For how long what has ended is kept; None: nothing is written down."""
        state, kept = self._read_setting(connection)
        return kept if state == "on" else None

    def set(self, connection: sa.Connection, retention: Micros | None) -> None:
        """On, for so long; or off, and what is there ages as it would have."""
        check_retention(retention)
        if retention is None:
            value = f"off {self._read_setting(connection)[1]}"
        else:
            value = f"on {retention}"
        self._set.count(connection, value)

    def _read_setting(self, connection: sa.Connection) -> tuple[str, Micros]:
        return _parse(self._setting.one(connection))

    # -- writing -------------------------------------------------------------------------

    def calls(
        self, connection: sa.Connection, ended: Sequence[PastTenure], setting: str | None = None
    ) -> list[Call]:
        """What writes down what this transaction has ended, if the history is on.

        ``setting``: as this transaction has read it already; else it is asked for, if need be.
        """
        if not ended:
            return []
        if (_parse(setting) if setting else self._read_setting(connection))[0] != "on":
            return []
        return self._add.calls([_row(past) for past in ended])

    def record_overdue(self, connection: sa.Connection, leases: Iterable[int]) -> None:
        """The same for rows that are pruned over a tenure whose expiry has come."""
        ids = [(lease,) for lease in leases]
        if ids and self.retention(connection) is not None:
            for call in self._add_overdue.calls(ids):
                call.run(connection)

    def prune(self, connection: sa.Connection, now: Instant, limit: int) -> bool:
        """Delete what is too old among the ``limit`` oldest records; whether there may be more.

        By the order in which they were written, which is that of their ids: an expiry noticed
        late goes with its neighbours. So no index over all instants has to be kept.
        """
        before = now - self._read_setting(connection)[1]
        rows = self._oldest.rows(connection, limit)
        young = next((i for i, row in enumerate(rows) if row[1] > before), len(rows))
        if young:
            self._drop.count(connection, rows[young - 1][0], before)
        return young == limit

    # -- reading -------------------------------------------------------------------------

    def read(
        self, connection: sa.Connection, query: HistoryQuery, now: Instant
    ) -> list[PastTenure]:
        """What is recorded, and what is over by ``now`` though nobody has tidied it away."""
        (unrecorded, recorded), place = self._where(query)
        rows = []
        since = 0 if query.since is None else query.since
        until = _FOREVER if query.until is None else query.until
        if self.retention(connection) is not None:
            # Before the records, so that nothing slips through between the two.
            overdue = (*place, since, min(until, now + 1), query.limit)
            rows += unrecorded.rows(connection, *overdue)
        rows += recorded.rows(connection, *place, since, until, query.limit)
        return latest(map(_past, rows), query.limit)

    def _where(self, query: HistoryQuery) -> tuple[tuple[Statement, Statement], tuple[Any, ...]]:
        """The statements about those leases, of what is unrecorded and recorded; and which."""
        if query.namespace is None or query.model_uuid is None:
            return self._of_all, ()
        names = query.namespace, query.model_uuid
        if query.lease is None:
            return self._of_scope, (scope_of(*names), *names)
        return self._of_lease, (digest(Key(*names, query.lease)),)


def _recorded(history: sa.Table) -> sa.Select[Any]:
    rows = sa.select(*(history.c[name] for name in (*_NAMES, *_PAST)))
    return _within(rows, history.c.ended_at)


def _unrecorded(leases: sa.Table) -> sa.Select[Any]:
    names = (*_NAMES, "holder", "term", "granted_at", "expiry")
    rows = sa.select(*(leases.c[name] for name in names), _EXPIRED).where(
        leases.c.offer_start.is_(None),
        leases.c.holder.is_not(None),
        leases.c.ending.is_(None),
        leases.c.pins == _ZERO,
    )
    return _within(rows, leases.c.expiry)


def _within(rows: sa.Select[Any], ended_at: sa.Column[Any]) -> sa.Select[Any]:
    return rows.where(ended_at >= arg("since"), ended_at < arg("until")).limit(arg("limit"))


def _of_lease(rows: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    return rows.where(table.c.key_hash == arg("hash"))


def _of_scope(rows: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
    return rows.where(
        table.c.scope == arg("scope"),
        table.c.namespace == arg("namespace"),
        table.c.model == arg("model"),
    )


def _copy(tables: Tables) -> sa.Insert:
    leases = tables.leases
    kept = ("key_hash", "scope", *_NAMES, "holder", "term", "granted_at", "expiry")
    row = sa.select(*(leases.c[name] for name in kept), _EXPIRED).where(leases.c.id == arg("id"))
    return tables.history.insert().from_select(_COLUMNS, row)


def _parse(setting: str | None) -> tuple[str, Micros]:
    state, kept = (setting or "off 0").split()
    return state, int(kept)


def _row(past: PastTenure) -> tuple[Any, ...]:
    key = past.key
    scope = scope_of(key.namespace, key.model_uuid)
    tenure = (past.holder, past.term, past.granted_at, past.ended_at, past.ended)
    return (digest(key), scope, *key, *tenure)


def _past(row: Sequence[Any]) -> PastTenure:
    namespace, model, lease, *tenure = row
    return PastTenure(Key(namespace, model, lease), *tenure)
