"""What holds for every test, and for the session as a whole: nothing is left behind."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings
from sqlalchemy.pool import QueuePool
from support.managers import Log
from support.servers import (  # noqa: F401  (fixtures)
    mariadb,
    mariadb_url,
    mysql,
    mysql_url,
    pgbouncer,
    postgresql,
    postgresql_url,
)

settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, database=None, print_blob=True
)
settings.register_profile("thorough", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# In the background of a shell Ctrl-C is ignored from the start; the tests are about what it does.
signal.signal(signal.SIGINT, signal.default_int_handler)

PATIENCE = 5.0
"""So many seconds threads that are on their way out may take."""


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No thread, no SQLite connection open, or closed under SQLAlchemy; none checked out of a pool."""
    before = set(threading.enumerate())
    pools = Log()
    logging.getLogger("sqlalchemy.pool").addHandler(pools)
    yield
    left = [
        *(f"thread {t.name!r}{' (daemon)' if t.daemon else ''}" for t in _threads(before)),
        *(f"open connection {c!r}" for c in _open_connections()),
        *(f"{n} connection(s) checked out of {p!r}" for p, n in _checked_out()),
        *_closed_under_pools(pools.records),
    ]
    if left:
        pytest.fail("the session left behind:\n  " + "\n  ".join(left), pytrace=False)


def _threads(before: set[threading.Thread]) -> list[threading.Thread]:
    give_up = time.monotonic() + PATIENCE
    left = [t for t in threading.enumerate() if t not in before]
    for thread in left:
        thread.join(max(0.0, give_up - time.monotonic()))
    return [t for t in left if t.is_alive()]


def _open_connections() -> list[sqlite3.Connection]:
    gc.collect()
    return [o for o in gc.get_objects() if isinstance(o, sqlite3.Connection) and not _is_closed(o)]


def _is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.total_changes  # noqa: B018  (the one thing any thread may ask)
    except sqlite3.ProgrammingError as error:
        return "closed" in str(error)
    return False


def _checked_out() -> list[tuple[QueuePool, int]]:
    pools = [o for o in gc.get_objects() if isinstance(o, QueuePool)]
    return [(p, p.checkedout()) for p in pools if p.checkedout()]


def _closed_under_pools(records: list[logging.LogRecord]) -> list[str]:
    """They are found when they are collected: at any time, in the midst of another test."""
    errors = [(r.getMessage(), r.exc_info[1]) for r in records if r.exc_info]
    return [f"{what}: {error}" for what, error in errors if isinstance(error, sqlite3.Error)]
