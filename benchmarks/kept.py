"""What it costs one process to keep many leases alive, and what ``check()`` costs.

    python benchmarks/kept.py [--url URL] [--leases 10000] [--duration 30] [--seconds 60]

CPU of one core, further threads, transactions and renewals while nothing else is done; the
shortest time that remained of any lease (a third of the duration is what a renewal leaves over
when it is in time: two thirds remain); and how many ``check()`` a second one thread makes.
Without ``--url`` on a new SQLite file.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import threading
import time
import timeit
from contextlib import ExitStack
from pathlib import Path

from prometheus_client import CollectorRegistry

from lease_actors import HeldLease, Manager


def enter(manager: Manager, stack: ExitStack, leases: int, duration: float) -> list[HeldLease]:
    """Hold them all; 32 threads claim, so that the holds begin at many different instants."""
    claimer, numbers = manager.claimer("bench"), itertools.count()
    held: list[HeldLease] = []
    lock = threading.Lock()

    def work() -> None:
        while (number := next(numbers)) < leases:
            hold = claimer.hold(f"lease-{number}", "holder", duration)
            one = hold.__enter__()
            with lock:
                stack.push(hold)
                held.append(one)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return held


def value(registry: CollectorRegistry, name: str) -> float:
    return registry.get_sample_value(name) or 0.0


def measure(manager: Manager, registry: CollectorRegistry, seconds: float) -> None:
    names = ("lease_renewals_total", "lease_batch_operations_count")
    before = [value(registry, name) for name in names]
    cpu = time.process_time()
    time.sleep(seconds)
    cpu = time.process_time() - cpu
    renewals, transactions = (value(registry, n) - b for n, b in zip(names, before, strict=True))
    print(f"CPU: {cpu / seconds * 100:.2f} % of one core over {seconds:g} s")
    print(
        f"{renewals:.0f} renewals in {transactions:.0f} transactions:"
        f" {renewals / max(1, transactions):.1f} each, {cpu / max(1, renewals) * 1e6:.1f} µs each"
    )


def shortest(held: list[HeldLease], seconds: float) -> float:
    """The least that remained of any of them, looked at four times a second."""
    least = float("inf")
    for _ in range(round(seconds * 4)):
        time.sleep(0.25)
        least = min(least, *(one.remaining().total_seconds() for one in held))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--leases", type=int, default=10_000)
    parser.add_argument("--duration", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    registry = CollectorRegistry()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as last:
        url = options.url or f"sqlite:///{Path(folder) / 'leases.db'}"
        manager = last.enter_context(Manager.open(url, prometheus_registerer=registry))
        manager.claimer("bench").claim("first", "holder", 1)
        threads = threading.active_count()
        with ExitStack() as stack:
            began = time.perf_counter()
            held = enter(manager, stack, options.leases, options.duration)
            took = time.perf_counter() - began
            print(f"{os.cpu_count()} cores; {len(held):,} leases of {options.duration:g} s,")
            print(f"entered in {took:.1f} s; {threading.active_count() - threads} further threads")
            time.sleep(options.duration)  # until all have been renewed, and have found together
            measure(manager, registry, options.seconds)
            least = shortest(held, options.duration)
            print(f"least that remained: {least:.2f} s of {options.duration:g}")
            lost = sum(one.lost.is_set() for one in held)
            print(f"endangered: {value(registry, 'lease_endangered_total'):.0f}; lost: {lost}")
            checks = min(timeit.repeat(held[0].check, number=1_000_000, repeat=5))
            print(f"check(): {1 / checks:.2f} million a second")
            began = time.perf_counter()
        print(f"left in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
