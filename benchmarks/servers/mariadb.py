"""MariaDB, with its default durability (innodb_flush_log_at_trx_commit is 1)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks.servers.base import Server, find, first_line, need


class MariaDB(Server):
    name = "mariadb"
    package = "mariadb-server"
    user = "mysql"

    @classmethod
    def program(cls) -> str | None:
        return find("mariadbd", "/usr/sbin/mariadbd")

    @classmethod
    def version(cls) -> str:
        return need(re.search(r"Ver (\d[\d.]*)", first_line(need(cls.program()), "--version")))[1]

    def prepare(self) -> None:
        # Its root may come in by the socket only: so a user of our own, made by the very first start.
        install = need(find("mariadb-install-db"))
        first = self.folder / "first.sql"
        first.write_text(
            "CREATE USER bench@'127.0.0.1' IDENTIFIED BY 'bench';\n"
            "GRANT ALL ON *.* TO bench@'127.0.0.1';\n"
        )
        self.own(first)
        self._temporary.mkdir()
        self.own(self._temporary)
        flags = ["--no-defaults", *self._places(), "--skip-test-db"]
        self.run([install, *flags, "--auth-root-authentication-method=normal"])

    def command(self) -> list[str]:
        # More connections than the default: some peers need one for each that waits.
        return [
            need(self.program()),
            "--no-defaults",
            *self._places(),
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'first.sql'}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",  # some peers connect anew for each lock: that is no DNS contest
            f"--port={self.port}",
            "--max-connections=1200",
        ]

    @property
    def _temporary(self) -> Path:
        return self.folder / "temporary"

    def _places(self) -> list[str]:
        # A server deletes other servers' temporary tables when it starts in the same directory:
        # with /tmp, the default, one of two that start together was seen to crash.
        return [f"--datadir={self.folder / 'data'}", f"--tmpdir={self._temporary}"]

    def is_ready(self) -> bool:
        import pymysql

        try:
            self._connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        connection = self._connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4")
        return f"mysql://bench:bench@127.0.0.1:{self.port}/{database}"

    def _connect(self) -> Any:
        import pymysql

        return pymysql.connect(host="127.0.0.1", port=self.port, user="bench", password="bench")
