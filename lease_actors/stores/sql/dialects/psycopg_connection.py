"""psycopg, close to the wire: many statements in one round trip, and no waiting for ever.

psycopg's own pipeline mode does the same at several times the cost: it looks at the socket for
every statement. This is that, for a list of statements that are known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from lease_actors.stores.sql.compiled import Answer, Call

__all__ = ["Setup", "connect", "exchange", "is_direct"]

_READ, _WRITE = 1, 2
"""What a generator of psycopg's yields, and is sent, about its socket."""
_OK = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK})


_Sent: TypeAlias = tuple[str, list[bytes | None]]
"""A statement's text, and its arguments as they are sent."""


class Setup(NamedTuple):
    """``patience``: seconds for each answer. ``session``: what sets up a session of our own."""

    patience: float
    session: str


class _Connection(psycopg.Connection[Any]):
    """Gives up, and is closed, when the server has not answered in time.

    A limit on the server's side is not enough: one that was stopped, or is behind a black hole,
    keeps none; and its kernel goes on answering keepalives.
    """

    patience: float | None = None
    prepared: dict[str, bytes] | None = None
    """The statements that this session has, by text; None: it may be another one any time."""

    def wait(self, gen: Any, interval: float = 0.1, *args: Any, **kwargs: Any) -> Any:
        if self.patience is not None:
            gen = _limited(gen, self.patience, round(self.patience / interval))
        try:
            return super().wait(gen, interval, *args, **kwargs)
        except BaseException:
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # in the middle of a statement: of no use to anybody
            raise


def _limited(gen: Any, patience: float, most: int) -> Generator[Any, int, Any]:
    """The generator, until so many intervals have gone by in silence."""
    silent = 0
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            silent = 0 if ready else silent + 1
            if silent > most:
                raise psycopg.OperationalError(f"no answer within {patience:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value


def connect(setup: Setup, *args: Any, **kwargs: Any) -> psycopg.Connection[Any]:
    """A connection that waits so many seconds at most for each answer."""
    connection = _Connection.connect(*args, **kwargs)
    try:
        _set_up(connection, setup)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: _Connection, setup: Setup) -> None:
    connection.patience = setup.patience
    connection.autocommit = True
    row = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    # A pooler makes up a process id of its own. It may give us another session with each
    # transaction, one in which nothing is prepared or set.
    if row is not None and row[0] == connection.info.backend_pid:
        connection.execute(setup.session, prepare=False)
        connection.prepared = {}
    # What psycopg prepares by itself it gives up after a rollback: with DEALLOCATE ALL, ours too.
    connection.prepare_threshold = None
    connection.autocommit = False


def is_direct(connection: Any) -> bool:
    """Is it a connection of ours whose session stays the same?"""
    return getattr(connection, "prepared", None) is not None


def exchange(connection: psycopg.Connection[Any], calls: Sequence[Call]) -> list[Answer]:
    """Send them all at once; their answers in order. The first that fails is raised."""
    encoding = connection.info.encoding
    # All of it is encoded before any is sent: what cannot be must leave the connection as it was.
    sent = [(call.text, [_dump(value, encoding) for value in call.arguments]) for call in calls]
    with connection.lock:
        exchanging: Any = _exchange(connection.pgconn, connection, sent)
        results = connection.wait(exchanging)
    transformer = Transformer(connection)
    return [_answer(transformer, result) for result in results]


def _exchange(
    pgconn: Any, connection: Any, calls: Sequence[_Sent]
) -> Generator[int, int, list[Any]]:
    prepared: dict[str, bytes] | None = getattr(connection, "prepared", None)
    pgconn.enter_pipeline_mode()
    new = _send(pgconn, prepared, calls)
    pgconn.pipeline_sync()
    while pgconn.flush():
        if (yield _READ | _WRITE) & _READ:
            pgconn.consume_input()
    results: list[Any] = []
    while True:
        while pgconn.is_busy():
            yield _READ
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            continue  # between two statements
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            break
        if result.status == pq.ExecStatus.FATAL_ERROR and pgconn.status == pq.ConnStatus.BAD:
            raise error_from_result(result)
        results.append(result)
    pgconn.exit_pipeline_mode()
    return _sort_out(results, new, prepared)


def _send(
    pgconn: Any, prepared: dict[str, bytes] | None, calls: Sequence[_Sent]
) -> list[str | None]:
    """Send them; of each thing sent, the text of the statement if that was to prepare it."""
    new: list[str | None] = []
    names: dict[str, bytes] = {}
    for text, values in calls:
        if prepared is None:
            pgconn.send_query_params(_dollars(text), values)
        else:
            name = prepared.get(text) or names.get(text)
            if name is None:
                name = names[text] = b"lease_%d" % (len(prepared) + len(names))
                pgconn.send_prepare(name, _dollars(text))
                new.append(text)
            pgconn.send_query_prepared(name, values)
        new.append(None)
    return new


def _sort_out(
    results: list[Any], new: list[str | None], prepared: dict[str, bytes] | None
) -> list[Any]:
    failure: psycopg.Error | None = None
    answers = []
    for result, text in zip(results, new, strict=True):
        if result.status not in _OK:
            failure = failure or error_from_result(result)
        elif text is None:
            answers.append(result)
        elif prepared is not None:
            prepared[text] = b"lease_%d" % len(prepared)
    if failure is not None:
        raise failure
    return answers


def _answer(transformer: Any, result: Any) -> Answer:
    if not result.nfields:
        return Answer([], result.command_tuples or 0)
    transformer.set_pgresult(result)
    return Answer(transformer.load_rows(0, result.ntuples, tuple), result.ntuples)


def _dump(value: Any, encoding: str) -> bytes | None:
    """In text format; the statements say of which type each argument is."""
    if isinstance(value, str):
        if "\0" in value:  # it would end there, and be another name
            raise psycopg.DataError("PostgreSQL's texts cannot have a NUL in them")
        return value.encode(encoding)
    if isinstance(value, int):
        return b"%d" % value
    return None if value is None else b"\\x" + value.hex().encode()


@lru_cache(maxsize=1024)
def _dollars(text: str) -> bytes:
    """From ``%s`` to ``$1``, ``$2``, …, and from ``%%`` to ``%``: it may be in a schema's name."""
    numbers = count(1)

    def plain(found: re.Match[str]) -> str:
        return "%" if found[0] == "%%" else f"${next(numbers)}"

    return re.sub("%[%s]", plain, text).encode()
