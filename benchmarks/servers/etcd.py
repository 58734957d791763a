"""etcd: one member, which syncs its log before it answers."""

from __future__ import annotations

import http.client

from benchmarks.servers.base import Server, find, first_line, free_port, need


class Etcd(Server):
    name = "etcd"
    package = "etcd-server"

    @classmethod
    def program(cls) -> str | None:
        return find("etcd")

    @classmethod
    def version(cls) -> str:
        return first_line(need(cls.program()), "--version").split()[-1]

    def command(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.port, free_port()))
        return [
            need(self.program()),
            f"--data-dir={self.folder / 'data'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
        ]

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return b"true" in connection.getresponse().read()
        finally:
            connection.close()

    def url(self, database: str) -> str:
        return f"etcd://127.0.0.1:{self.port}"
