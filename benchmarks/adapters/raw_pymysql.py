"""PyMySQL by hand: one autocommitted statement per call, eight connections among the threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pymysql

from benchmarks.adapters.pooled import Pooled
from benchmarks.adapters.raw_rows import CONNECTIONS, Rows


class MySQLRows(Rows):
    CREATE = """
        CREATE TABLE IF NOT EXISTS raw_lease (
            name VARCHAR(255) PRIMARY KEY, holder VARCHAR(255) NOT NULL,
            expiry DATETIME(6) NOT NULL) ENGINE=InnoDB"""
    # The assignments go from left to right: the second one sees the new holder. One row counts
    # for an insert, two for a change, none when another holds it.
    CLAIM = """
        INSERT INTO raw_lease VALUES (%s, %s, SYSDATE(6) + INTERVAL %s SECOND)
        ON DUPLICATE KEY UPDATE
            holder = IF(expiry <= SYSDATE(6), VALUES(holder), holder),
            expiry = IF(holder = VALUES(holder), VALUES(expiry), expiry)"""
    RELEASE = "DELETE FROM raw_lease WHERE name = %s AND holder = %s"
    CHECK = "SELECT 1 FROM raw_lease WHERE name = %s AND holder = %s AND expiry > SYSDATE(6)"
    FILL = "INSERT INTO raw_lease VALUES (%s, %s, %s)"
    EPOCH = "1970-01-01"

    def __init__(self, url: str, duration: float) -> None:
        super().__init__(duration)
        self._where = urlsplit(url)
        self._pool = Pooled(self._connect, CONNECTIONS)
        self.change(self.CREATE)

    def _connect(self) -> pymysql.Connection[Any]:
        where = self._where
        return pymysql.connect(
            host=where.hostname,
            port=where.port or 3306,
            user=where.username,
            password=where.password or "",
            database=where.path[1:],
            autocommit=True,
        )

    def change(self, statement: str, *values: Any) -> int:
        with self._pool.one() as connection, connection.cursor() as cursor:
            changed: int = cursor.execute(statement, values)
        return changed

    def look(self, statement: str, *values: Any) -> bool:
        return self.change(statement, *values) > 0

    def change_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._pool.one() as connection, connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    def close(self) -> None:
        for connection in self._pool.drain():
            connection.close()


def connect(url: str, duration: float) -> MySQLRows:
    return MySQLRows(url, duration)
