"""Connections of psycopg's that wait for a silent server only so long."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.types.numeric import Int8Dumper

__all__ = ["connect"]

T = TypeVar("T")

_PREPARE_AFTER = 2
"""Used so often, a statement is prepared."""


class _Impatient(psycopg.Connection[Any]):
    """Gives up, and is closed, when the server has not answered in time.

    A limit on the server's side is not enough: one that was stopped, or is behind a black hole,
    keeps none; and its kernel goes on answering keepalives.
    """

    patience: float = 10.0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("timeout", self.patience)
        try:
            return super().wait(gen, *args, **kwargs)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # in the middle of a statement: of no use to anybody
            raise


def connect(patience: float, *args: Any, **kwargs: Any) -> psycopg.Connection[Any]:
    """A connection that waits ``patience`` seconds at most for each answer."""
    connection = _Impatient.connect(*args, **kwargs)
    connection.patience = patience
    # One type for all numbers: otherwise each statement would be prepared once for each
    # combination of sizes.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.prepare_threshold = _PREPARE_AFTER if _is_direct(connection) else None
    return connection


def _is_direct(connection: psycopg.Connection[Any]) -> bool:
    """Is it the server at the other end? A pooler, which may give us another session any time,
    in which nothing is prepared, makes up a process id of its own."""
    connection.autocommit = True
    row = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    connection.autocommit = False
    return row is not None and row[0] == connection.info.backend_pid
