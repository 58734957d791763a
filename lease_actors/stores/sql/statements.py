"""Every statement of a store but those that make its tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from lease_actors.stores.sql.compiled import Compiler, Statement, arg
from lease_actors.stores.sql.history import select_setting
from lease_actors.stores.sql.many import add_for_each, delete, insert, update
from lease_actors.stores.sql.rows import STATE_COLUMNS
from lease_actors.stores.sql.tables import Tables

__all__ = ["Statements"]

_ZERO, _ONE = sa.literal_column("0", sa.Integer), sa.literal_column("1", sa.Integer)


class Statements:
    """The statements of one store, compiled for its engine.

    ``clock``: the SQL expression of the server's time, or None where time is an argument.
    Row locks are spelled out in all of them; SQLite, which has none, leaves them away.
    """

    def __init__(
        self, tables: Tables, dialect: sa.Dialect, clock: sa.ColumnElement[int] | None = None
    ) -> None:
        self._tables, self._clock = tables, clock
        self.clock: tuple[Statement, ...] = ()
        """What asks the server for the time, if it has the clock."""
        self._compile = Compiler(dialect)
        self._add_starts()
        self._add_reads()
        self._add_tenures()
        self._add_windows()
        self._add_writes()
        self._add_pruning()

    def prepare(self) -> None:
        """Compile what batches say most, so that their transactions do not stand still for it."""
        reads = (self.start, self.lock_leases, *self.clock, self.lock_floor, self.heads)
        writes = (self.advance, self.add_start, self.add_lease, self.update_lease)
        others = (self.add_waiter, self.drop_waiter, self.add_pin, self.drop_pin)
        # Where time is an argument no rows are locked, and the standing terms are not written.
        terms = (self.set_tenure, self.add_tenure) if self.clock else ()
        for statement in (*reads, *writes, *others, *terms):
            statement.prepare()

    def _add_starts(self) -> None:
        if self._clock is not None:
            # Whether tenures that end are recorded is asked along with it: it costs no round trip.
            setting = select_setting(self._tables).scalar_subquery()
            time = sa.select(self._clock, setting)
            self.clock = (self._compile(lambda: time),)
        compile, starts, absences = self._compile, self._tables.starts, self._tables.absences
        seen, names = (arg("seen"), ("seen",)) if self._clock is None else (self._clock, ())
        self.advance = compile(
            lambda: (
                starts.update()
                .values(batch=arg("batch"), seen=seen)
                .where(starts.c.id == arg("id"), starts.c.batch < arg("batch"))
            ),
            *("batch", "id", *names),
        )
        self.start = compile(
            lambda: sa.select(starts.c.batch).where(starts.c.id == arg("id")), "id"
        )
        self.add_start = compile(
            lambda: starts.insert().values(id=arg("id"), batch=arg("batch"), seen=seen),
            *("id", "batch", *names),
        )
        last = sa.select(starts.c.batch).where(starts.c.id == arg("id"))
        self.mark_absent = compile(
            lambda: (
                absences.update()
                .values(batch=last.scalar_subquery())
                .where(absences.c.start_id == arg("id"), last.exists())
            ),
            "id",
        )
        self.absent = compile(
            lambda: (
                sa.select(absences.c.batch)
                .select_from(absences.join(starts, starts.c.id == absences.c.start_id))
                .where(starts.c.id == arg("id"), absences.c.batch >= starts.c.batch)
            ),
            "id",
        )
        known = sa.select(starts.c.id, starts.c.batch).where(starts.c.id == arg("id"))
        self.add_absent = compile(
            lambda: absences.insert().from_select(["start_id", "batch"], known), "id"
        )

    def _add_reads(self) -> None:
        compile, t = self._compile, self._tables
        leases, pins, floor = t.leases, t.pins, t.floor
        state = [leases.c[name] for name in STATE_COLUMNS]
        # Where no clock is asked, it comes along with the rows.
        setting = [] if self._clock is not None else [select_setting(t).scalar_subquery()]

        def rows_of(items: list[sa.BindParameter[Any]]) -> sa.Select[Any]:
            columns = sa.select(leases.c.id, leases.c.key_hash, *state, *setting)
            return columns.where(leases.c.key_hash.in_(items)).order_by(leases.c.key_hash)

        self.lock_leases = compile.sized(lambda items: rows_of(items).with_for_update())
        self.lock_free_leases = compile.sized(
            lambda items: rows_of(items).with_for_update(skip_locked=True)
        )
        term = sa.select(floor.c.term)
        self.lock_floor = compile(lambda: term.with_for_update(read=True))
        # MySQL has no spelling for shared and skipping that MariaDB knows, too.
        shared = compile.name not in ("mysql", "mariadb")
        self.lock_free_floor = compile(lambda: term.with_for_update(read=shared, skip_locked=True))
        self.floor = compile(lambda: sa.select(floor.c.term))
        self.ids = compile.sized(
            lambda items: sa.select(leases.c.key_hash, leases.c.id).where(
                leases.c.key_hash.in_(items)
            )
        )
        self.pins = compile.sized(
            lambda items: (
                sa.select(pins.c.lease_id, pins.c.entity)
                .where(pins.c.lease_id.in_(items))
                .order_by(pins.c.lease_id, pins.c.entity)
            )
        )
        # One statement, so that a lease and its pins are of one moment on every engine.
        snapshot = (
            sa.select(leases.c.lease, pins.c.entity, *state)
            .select_from(leases.outerjoin(pins, pins.c.lease_id == leases.c.id))
            .order_by(leases.c.id, pins.c.entity)
        )
        self.get = compile(lambda: snapshot.where(leases.c.key_hash == arg("hash")), "hash")
        self.offers = compile(
            lambda: sa.select(leases.c.namespace, leases.c.model, leases.c.lease, *state).where(
                leases.c.offer_start == arg("start")
            ),
            "start",
        )
        self.offered = compile(
            lambda: sa.select(_ONE).where(leases.c.offer_start == arg("start")).limit(_ONE), "start"
        )
        self.peek = compile.sized(
            lambda items: snapshot.add_columns(leases.c.key_hash).where(
                leases.c.key_hash.in_(items)
            )
        )
        something_stands = leases.c.holder.is_not(None) | (leases.c.pins > _ZERO)
        self.list = compile(
            lambda: snapshot.where(
                leases.c.scope == arg("scope"),
                leases.c.namespace == arg("namespace"),
                leases.c.model == arg("model"),
                something_stands,
            ),
            *("scope", "namespace", "model"),
        )
        self.list_all = compile(
            lambda: snapshot.add_columns(leases.c.namespace, leases.c.model).where(something_stands)
        )

    def _add_tenures(self) -> None:
        """The standing terms. PostgreSQL's FOR NO KEY UPDATE passes by foreign keys' checks."""
        compile, t = self._compile, self._tables
        tenure, leases = t.tenure, t.leases
        self.lock_tenures = compile.sized(
            lambda items: (
                sa.select(tenure.c.lease_id)
                .where(tenure.c.lease_id.in_(items))
                .with_for_update(skip_locked=True, key_share=True)
            )
        )
        held = leases.c.holder.is_not(None) & leases.c.offer_start.is_(None)
        now = _ZERO if self._clock is None else self._clock  # without a clock nobody asks ahead
        overdue = (leases.c.pins == _ZERO) & (leases.c.expiry <= now)

        def terms_of(items: list[sa.BindParameter[Any]], *which: Any) -> Any:
            ids = sa.select(leases.c.id).where(leases.c.key_hash.in_(items), *which)
            terms = sa.select(tenure.c.lease_id).where(tenure.c.lease_id.in_(ids))
            return terms.with_for_update(skip_locked=True, key_share=True, of=tenure)

        # For whoever asks before it has seen the rows: at least those that can change.
        self.lock_terms = compile.sized(terms_of)
        self.lock_unsure_terms = compile.sized(
            lambda items: terms_of(items, ~held | leases.c.ending.is_not(None) | overdue)
        )
        self.newest_tenure = compile(lambda: sa.select(sa.func.max(tenure.c.lease_id)))
        self.drop_tenure = delete(compile, tenure, "lease_id")
        orphan = tenure.outerjoin(leases, leases.c.id == tenure.c.lease_id)
        self.orphans = compile(
            lambda: (
                sa.select(tenure.c.lease_id)
                .select_from(orphan)
                .where(
                    tenure.c.lease_id > arg("after"),
                    tenure.c.lease_id <= arg("upto"),
                    leases.c.id.is_(None),
                )
                .limit(arg("limit"))
            ),
            *("after", "upto", "limit"),
        )

    def _add_windows(self) -> None:
        compile, t = self._compile, self._tables
        queue, starts, absences, leases = t.queue, t.starts, t.absences, t.leases
        live = starts.c.id.is_not(None) & (
            absences.c.batch.is_(None) | (absences.c.batch < starts.c.batch)
        )
        waiter = [
            queue.c.place,
            queue.c.start_id,
            queue.c.number,
            queue.c.holder,
            queue.c.duration,
            queue.c.since,
            sa.case((live, _ZERO), else_=_ONE),
        ]
        source = queue.outerjoin(starts, starts.c.id == queue.c.start_id).outerjoin(
            absences, absences.c.start_id == queue.c.start_id
        )
        self.heads = compile(
            lambda: (
                sa.select(*waiter)
                .select_from(source)
                .where(queue.c.lease_id == arg("lease"), live)
                .order_by(queue.c.place)
                .limit(arg("limit"))
            ),
            *("lease", "limit"),
        )
        self.named = compile.sized(
            lambda items: (
                sa.select(queue.c.lease_id, *waiter)
                .select_from(source)
                .where(queue.c.start_id == arg("start"), queue.c.number.in_(items))
            ),
            "start",
        )
        self.waiting = compile(
            lambda: (
                sa.select(*waiter)
                .select_from(source.join(leases, leases.c.id == queue.c.lease_id))
                .where(leases.c.key_hash == arg("hash"))
                .order_by(queue.c.place)
            ),
            "hash",
        )

    def _add_writes(self) -> None:
        compile, t = self._compile, self._tables
        names = ("key_hash", "scope", "namespace", "model", "lease", *STATE_COLUMNS)
        self.add_lease = insert(compile, t.leases, *names)
        self.update_lease = update(compile, t.leases, "id", *STATE_COLUMNS)
        self.add_waiter = insert(compile, t.queue)
        self.drop_waiter = delete(compile, t.queue, "lease_id", "place")
        self.add_pin = insert(compile, t.pins)
        self.drop_pin = delete(compile, t.pins, "lease_id", "entity")
        self.set_tenure = update(compile, t.tenure, "lease_id", "term")
        self.add_tenure = add_for_each(
            compile, t.tenure, "term", t.leases.c.key_hash, t.leases.c.id
        )

    def _add_pruning(self) -> None:
        compile, t = self._compile, self._tables
        leases, floor, starts, queue = t.leases, t.floor, t.starts, t.queue
        self.sweep = compile(
            lambda: (
                sa.select(leases.c.id, *(leases.c[name] for name in STATE_COLUMNS))
                .where(leases.c.id > arg("after"))
                .order_by(leases.c.id)
                .limit(arg("limit"))
                .with_for_update(skip_locked=True)
            ),
            *("after", "limit"),
        )
        self.drop_lease = delete(compile, leases, "id")
        self.raise_floor = compile(
            lambda: floor.update().values(term=arg("term")).where(floor.c.term < arg("term")),
            "term",
        )
        self.newest_start = compile(lambda: sa.select(sa.func.max(starts.c.seen)))
        waits = sa.select(queue.c.number).where(queue.c.start_id == starts.c.id).exists()
        self.old_starts = compile(
            lambda: (
                sa.select(starts.c.id, starts.c.seen)
                .where(starts.c.seen < arg("before"), ~waits)
                .limit(arg("limit"))
            ),
            *("before", "limit"),
        )
        self.drop_start = delete(compile, starts, "id", "seen")
        self.drop_absence = delete(compile, t.absences, "start_id")
