"""What many leases, many blocked claims and idleness cost, on one SQLite file.

    python benchmarks/scale.py [--folder DIR] [--leases 1000 1000000] [--claims 2000]

Claim latency with so many leases in the table (warm cache, random keys) from one caller and from
64; what 10,000 blocked claims take; the CPU of an idle manager.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import statistics
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from lease_actors import Key, Manager
from lease_actors.stores.sql.rows import digest, scope_of

_FILL = """
    INSERT INTO lease_leases (key_hash, scope, namespace, model, lease, term, holder, granted_at,
        duration, expiry, watched, queued, last_place, pins, ended_term, ended_at)
    VALUES (?, ?, 'bench', '', ?, 1, 'holder', 0, 60000000, 1, 0, 0, 0, 0, 0, 0)
"""


def fill(path: Path, leases: int) -> None:
    """So many leases, which have all run out long ago."""

    def rows() -> Iterator[tuple[bytes, int, str]]:
        for number in range(leases):
            name = f"lease-{number}"
            yield digest(Key("bench", "", name)), scope_of("bench", ""), name

    connection = sqlite3.connect(path)
    with connection:
        connection.executemany(_FILL, rows())
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def latencies(manager: Manager, leases: int, claims: int, threads: int) -> list[float]:
    """Milliseconds of each claim of a random lease."""
    claimer = manager.claimer("bench")
    found: list[float] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        own: list[float] = []
        for _ in range(claims // threads):
            name = f"lease-{rng.randrange(leases)}"
            began = time.perf_counter()
            claimer.claim(name, "holder", 60)
            own.append((time.perf_counter() - began) * 1e3)
        found.extend(own)

    crew = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return found


def table_size(folder: Path, sizes: list[int], claims: int) -> None:
    print(f"{'claims with … leases':<28}{'p50 ms':>9}{'p99 ms':>9}")
    managers = {}
    for leases in sizes:
        path = folder / f"{leases}.db"
        managers[leases] = Manager.open(f"sqlite:///{path}")
        fill(path, leases)
    for threads in (1, 64):
        for leases, manager in managers.items():
            latencies(manager, leases, 20 * claims, threads)  # warm
        found: dict[int, list[float]] = {leases: [] for leases in sizes}
        for _ in range(5):  # in turns: the machine's speed drifts
            for leases, manager in managers.items():
                found[leases] += latencies(manager, leases, claims, threads)
        for leases, each in found.items():
            p99 = statistics.quantiles(each, n=100)[98]
            what = f"{leases:,}, {threads} callers"
            print(f"{what:<28}{statistics.median(each):>9.3f}{p99:>9.3f}")
    for manager in managers.values():
        manager.kill()
        manager.wait()


def blocked(folder: Path, claims: int = 10_000) -> None:
    with Manager.open(f"sqlite:///{folder / 'blocked.db'}") as manager:
        claimer = manager.claimer("bench")
        claimer.claim("lease", "holder", 3600)
        claimer.claim("other", "holder", 3600)
        threads = threading.active_count()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        began = time.perf_counter()
        futures = [claimer.claim_future("lease", f"waiter-{n}", 60) for n in range(claims)]
        claimer.claim("other", "holder", 3600)  # behind them in the line
        elapsed = time.perf_counter() - began
        size = (tracemalloc.get_traced_memory()[0] - before) / claims
        tracemalloc.stop()
        more = threading.active_count() - threads
        print(
            f"{claims:,} blocked claims: {size:.0f} bytes each, {more} more threads,"
            f" queued in {elapsed:.2f} s (traced)"
        )
        for future in futures:
            future.cancel()


def idle(folder: Path, seconds: float = 10) -> None:
    with Manager.open(f"sqlite:///{folder / 'idle.db'}") as manager:
        manager.claimer("bench").claim("lease", "holder", 3600)
        time.sleep(0.5)
        before = time.process_time()
        time.sleep(seconds)
        used = time.process_time() - before
    print(f"an idle manager: {used / seconds * 100:.3f} % of a core over {seconds:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--leases", type=int, nargs="*", default=[1_000, 1_000_000])
    parser.add_argument("--claims", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(f"{os.cpu_count()} cores")
        idle(folder)
        blocked(folder)
        table_size(folder, options.leases, options.claims)


if __name__ == "__main__":
    main()
