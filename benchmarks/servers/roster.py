"""All servers by their names."""

from __future__ import annotations

from benchmarks.servers.base import Server
from benchmarks.servers.etcd import Etcd
from benchmarks.servers.mariadb import MariaDB
from benchmarks.servers.postgresql import PostgreSQL
from benchmarks.servers.redis import DurableRedis, Redis
from benchmarks.servers.zookeeper import ZooKeeper

SERVERS: dict[str, type[Server]] = {
    kind.name: kind for kind in (PostgreSQL, MariaDB, Redis, DurableRedis, Etcd, ZooKeeper)
}
