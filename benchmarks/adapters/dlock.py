"""sqlalchemy-dlock: advisory locks and GET_LOCK, on a connection that each thread keeps.

Checking a connection out of the pool for each lock is the other way; it is slower.
"""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy_dlock.factory import create_sadlock


class DlockGrip:
    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def release(self) -> None:
        self._lock.release()


class Dlocks:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        # On PostgreSQL a limit would make it poll, once a second. On MariaDB it needs one: its
        # own "for ever" is a negative timeout, which only MySQL takes for that.
        self._limit = 86_400 if engine.dialect.name in ("mysql", "mariadb") else None

    def claim(self, name: str, holder: str, *, block: bool) -> DlockGrip | None:
        lock: Any = create_sadlock(self._connection(), name)
        return DlockGrip(lock) if lock.acquire(block, self._limit) else None

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._engine.connect()
        return connection

    def close(self) -> None:
        self._engine.dispose()


def connect(url: str, duration: float) -> Dlocks:
    # Autocommit: a transaction round each lock would cost a message more, and protect nothing.
    return Dlocks(create_engine(url, isolation_level="AUTOCOMMIT", pool_size=0))
