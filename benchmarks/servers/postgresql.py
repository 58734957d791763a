"""PostgreSQL, with its default durability (fsync and synchronous_commit are on)."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.servers.base import Server, find, first_line, need


class PostgreSQL(Server):
    name = "postgresql"
    package = "postgresql"
    user = "postgres"

    @classmethod
    def program(cls) -> str | None:
        return find("/usr/lib/postgresql/*/bin/postgres", "postgres")

    @classmethod
    def version(cls) -> str:
        line = first_line(need(cls.program()), "--version")
        return need(re.search(r"\d[\d.]*", line)).group()

    def prepare(self) -> None:
        initdb = str(Path(need(self.program())).with_name("initdb"))
        data = str(self.folder / "data")
        self.run([initdb, "-D", data, "-U", "bench", "-A", "trust", "--no-sync", "-E", "UTF8"])

    def command(self) -> list[str]:
        # More connections than the default: some peers need one for each that waits.
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "1200",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [need(self.program()), "-D", str(self.folder / "data"), *flags]

    def is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        import psycopg

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if known.fetchone() is None:
                connection.execute(f'CREATE DATABASE "{database}"')
        return self._url(database)

    def _url(self, database: str) -> str:
        return f"postgresql://bench@127.0.0.1:{self.port}/{database}"
