"""Claim+release pairs per second, beside the same done by hand with the driver alone.

    python benchmarks/pairs.py [--seconds 5] [--rounds 3] [--folder DIR]
    python benchmarks/pairs.py --url postgresql://user@host/database [--threads 1 64]
    python benchmarks/pairs.py --url mariadb://user@host/database

Distinct leases; each of our pairs is a claim and a revocation, each answered after its commit. By
hand it is one durable transaction per call (an upsert, a delete): on SQLite (synchronous=FULL) from
one connection into the same table, on a server through 1 connection and through 8, each in a thread
of its own. They take turns, round by round, since these figures only mean something side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lease_actors import Manager, SqlStore, SystemClock
from lease_actors.stores.sql.address import resolve

_CLAIM = """
    INSERT INTO lease_leases
        (key_hash, scope, namespace, model, lease, term, holder, granted_at, duration, expiry,
         watched, queued, last_place, pins, ended_term, ended_at)
    VALUES (?, 1, 'bench', '', ?, 1, ?, ?, 60000000, ?, 0, 0, 0, 0, 0, 0)
    ON CONFLICT (key_hash) DO UPDATE SET
        term = term + 1, holder = excluded.holder, granted_at = excluded.granted_at,
        duration = excluded.duration, expiry = excluded.expiry
    WHERE lease_leases.holder IS NULL OR lease_leases.expiry <= excluded.granted_at
"""
_RELEASE = """
    UPDATE lease_leases
    SET holder = NULL, granted_at = NULL, duration = NULL, expiry = NULL,
        ended = 'revoked', ended_term = term, ended_at = ?
    WHERE key_hash = ? AND holder = ?
"""


def raw_pairs(folder: Path, seconds: float) -> float:
    """The same rows in the same table, by hand: one durable transaction per call."""
    path = folder / "raw.db"
    store = SqlStore(f"sqlite:///{path}", create_schema=True)
    store.open(SystemClock())
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        name = f"lease-{count % 1000}"
        key = hashlib.sha256(name.encode()).digest()
        now = time.time_ns() // 1000
        connection.execute(_CLAIM, (key, name, "holder", now, now + 60_000_000))
        connection.execute(_RELEASE, (now, key, "holder"))
        count += 1
    elapsed = time.perf_counter() - began
    connection.close()
    return count / elapsed


def raw_server_pairs(url: sa.URL, seconds: float, threads: int) -> float:
    """An upsert and a delete per pair, autocommitted, each thread on a connection of its own."""
    text = _SERVER[url.get_backend_name()]
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_size=threads)
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS raw_lease")
        connection.exec_driver_sql(text["table"])
    stop, counts = threading.Event(), [0] * threads

    def work(number: int) -> None:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            cursor, turn = driver.cursor(), 0
            while not stop.is_set():
                name, turn = f"lease-{number}-{turn % 1000}", turn + 1
                cursor.execute(text["claim"], (name, "holder", 60))
                cursor.execute(text["release"], (name, "holder"))
                counts[number] += 1

    rate = _rate(work, threads, seconds, stop, counts)
    engine.dispose()
    return rate


_SERVER = {
    "postgresql": {
        "table": "CREATE TABLE raw_lease"
        " (name varchar(255) PRIMARY KEY, holder varchar(255), expiry timestamptz)",
        "claim": "INSERT INTO raw_lease VALUES (%s, %s, clock_timestamp() + %s * interval '1 s')"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expiry = excluded.expiry"
        " WHERE raw_lease.expiry <= clock_timestamp()",
        "release": "DELETE FROM raw_lease WHERE name = %s AND holder = %s",
    },
    "mariadb": {
        "table": "CREATE TABLE raw_lease"
        " (name varchar(255) PRIMARY KEY, holder varchar(255), expiry datetime(6))",
        "claim": "INSERT INTO raw_lease VALUES (%s, %s, SYSDATE(6) + INTERVAL %s SECOND)"
        " ON DUPLICATE KEY UPDATE"
        " holder = IF(expiry <= SYSDATE(6), VALUES(holder), holder)",
        "release": "DELETE FROM raw_lease WHERE name = %s AND holder = %s",
    },
}
_SERVER["mysql"] = _SERVER["mariadb"]


def our_pairs(url: str, seconds: float, threads: int) -> float:
    with Manager.open(url) as manager:
        claimer, revoker = manager.claimer("bench"), manager.revoker("bench")
        counts = [0] * threads
        stop = threading.Event()

        def work(number: int) -> None:
            turn = 0
            while not stop.is_set():
                lease, turn = f"lease-{number}-{turn % 1000}", turn + 1
                claimer.claim(lease, "holder", 60)
                revoker.revoke(lease, "holder")
                counts[number] += 1

        return _rate(work, threads, seconds, stop, counts)


def _rate(
    work: Callable[[int], None],
    threads: int,
    seconds: float,
    stop: threading.Event,
    counts: list[int],
) -> float:
    crew = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for thread in crew:
        thread.start()
    time.sleep(0.3)  # warm up
    before, began = sum(counts), time.perf_counter()
    time.sleep(seconds)
    done, elapsed = sum(counts) - before, time.perf_counter() - began
    stop.set()
    for thread in crew:
        thread.join()
    return done / elapsed


def on_sqlite(options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """One round: what was measured, and its rate."""
    for threads in options.threads:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            yield "stdlib sqlite3", raw_pairs(Path(name), options.seconds)
            url = f"sqlite:///{Path(name) / 'leases.db'}"
            yield f"{threads} threads", our_pairs(url, options.seconds, threads)


def on_server(options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """One round: what was measured, and its rate."""
    url, _ = resolve(options.url)
    for connections in (1, 8):
        yield f"by hand, {connections} conn.", raw_server_pairs(url, options.seconds, connections)
    for threads in options.threads:
        text = url.render_as_string(hide_password=False)
        yield f"{threads} threads", our_pairs(text, options.seconds, threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 8, 64, 256])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--url", default=None, help="a server's database instead of SQLite files")
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for what, rate in on_server(options) if options.url else on_sqlite(options):
            figures.setdefault(what, []).append(rate)
    first = statistics.median(next(iter(figures.values())))
    print(f"{'claim+release pairs/s':<24}{'median':>9}{'min':>9}{'max':>9}{'× first':>10}")
    for what, rates in figures.items():
        ratio = statistics.median(rates) / first
        print(
            f"{what:<24}{statistics.median(rates):>9.0f}{min(rates):>9.0f}{max(rates):>9.0f}"
            f"{ratio:>10.2f}"
        )


if __name__ == "__main__":
    main()
