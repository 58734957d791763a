"""Who takes part."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.peers import Ability, Peer

ADAPTERS = "benchmarks.adapters"

OURS = ("lease-actors", "Pykka", "SQLAlchemy")

_ROWS_LACK = {
    Ability.WAIT: "a row says no, and that is all; who wants to wait must ask again and again",
    Ability.KEEP: "nothing renews a row but the program itself",
}
_ADVISORY_LACKS = {
    Ability.RENEW: "an advisory lock has no time to live",
    Ability.CHECK: "it keeps a local flag, and never asks the server",
    Ability.RECORD: "an advisory lock is in the server's memory while it is held, and nowhere else",
    Ability.KEEP: "a connection for each lock; nothing to renew",
}
_REDIS_LACKS = {Ability.KEEP: "no renewal, or a thread for each lock"}
_POLLS = "all threads poll: with 10,000 the process did not get on within 150 s"
_SAME_KEYS = {
    **_REDIS_LACKS,
    Ability.RECORD: "left out: a key for each lock on the same server, as with redis-py",
}
_FILE_LACKS = {
    Ability.RENEW: "a kernel lock has no time to live",
    Ability.CHECK: "it keeps a local flag; the kernel holds the lock while the file is open",
    Ability.RECORD: "a file for each lock; the lock itself is in the kernel while it is held",
    Ability.KEEP: "a file descriptor for each lock; nothing to renew",
}


def ours(name: str, title: str, **fields: Any) -> Peer:
    fields.setdefault("order", "first in, first out, across processes")
    return Peer(
        name=f"lease-actors-{name}",
        title=f"lease-actors, {title}",
        group="ours",
        module=f"{ADAPTERS}.ours",
        **fields,
    )


def raw(name: str, title: str, **fields: Any) -> Peer:
    return Peer(name=name, title=title, group="raw", lacks=_ROWS_LACK, **fields)


PEERS: tuple[Peer, ...] = (
    ours(
        "memory",
        "memory",
        local="memory:",
        packages=OURS,
        durable="nothing",
        lacks={
            Ability.PROCESSES: "one process' memory",
            Ability.CRASH: "one process' memory",
        },
    ),
    ours(
        "sqlite",
        "SQLite",
        local="sqlite:///{folder}/leases.db",
        packages=OURS,
        durable="synced to disk",
    ),
    ours(
        "postgresql",
        "PostgreSQL",
        server="postgresql",
        scheme="postgresql+psycopg",
        packages=(*OURS, "psycopg"),
        durable="synced to disk",
    ),
    ours(
        "postgresql-hold",
        "PostgreSQL, hold()",
        server="postgresql",
        scheme="postgresql+psycopg",
        packages=(*OURS, "psycopg"),
        durable="its offer synced to disk",
        options={"hold": True},
        lacks=dict.fromkeys(
            (Ability.RENEW, Ability.CHECK, Ability.RECORD, Ability.KEEP, Ability.CLAIM),
            "where nobody is waited for it is a claim",
        ),
    ),
    ours(
        "mariadb",
        "MariaDB",
        server="mariadb",
        scheme="mysql+pymysql",
        packages=(*OURS, "PyMySQL"),
        durable="synced to disk",
    ),
    raw(
        "raw-sqlite3",
        "by hand, sqlite3",
        module=f"{ADAPTERS}.raw_sqlite3",
        local="sqlite:///{folder}/rows.db",
        durable="synced to disk",
    ),
    raw(
        "raw-psycopg",
        "by hand, psycopg",
        module=f"{ADAPTERS}.raw_psycopg",
        server="postgresql",
        packages=("psycopg",),
        durable="synced to disk",
    ),
    raw(
        "raw-pymysql",
        "by hand, PyMySQL",
        module=f"{ADAPTERS}.raw_pymysql",
        server="mariadb",
        packages=("PyMySQL",),
        durable="synced to disk",
    ),
    Peer(
        name="listen-notify",
        title="by hand, LISTEN/NOTIFY",
        group="raw",
        module=f"{ADAPTERS}.listen_notify",
        server="postgresql",
        packages=("psycopg",),
        durable="synced to disk",
        lacks=dict.fromkeys(
            (Ability.RENEW, Ability.CHECK, Ability.RECORD, Ability.CLAIM),
            "a reference for the hand-over only",
        ),
    ),
    Peer(
        name="kazoo",
        title="kazoo Lock, ZooKeeper",
        group="peer",
        module=f"{ADAPTERS}.kazoo_lock",
        server="zookeeper",
        packages=("kazoo",),
        durable="synced to disk",
        order="first in, first out",
        lacks={
            Ability.RENEW: "the session's heartbeat keeps all of its locks; there is no such call",
            Ability.CHECK: "`is_acquired` is a local flag; it does not ask the server",
        },
    ),
    Peer(
        name="etcd",
        title="etcd3 Lock, etcd",
        group="peer",
        module=f"{ADAPTERS}.etcd_lock",
        server="etcd",
        packages=("etcd-sdk-python", "grpcio", "protobuf"),
        durable="synced to disk",
        lacks={Ability.KEEP: "the lock is not renewed by itself"},
    ),
    Peer(
        name="redis-py",
        title="redis-py Lock, Redis",
        group="peer",
        module=f"{ADAPTERS}.redis_lock",
        server="redis",
        packages=("redis",),
        durable="nothing",
        lacks=_REDIS_LACKS,
    ),
    Peer(
        name="redis-py-durable",
        title="redis-py Lock, Redis with appendfsync always",
        group="peer",
        module=f"{ADAPTERS}.redis_lock",
        server="redis-durable",
        packages=("redis",),
        durable="synced to disk",
        lacks=_SAME_KEYS,
    ),
    Peer(
        name="python-redis-lock",
        title="python-redis-lock, Redis",
        group="peer",
        module=f"{ADAPTERS}.python_redis_lock",
        server="redis",
        packages=("python-redis-lock", "redis"),
        durable="nothing",
        most_waiters=1_000,
        lacks=_SAME_KEYS,
    ),
    Peer(
        name="python-redis-lock-durable",
        title="python-redis-lock, Redis with appendfsync always",
        group="peer",
        module=f"{ADAPTERS}.python_redis_lock",
        server="redis-durable",
        packages=("python-redis-lock", "redis"),
        durable="synced to disk",
        most_waiters=1_000,
        lacks=_SAME_KEYS,
    ),
    Peer(
        name="tooz-postgresql",
        title="tooz, PostgreSQL",
        group="peer",
        module=f"{ADAPTERS}.tooz_lock",
        server="postgresql",
        packages=("tooz", "psycopg2-binary"),
        durable="nothing",
        most_waiters=1_000,
        lacks=_ADVISORY_LACKS,
    ),
    Peer(
        name="tooz-mysql",
        title="tooz, MariaDB",
        group="peer",
        module=f"{ADAPTERS}.tooz_lock",
        server="mariadb",
        packages=("tooz", "PyMySQL"),
        durable="nothing",
        most_waiters=1_000,
        lacks=_ADVISORY_LACKS,
    ),
    Peer(
        name="dlock-postgresql",
        title="sqlalchemy-dlock, PostgreSQL",
        group="peer",
        module=f"{ADAPTERS}.dlock",
        server="postgresql",
        scheme="postgresql+psycopg",
        packages=("sqlalchemy-dlock", "SQLAlchemy", "psycopg"),
        durable="nothing",
        most_waiters=1_000,
        lacks=_ADVISORY_LACKS,
    ),
    Peer(
        name="dlock-mysql",
        title="sqlalchemy-dlock, MariaDB",
        group="peer",
        module=f"{ADAPTERS}.dlock",
        server="mariadb",
        scheme="mysql+pymysql",
        packages=("sqlalchemy-dlock", "SQLAlchemy", "PyMySQL"),
        durable="nothing",
        most_waiters=1_000,
        lacks=_ADVISORY_LACKS,
    ),
    Peer(
        name="filelock",
        title="filelock, FileLock",
        group="peer",
        module=f"{ADAPTERS}.file_lock",
        local="file://{folder}",
        packages=("filelock",),
        durable="nothing",
        most_waiters=1_000,
        because=_POLLS,
        lacks=_FILE_LACKS,
    ),
    Peer(
        name="filelock-lease",
        title="filelock, SoftFileLease",
        group="peer",
        module=f"{ADAPTERS}.file_lock",
        local="file://{folder}",
        packages=("filelock",),
        durable="a file, not synced",
        options={"lease": True},
        most_waiters=1_000,
        because=_POLLS,
        lacks={
            **_FILE_LACKS,
            Ability.RENEW: "a heartbeat thread for each lease renews it; there is no such call",
            Ability.KEEP: "a heartbeat thread for each lease",
        },
    ),
)


def named(names: str | None) -> list[Peer]:
    """The peers whose names begin with any of these, comma-separated; all for None."""
    if names is None:
        return list(PEERS)
    beginnings = tuple(name.strip() for name in names.split(","))
    for beginning in beginnings:
        if not any(peer.name.startswith(beginning) for peer in PEERS):
            known = ", ".join(peer.name for peer in PEERS)
            raise SystemExit(f"there is no peer {beginning!r}; there are {known}")
    return [peer for peer in PEERS if peer.name.startswith(beginnings)]
