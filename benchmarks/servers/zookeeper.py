"""ZooKeeper: one server, which syncs its log before it answers."""

from __future__ import annotations

from pathlib import Path

from benchmarks.servers.base import Server, exchange, find, need

JAR = Path("/usr/share/java/zookeeper.jar")


class ZooKeeper(Server):
    name = "zookeeper"
    package = "zookeeper"

    @classmethod
    def program(cls) -> str | None:
        return find("java") if JAR.exists() else None

    @classmethod
    def version(cls) -> str:
        named = need(find("/usr/share/java/zookeeper-[0-9]*.jar"))
        return Path(named).stem.removeprefix("zookeeper-")

    def prepare(self) -> None:
        # As Debian's own configuration, but for the limit of 60 connections from one address.
        settings = {
            "tickTime": 2000,
            "dataDir": self.folder / "data",
            "clientPort": self.port,
            "clientPortAddress": "127.0.0.1",
            "maxClientCnxns": 0,
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "ruok",
        }
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / "zoo.cfg").write_text(lines)

    def command(self) -> list[str]:
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        return [need(self.program()), "-cp", str(JAR), main, str(self.folder / "zoo.cfg")]

    def is_ready(self) -> bool:
        return exchange(self.port, b"ruok") == b"imok"

    def url(self, database: str) -> str:
        return f"zookeeper://127.0.0.1:{self.port}"
