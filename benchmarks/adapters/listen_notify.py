"""The least that a durable hand-over on PostgreSQL can cost, by hand in psycopg.

Two durable transactions and one notification: the release offers the lease to the one who waits
and notifies it; the one who waited confirms. One waiter, no expiry, no queue: a reference, nothing
to use.
"""

from __future__ import annotations

from typing import Any

import psycopg

_CREATE = """
    CREATE TABLE IF NOT EXISTS offered_lease (
        name text PRIMARY KEY, holder text, waiting text, offered text)"""
_CLAIM = """
    INSERT INTO offered_lease VALUES (%(name)s, %(me)s)
    ON CONFLICT (name) DO UPDATE SET
        holder = coalesce(offered_lease.holder, excluded.holder),
        waiting = CASE WHEN offered_lease.holder IS NOT NULL THEN excluded.holder END
    RETURNING holder = %(me)s"""
_RELEASE = """
    WITH freed AS (
        UPDATE offered_lease SET holder = waiting, offered = waiting, waiting = NULL
        WHERE name = %(name)s AND holder = %(me)s RETURNING offered)
    SELECT pg_notify('offered_to_' || offered, '') FROM freed WHERE offered IS NOT NULL"""
_CONFIRM = """
    UPDATE offered_lease SET offered = NULL WHERE name = %(name)s AND offered = %(me)s"""


class Offered:
    def __init__(self, connection: psycopg.Connection[Any], names: dict[str, str]) -> None:
        self._connection, self._names = connection, names

    def release(self) -> None:
        self._connection.execute(_RELEASE, self._names)


class ListenNotify:
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        with self._connection.transaction():  # two at once would both try to create it
            self._connection.execute("SELECT pg_advisory_xact_lock(1)")
            self._connection.execute(_CREATE)

    def claim(self, name: str, holder: str, *, block: bool) -> Offered | None:
        names = {"name": name, "me": holder}
        self._connection.execute(f'LISTEN "offered_to_{holder}"')
        row = self._connection.execute(_CLAIM, names).fetchone()
        if row is None or not row[0]:
            list(self._connection.notifies(stop_after=1))
            self._connection.execute(_CONFIRM, names)
        return Offered(self._connection, names)

    def close(self) -> None:
        self._connection.close()


def connect(url: str, duration: float) -> ListenNotify:
    return ListenNotify(url)
