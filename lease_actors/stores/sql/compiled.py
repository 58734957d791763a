"""SQLAlchemy statements, compiled once for one engine and then sent as text.

Building and compiling a statement anew, or even finding it in SQLAlchemy's cache, costs
several times what the statement itself costs on SQLite. All that a store may ever say takes tens
of milliseconds to compile: each statement waits until it is needed, or prepared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

__all__ = ["Answer", "Call", "Compiler", "Sized", "Statement", "arg"]


def arg(name: str) -> sa.BindParameter[Any]:
    """A parameter of a statement. Marked, since SQLAlchemy keeps plain column names for itself."""
    return sa.bindparam("p_" + name)


class Call(NamedTuple):
    """A statement with its arguments, to be sent, perhaps together with others."""

    text: str
    arguments: Any = ()
    many: bool = False
    """``arguments`` is a list, and the statement is run for each of them."""

    def run(self, connection: sa.Connection) -> Any:
        """Run it; the driver's cursor, which has the rows and their number."""
        return self.run_on(connection.connection.cursor())

    def run_on(self, cursor: Any) -> Any:
        """Run it on that cursor of the driver's, and return it."""
        (cursor.executemany if self.many else cursor.execute)(self.text, self.arguments)
        return cursor


class Answer(NamedTuple):
    """What became of one statement, as a cursor has it."""

    found: Sequence[tuple[Any, ...]]
    rowcount: int

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return self.found

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.found[0] if self.found else None


class _Text(NamedTuple):
    """What is sent for one statement, and how its arguments are laid out for the driver."""

    text: str
    pick: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None
    """None: as they are given."""
    constants: tuple[Any, ...]

    def lay_out(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return arguments if self.pick is None else self.pick(arguments + self.constants)


class Statement:
    """One statement, compiled when it is first needed.

    It is run on a cursor of the driver's: a result of SQLAlchemy's costs more than the statement.
    So what the driver raises comes out as it is.
    """

    __slots__ = ("_compile", "_compiled")

    def __init__(self, compile: Callable[[], _Text]) -> None:
        self._compile = compile
        self._compiled: _Text | None = None

    @property
    def text(self) -> str:
        """What is sent."""
        return self.prepare().text

    def prepare(self) -> _Text:
        """Compile it now, if it is not yet."""
        ready = self._compiled
        if ready is None:  # two threads may come here at once, and find the same
            ready = self._compiled = self._compile()
        return ready

    def call(self, *arguments: Any) -> Call:
        """To be run with these arguments, in the order in which it is compiled for them."""
        ready = self._compiled or self.prepare()
        return Call(ready.text, ready.lay_out(arguments))

    def calls(self, arguments: list[tuple[Any, ...]]) -> list[Call]:
        """To be run for each of these; no call if there are none."""
        if not arguments:
            return []
        if len(arguments) == 1:
            return [self.call(*arguments[0])]
        ready = self.prepare()
        return [Call(ready.text, [ready.lay_out(a) for a in arguments], many=True)]

    def rows(self, connection: sa.Connection, *arguments: Any) -> list[tuple[Any, ...]]:
        """All its rows."""
        return list(self.call(*arguments).run(connection).fetchall())

    def one(self, connection: sa.Connection, *arguments: Any) -> Any:
        """The only column of its only row; None if there is no row."""
        rows = self.rows(connection, *arguments)
        return rows[0][0] if rows else None

    def count(self, connection: sa.Connection, *arguments: Any) -> int:
        """Run it; how many rows it has changed."""
        return int(self.call(*arguments).run(connection).rowcount)


def _picker(order: tuple[int, ...]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Takes these, in that order."""
    if len(order) > 1:
        return itemgetter(*order)
    return lambda given: tuple(given[i] for i in order)


class Compiler:
    """Compiles for one engine, whatever style of parameters its driver has, to positional ones."""

    def __init__(self, dialect: sa.Dialect) -> None:
        style = "qmark" if dialect.name == "sqlite" else "format"
        if dialect.paramstyle != style:
            dialect = type(dialect)(paramstyle=style)  # type: ignore[call-arg]
        self._dialect = dialect
        self.name: str = dialect.name
        """Of the database, as SQLAlchemy calls it."""

    def __call__(self, build: Callable[[], sa.ClauseElement], *names: str) -> Statement:
        """What ``build`` makes; ``names`` is the order in which its arguments will be given."""
        return Statement(partial(self._text, build, names))

    def _text(self, build: Callable[[], sa.ClauseElement], names: tuple[str, ...]) -> _Text:
        compiled: Any = build().compile(dialect=self._dialect)
        wanted: list[str] = compiled.positiontup or []
        given = ["p_" + name for name in names]
        if not set(given) <= set(wanted):
            raise AssertionError(f"not all of {names} are arguments of: {compiled}")
        # SQLAlchemy makes parameters of some constants, too.
        constants = [name for name in dict.fromkeys(wanted) if name not in given]
        laid_out = given + constants
        order = tuple(laid_out.index(name) for name in wanted)
        return _Text(
            str(compiled),
            None if order == tuple(range(len(given))) else _picker(order),
            tuple(compiled.params[name] for name in constants),
        )

    def sized(self, build: Callable[[list[sa.BindParameter[Any]]], Any], *names: str) -> Sized:
        """A statement with an IN list; ``names`` come before the list."""
        return Sized(self, build, names)


class Sized:
    """A statement with an IN list, in a few sizes: a list is padded to the next.

    So few texts are ever prepared, and the driver and the server know them all.
    """

    SIZES = (1, 4, 16, 64, 256)

    def __init__(
        self,
        compiler: Compiler,
        build: Callable[[list[sa.BindParameter[Any]]], Any],
        names: tuple[str, ...],
    ) -> None:
        self._compiler, self._build, self._names = compiler, build, names
        self._statements: dict[int, Statement] = {}

    def prepare(self) -> None:
        """Compile now what one item needs."""
        self._statement(self.SIZES[0]).prepare()

    def calls(self, items: Sequence[Any], *arguments: Any) -> list[Call]:
        """To be run for all items, in the order of their chunks of 256."""
        calls = []
        for chunk in _chunks(items, self.SIZES[-1]):
            size = self.SIZES[bisect_left(self.SIZES, len(chunk))]
            padded = (*chunk, *([chunk[-1]] * (size - len(chunk))))
            calls.append(self._statement(size).call(*arguments, *padded))
        return calls

    def run(
        self, connection: sa.Connection, items: Sequence[Any], *arguments: Any
    ) -> Iterator[Sequence[Any]]:
        """The rows for all items."""
        for call in self.calls(items, *arguments):
            yield from call.run(connection).fetchall()

    def _statement(self, size: int) -> Statement:
        statement = self._statements.get(size)
        if statement is None:
            items = [arg(f"i{n}") for n in range(size)]
            names = (*self._names, *(f"i{n}" for n in range(size)))
            statement = self._compiler(partial(self._build, items), *names)
            self._statements[size] = statement
        return statement


def _chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    if len(items) <= size:
        return (items,) if items else ()
    return (items[i : i + size] for i in range(0, len(items), size))
