"""PyMySQL, close to the wire: many statements in one round trip.

A server that is asked for it takes several statements as one text, runs them in order, each as a
statement of its own, and stops at the first that fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pymysql.constants import CLIENT

from lease_actors.stores.sql.compiled import Answer, Call

__all__ = ["allow_many", "exchange"]


def allow_many(options: dict[str, Any]) -> None:
    """Have a connection opened that takes many statements at once."""
    options["client_flag"] = options.get("client_flag", 0) | CLIENT.MULTI_STATEMENTS


def exchange(connection: Any, calls: Sequence[Call]) -> list[Answer]:
    """Send them all at once; their answers in order, of one that is run for many arguments the
    last. The first that fails is raised."""
    with connection.cursor() as cursor:
        texts = [[*_texts(cursor, call)] for call in calls]
        answers = _answers(cursor, ";".join(text for several in texts for text in several))
        return [[next(answers) for _ in several][-1] for several in texts]


def _texts(cursor: Any, call: Call) -> Iterator[str]:
    for arguments in call.arguments if call.many else (call.arguments,):
        yield cursor.mogrify(call.text, arguments)


def _answers(cursor: Any, text: str) -> Iterator[Answer]:
    cursor.execute(text)
    yield Answer(cursor.fetchall(), cursor.rowcount)
    while cursor.nextset():
        yield Answer(cursor.fetchall(), cursor.rowcount)
