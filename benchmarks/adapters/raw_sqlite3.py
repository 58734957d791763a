"""Stdlib sqlite3 by hand: WAL and synchronous=FULL, one connection that the threads take in turns.

(A connection for each thread is slower: they meet in SQLite's busy handler, which sleeps.)
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.adapters.raw_rows import Rows


class SqliteRows(Rows):
    CREATE = """
        CREATE TABLE IF NOT EXISTS lease (
            name TEXT PRIMARY KEY, holder TEXT NOT NULL, expiry REAL NOT NULL) WITHOUT ROWID"""
    # The time is Python's: SQLite's own counts milliseconds, and writes nothing where a row would
    # stay as it is, so two renewals within one would not be two.
    CLAIM = """
        INSERT INTO lease VALUES (?1, ?2, ?3 + ?4)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expiry = excluded.expiry
        WHERE lease.expiry <= ?4 OR lease.holder = excluded.holder"""
    RELEASE = "DELETE FROM lease WHERE name = ? AND holder = ?"
    CHECK = """
        SELECT 1 FROM lease WHERE name = ? AND holder = ?
        AND expiry > (julianday('now') - 2440587.5) * 86400"""
    FILL = "INSERT INTO lease VALUES (?, ?, ?)"
    EPOCH = 0

    def __init__(self, path: str, duration: float) -> None:
        super().__init__(duration)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(self.CREATE)

    def upsert(self, name: str, holder: str) -> bool:
        return self.change(self.CLAIM, name, holder, self.duration, time.time()) > 0

    def change(self, statement: str, *values: Any) -> int:
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def look(self, statement: str, *values: Any) -> bool:
        with self._lock:
            return self._connection.execute(statement, values).fetchone() is not None

    def change_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def connect(url: str, duration: float) -> SqliteRows:
    return SqliteRows(url.removeprefix("sqlite:///"), duration)
