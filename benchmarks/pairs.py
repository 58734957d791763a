"""Claim+release pairs per second on one SQLite file, beside stdlib sqlite3 doing the same rows.

    python benchmarks/pairs.py [--seconds 5] [--rounds 3] [--folder DIR]

Distinct leases, synchronous=FULL. The raw way is one durable transaction per call (an upsert, a
delete) from one connection; each of our pairs is a claim and a revocation, each answered after its
commit. The two take turns, round by round, since these figures only mean something side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lease_actors import Manager, SqlStore, SystemClock

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


def our_pairs(folder: Path, seconds: float, threads: int) -> float:
    with Manager.open(f"sqlite:///{folder / 'leases.db'}") as manager:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 8, 64, 256])
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for threads in options.threads:
            with tempfile.TemporaryDirectory(dir=options.folder) as name:
                raw = raw_pairs(Path(name), options.seconds)
                ours = our_pairs(Path(name), options.seconds, threads)
            figures.setdefault("stdlib sqlite3", []).append(raw)
            figures.setdefault(f"{threads} threads", []).append(ours)
            ratios.setdefault(f"{threads} threads", []).append(ours / raw)
    print(f"{'claim+release pairs/s':<24}{'median':>9}{'min':>9}{'max':>9}{'× stdlib':>10}")
    for what, rates in figures.items():
        ratio = f"{statistics.median(ratios[what]):.2f}" if what in ratios else ""
        print(
            f"{what:<24}{statistics.median(rates):>9.0f}{min(rates):>9.0f}{max(rates):>9.0f}"
            f"{ratio:>10}"
        )


if __name__ == "__main__":
    main()
