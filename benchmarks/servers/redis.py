"""Redis, as it comes (snapshots only: a crash loses the last minutes), and made durable."""

from __future__ import annotations

import re

from benchmarks.servers.base import Server, exchange, find, first_line, need


class Redis(Server):
    name = "redis"
    package = "redis-server"
    durable = False

    @classmethod
    def program(cls) -> str | None:
        return find("redis-server")

    @classmethod
    def version(cls) -> str:
        return need(re.search(r"v=([\d.]+)", first_line(need(cls.program()), "--version")))[1]

    def command(self) -> list[str]:
        flags = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        if self.durable:
            flags += ["--appendonly", "yes", "--appendfsync", "always"]
        return [need(self.program()), *flags]

    def is_ready(self) -> bool:
        return exchange(self.port, b"PING\r\n").startswith(b"+PONG")

    def url(self, database: str) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class DurableRedis(Redis):
    """Every write is on disk before it is answered: what the others do by default."""

    name = "redis-durable"
    durable = True
