"""psycopg by hand: one autocommitted statement per call, eight connections among the threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks.adapters.pooled import Pooled
from benchmarks.adapters.raw_rows import CONNECTIONS, Rows


class PostgresRows(Rows):
    CREATE = """
        CREATE TABLE IF NOT EXISTS raw_lease (
            name text PRIMARY KEY, holder text NOT NULL, expiry timestamptz NOT NULL)"""
    CLAIM = """
        INSERT INTO raw_lease VALUES (%s, %s, clock_timestamp() + %s * interval '1 second')
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expiry = excluded.expiry
        WHERE raw_lease.expiry <= clock_timestamp() OR raw_lease.holder = excluded.holder"""
    RELEASE = "DELETE FROM raw_lease WHERE name = %s AND holder = %s"
    CHECK = """
        SELECT 1 FROM raw_lease WHERE name = %s AND holder = %s AND expiry > clock_timestamp()"""
    FILL = "INSERT INTO raw_lease VALUES (%s, %s, %s)"
    EPOCH = "1970-01-01"

    def __init__(self, url: str, duration: float) -> None:
        super().__init__(duration)
        self._pool = Pooled(lambda: psycopg.connect(url, autocommit=True), CONNECTIONS)
        self.change(self.CREATE)

    def change(self, statement: str, *values: Any) -> int:
        with self._pool.one() as connection:
            return connection.execute(statement, values).rowcount

    def look(self, statement: str, *values: Any) -> bool:
        with self._pool.one() as connection:
            return connection.execute(statement, values).fetchone() is not None

    def change_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._pool.one() as connection, connection.transaction():
            connection.cursor().executemany(statement, rows)

    def close(self) -> None:
        for connection in self._pool.drain():
            connection.close()


def connect(url: str, duration: float) -> PostgresRows:
    return PostgresRows(url, duration)
