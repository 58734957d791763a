"""What was to be reached: ratios within one round, their median and from where to where they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.harness.results import Results
from benchmarks.harness.stats import spread
from benchmarks.report.format import spread_of, table
from benchmarks.report.read import Reading, at, by_round, middle

POSTGRESQL_PEERS = ("tooz-postgresql", "dlock-postgresql")
DISTANT = ("kazoo", "etcd", "redis-py", "redis-py-durable")
DISTANT_LOCKS = (*DISTANT, "python-redis-lock", "python-redis-lock-durable")
DURABLE = ("kazoo", "etcd", "redis-py-durable", "python-redis-lock-durable")
ORDERED = ("kazoo",)

MANY, ONE = at("64", "per_second"), at("1", "per_second")
P50 = at("p50_ms")


def best_rate(found: dict[str, dict[str, float]]) -> float | None:
    """At whichever number of threads it is best."""
    return max((each["per_second"] for each in found.values()), default=None)


@dataclass(frozen=True, kw_only=True)
class Target:
    what: str
    work: str
    us: str
    read: Reading
    them: Sequence[str]
    read_them: Reading | None = None
    at_least: float | None = None
    at_most: float | None = None
    pick: Callable[..., float] = max
    """Which of several others it is measured by: the best of them."""

    def ratios(self, results: Results) -> list[float]:
        """Ours divided by theirs, in every round that has both."""
        ours = by_round(results, self.work, self.us, self.read)
        read = self.read_them or self.read
        theirs = [by_round(results, self.work, peer, read) for peer in self.them]
        found = []
        for number, value in ours.items():
            others = [rounds[number] for rounds in theirs if number in rounds]
            if others:
                found.append(value / self.pick(others))
        return found

    def goal(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def reached(self, ratios: list[float]) -> bool:
        median = spread(ratios)[1]
        if self.at_least is not None:
            return median >= self.at_least
        assert self.at_most is not None
        return median <= self.at_most


def _pairs(what: str, us: str, them: Sequence[str], at_least: float, **fields: object) -> Target:
    reading = {"read": MANY, "read_them": best_rate, **fields}
    return Target(what=what, work="pairs", us=us, them=them, at_least=at_least, **reading)  # type: ignore[arg-type]


TARGETS: tuple[Target, ...] = (
    _pairs(
        "pairs from 64 threads, PostgreSQL ÷ the best PostgreSQL peer",
        "lease-actors-postgresql",
        POSTGRESQL_PEERS,
        3,
        read_them=MANY,
    ),
    _pairs(
        "pairs from 64 threads, PostgreSQL ÷ psycopg by hand through 8 connections, at its best",
        "lease-actors-postgresql",
        ("raw-psycopg",),
        1.5,
    ),
    _pairs(
        "pairs from 64 threads, PostgreSQL ÷ psycopg by hand, 8 threads and 8 connections",
        "lease-actors-postgresql",
        ("raw-psycopg",),
        1,
        read_them=at("8", "per_second"),
    ),
    _pairs(
        "pairs from 64 threads, PostgreSQL ÷ the best client of etcd, ZooKeeper, Redis",
        "lease-actors-postgresql",
        DISTANT_LOCKS,
        1,
        read_them=MANY,
    ),
    _pairs(
        "pairs from 64 threads, SQLite ÷ sqlite3 by hand, at its best",
        "lease-actors-sqlite",
        ("raw-sqlite3",),
        2,
    ),
    *(
        _pairs(
            f"pairs from 1 thread, {title} ÷ the raw way on it, 1 thread",
            f"lease-actors-{name}",
            (raw,),
            0.5,
            read=ONE,
            read_them=ONE,
        )
        for name, title, raw in (
            ("sqlite", "SQLite", "raw-sqlite3"),
            ("postgresql", "PostgreSQL", "raw-psycopg"),
            ("mariadb", "MariaDB", "raw-pymysql"),
        )
    ),
    Target(
        what="hand-over p50, PostgreSQL ÷ the best peer that commits durably",
        work="hand-over",
        us="lease-actors-postgresql",
        them=DURABLE,
        read=P50,
        at_most=1,
        pick=min,
    ),
    Target(
        what="hand-over p50, PostgreSQL ÷ two transactions and a NOTIFY by hand",
        work="hand-over",
        us="lease-actors-postgresql",
        them=("listen-notify",),
        read=P50,
        at_most=2,
        pick=min,
    ),
    *(
        Target(
            what=f"hand-over p50, PostgreSQL with hold() ÷ {title}",
            work="hand-over",
            us="lease-actors-postgresql-hold",
            them=them,
            read=P50,
            at_most=most,
            pick=min,
        )
        for title, them, most in (
            ("the best peer that commits durably", DURABLE, 1),
            ("two transactions and a NOTIFY by hand", ("listen-notify",), 2),
        )
    ),
    Target(
        what="50 waiters, PostgreSQL ÷ the best peer that promises an order",
        work="queue",
        us="lease-actors-postgresql",
        them=ORDERED,
        read=middle("ms"),
        at_most=1,
        pick=min,
    ),
    Target(
        what="50 waiters, SQLite ÷ the best peer that promises an order",
        work="queue",
        us="lease-actors-sqlite",
        them=ORDERED,
        read=middle("ms"),
        at_most=1,
        pick=min,
    ),
)


def targets(results: Results) -> str | None:
    rows = []
    for target in TARGETS:
        if ratios := target.ratios(results):
            answer = "yes" if target.reached(ratios) else "**no**"
            rows.append([target.what, target.goal(), spread_of(ratios), answer])
    return table(("", "to reach", "found", "reached"), rows) if rows else None
