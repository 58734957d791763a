"""Statements that write many rows of one table at once.

PostgreSQL takes all rows as one argument, a JSON text: one statement, whatever their number. The
others run the statement for each row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa

from lease_actors.stores.sql.compiled import Call, Compiler, Statement, arg

__all__ = ["Many", "add_for_each", "delete", "insert", "update"]

_Values: TypeAlias = Mapping[str, sa.ColumnElement[Any]]


class Many:
    """One statement, to be run with many rows of arguments."""

    def __init__(self, single: Statement, names: Sequence[str], bulk: Statement | None) -> None:
        self._single, self._names, self._bulk = single, names, bulk

    def prepare(self) -> None:
        """Compile now what one row needs."""
        self._single.prepare()

    def calls(self, rows: list[tuple[Any, ...]]) -> list[Call]:
        """To be run for each of these; no call if there are none."""
        if not rows:
            return []
        if self._bulk is None or len(rows) < 2:
            return self._single.calls(rows)
        said = json.dumps([dict(zip(self._names, row, strict=True)) for row in rows], default=_hex)
        return [self._bulk.call(said)]

    def run(self, connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
        """Run it for each of these, if there are any."""
        for call in self.calls(rows):
            call.run(connection)


def _hex(value: Any) -> str:
    text: str = value.hex()
    return text


def insert(compile: Compiler, table: sa.Table, *names: str) -> Many:
    """Add rows; ``names``: their columns in order, all if none are given."""
    names = names or tuple(c.name for c in table.columns)

    def of(values: _Values, source: sa.FromClause) -> Any:
        return table.insert().from_select(names, sa.select(*values.values()).select_from(source))

    single = compile(lambda: table.insert().values({n: arg(n) for n in names}), *names)
    return Many(single, names, _bulk(compile, [table.c[n] for n in names], of))


def update(compile: Compiler, table: sa.Table, key: str, *names: str) -> Many:
    """Set these columns in the row with that key; the key comes last."""
    names = (*names, key)

    def of(values: _Values, _: object = None) -> Any:
        changed = table.update().values({n: values[n] for n in names[:-1]})
        return changed.where(table.c[key] == values[key])

    single = compile(lambda: of({n: arg(n) for n in names}), *names)
    return Many(single, names, _bulk(compile, [table.c[n] for n in names], of))


def delete(compile: Compiler, table: sa.Table, *names: str) -> Many:
    """Delete the rows that have these values in these columns."""

    def of(values: _Values, _: object = None) -> Any:
        return table.delete().where(*(table.c[n] == values[n] for n in names))

    single = compile(lambda: of({n: arg(n) for n in names}), *names)
    return Many(single, names, _bulk(compile, [table.c[n] for n in names], of))


def add_for_each(
    compile: Compiler, table: sa.Table, given: str, key: sa.Column[Any], found: sa.Column[Any]
) -> Many:
    """Add rows of two columns: ``found`` in another table's row with that ``key``, and ``given``."""
    names = (given, key.name)
    columns, kind = [c.name for c in table.columns], table.c[given].type

    def of(values: _Values, source: sa.FromClause | None = None) -> Any:
        rows = sa.select(found, sa.cast(values[given], kind)).where(key == values[key.name])
        return table.insert().from_select(columns, rows)

    single = compile(lambda: of({n: arg(n) for n in names}), *names)
    return Many(single, names, _bulk(compile, [table.c[given], key], of))


def _bulk(
    compile: Compiler,
    columns: Sequence[sa.Column[Any]],
    build: Callable[[_Values, sa.FromClause], Any],
) -> Statement | None:
    if compile.name != "postgresql":
        return None
    return compile(lambda: build(*_given(columns)), "rows")


def _given(columns: Sequence[sa.Column[Any]]) -> tuple[_Values, sa.FromClause]:
    """The values of these columns in the JSON rows, and the rows."""
    kinds = [sa.column(c.name, _kind(c)) for c in columns]
    rows = sa.func.json_to_recordset(sa.cast(arg("rows"), sa.JSON))
    source = rows.table_valued(*kinds, name="given").render_derived(with_types=True)
    values = {
        c.name: sa.func.decode(source.c[c.name], sa.literal_column("'hex'"))
        if isinstance(c.type, sa.LargeBinary)
        else source.c[c.name]
        for c in columns
    }
    return values, source


def _kind(column: sa.Column[Any]) -> Any:
    """Its type in the JSON rows: whole numbers as they are, all else as text."""
    return sa.BigInteger() if isinstance(column.type, sa.Integer) else sa.Text()
