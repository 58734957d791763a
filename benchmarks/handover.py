"""Hand-over of a lease between processes: release called to claim returned; and who gets how many turns.

    python benchmarks/handover.py --url postgresql://… [--turns 300] [--rounds 3] [--hold 20]
    python benchmarks/handover.py --url … --contend 48 [--seconds 30] [--hold 10]

Two processes pass one lease to and fro; each holds it for ``--hold`` ms, until the other is in the
queue. Both read the clock of the same machine. On PostgreSQL the raw way takes turns with ours, round
by round: the same two durable transactions (offer and NOTIFY, confirm) by hand in psycopg.
``--contend``: so many processes want one lease all the time, each turn holding it for ``--hold`` ms.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import sqlalchemy as sa

from lease_actors import Lease, Manager, SystemClock

_Times = dict[int, tuple[int, int]]
"""By term, or turn: when the claim returned, when the release was called (steady microseconds)."""
_Take = Callable[[Manager, str], AbstractContextManager[Lease]]


@contextmanager
def claimed(manager: Manager, name: str) -> Iterator[Lease]:
    """Claimed, and revoked at the end."""
    claimer, revoker = manager.claimer("bench"), manager.revoker("bench")
    yield claimer.claim("lease", name, 60, wait=60)
    revoker.revoke("lease", name)


def held(manager: Manager, name: str) -> AbstractContextManager[Lease]:
    """A hold(), which begins with the offer where the database tells of it."""
    return manager.claimer("bench").hold("lease", name, 60, wait=60)


def ours(url: str, name: str, turns: int, hold: float, ready: Any, *, take: _Take) -> _Times:
    """Every turn of this process."""
    times, steady = {}, SystemClock().steady
    with Manager.open(url) as manager:
        reader = manager.reader("bench")
        ready.wait()
        for turn in range(turns):
            with take(manager, name) as lease:
                began = steady()
                time.sleep(hold)
                while turn < turns - 1 and not reader.waiting("lease"):
                    time.sleep(0.005)
                times[lease.term] = began, steady()
    return times


def raw(url: str, name: str, turns: int, hold: float, ready: Any) -> _Times:
    """The same by hand, every second turn being this process's."""
    import psycopg

    times, steady = {}, SystemClock().steady
    dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as ears, psycopg.connect(dsn) as connection:
        ears.execute(f"LISTEN {name}")
        ready.wait()
        other, first = ("b", 0) if name == "a" else ("a", 1)
        for turn in range(first, 2 * turns, 2):
            if turn:
                for _ in ears.notifies(stop_after=1):
                    pass
            # Confirm: one durable transaction.
            connection.execute(
                "UPDATE raw_lease SET confirmed = true, expiry = clock_timestamp() + '1 min'"
                " WHERE id = 1 AND holder = %s AND term = %s",
                (name, turn),
            )
            connection.commit()
            began = steady()
            time.sleep(hold)
            times[turn] = began, steady()
            # Release and offer to the next: another, and the notification.
            connection.execute(
                "UPDATE raw_lease SET holder = %s, term = term + 1, confirmed = false"
                " WHERE id = 1 AND holder = %s",
                (other, name),
            )
            connection.execute("SELECT pg_notify(%s, %s)", (other, str(turn)))
            connection.commit()
    return times


def contender(url: str, name: str, seconds: float, hold: float, ready: Any) -> int:
    """How many turns this process had."""
    turns = 0
    with Manager.open(url) as manager:
        claimer, revoker = manager.claimer("bench"), manager.revoker("bench")
        claimer.claim(f"warm-{name}", name, 1)
        ready.wait()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            claimer.claim("contended", name, 60, wait=120)
            turns += time.monotonic() < end
            time.sleep(hold)
            revoker.revoke("contended", name)
    return turns


def _child(work: Callable[..., Any], pipe: Connection, *args: Any) -> None:
    pipe.send(work(*args))


def together(work: Callable[..., Any], count: int, *args: Any) -> list[Any]:
    """Do the work in so many new processes, begun at once; what they return."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(count)
    url, *others = args
    running = []
    for number in range(count):
        ours, theirs = context.Pipe()
        name = chr(ord("a") + number) if count == 2 else f"p{number}"
        child = context.Process(target=_child, args=(work, theirs, url, name, *others, ready))
        child.start()
        running.append((child, ours))
    results = [pipe.recv() for _, pipe in running]
    for child, _ in running:
        child.join()
    return results


def latencies(results: list[_Times]) -> list[float]:
    """Milliseconds from each release to the next claim's return; the first few warm up."""
    times = sorted((turn, *t) for result in results for turn, t in result.items())
    return [
        (began - released) / 1000
        for (_, _, released), (_, began, _) in itertools.pairwise(times[10:])
    ]


def quantiles(found: list[float]) -> tuple[float, float]:
    return statistics.median(found), statistics.quantiles(found, n=100)[98]


def hand_over(url: str, turns: int, rounds: int, hold: float) -> None:
    ways = {"ours": partial(ours, take=claimed), "ours, hold()": partial(ours, take=held)}
    found: dict[str, list[float]] = {what: [] for what in ways}
    is_postgresql = sa.make_url(url).get_backend_name() == "postgresql"
    if is_postgresql:
        found["raw"] = []
        _make_raw_table(url)
    for _ in range(rounds):
        if is_postgresql:
            _reset_raw_table(url)
            found["raw"] += latencies(together(raw, 2, url, turns, hold))
        for what, way in ways.items():
            found[what] += latencies(together(way, 2, url, turns, hold))
    print(f"{'hand-over, ms':<16}{'p50':>8}{'p99':>8}{'n':>8}")
    for what, times in found.items():
        print(f"{what:<16}{quantiles(times)[0]:>8.2f}{quantiles(times)[1]:>8.2f}{len(times):>8}")
    if is_postgresql:
        for what in ways:
            pairs = zip(quantiles(found[what]), quantiles(found["raw"]), strict=True)
            ratios = [a / b for a, b in pairs]
            print(f"{what + ' / raw':<20}{ratios[0]:>4.2f}{ratios[1]:>8.2f}")


def _make_raw_table(url: str) -> None:
    _sql(
        url,
        "DROP TABLE IF EXISTS raw_lease",
        "CREATE TABLE raw_lease (id int PRIMARY KEY, holder text, term bigint,"
        " confirmed boolean, expiry timestamptz)",
        "INSERT INTO raw_lease VALUES (1, 'a', 0, false, now())",
    )


def _reset_raw_table(url: str) -> None:
    _sql(url, "UPDATE raw_lease SET holder = 'a', term = 0")


def _sql(url: str, *statements: str) -> None:
    driver = sa.make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(driver, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def contend(url: str, count: int, seconds: float, hold: float) -> None:
    turns = together(contender, count, url, seconds, hold)
    mean = statistics.mean(turns)
    worst = max(mean - min(turns), max(turns) - mean) / mean * 100
    print(f"{count} processes, {hold * 1000:g} ms holds, {seconds:g} s: {sum(turns)} turns")
    print(
        f"turns per process: min {min(turns)}, mean {mean:.1f}, max {max(turns)}: ± {worst:.1f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default=f"sqlite:///{os.path.abspath('handover.db')}")
    parser.add_argument("--turns", type=int, default=300, help="of each of the two processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hold", type=float, default=None, help="milliseconds")
    parser.add_argument("--contend", type=int, default=0, metavar="PROCESSES")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    hold = (options.hold if options.hold is not None else 10 if options.contend else 20) / 1000
    if options.contend:
        contend(options.url, options.contend, options.seconds, hold)
    else:
        hand_over(options.url, options.turns, options.rounds, hold)


if __name__ == "__main__":
    main()
