"""docs/frameworks/gunicorn.md: of a web application's workers exactly one leads."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.managers import until
from support.pages import blocks, command, write_files
from support.processes import free_port
from support.programs import Program

from lease_actors import Manager

PAGE = "frameworks/gunicorn.md"
WORKERS = 3


class Server:
    """gunicorn with the page's application, by the page's command."""

    def __init__(self, folder: Path) -> None:
        assert write_files(PAGE, folder) == ["app.py", "gunicorn.conf.py"]
        self.leases = f"sqlite:///{folder / 'leases.db'}"
        self.address = f"127.0.0.1:{free_port()}"
        variable, gunicorn, *words = command(PAGE, "LEASES_URL=")
        assert (variable.split("=")[0], gunicorn) == ("LEASES_URL", "gunicorn")
        words = [self.address if word == "127.0.0.1:8000" else word for word in words]
        self.program = Program(
            *(sys.executable, "-m", "gunicorn", *words), cwd=folder, env={"LEASES_URL": self.leases}
        )

    def ask(self) -> tuple[int, bool]:
        """Some worker's process id, and whether it leads."""
        with urllib.request.urlopen(f"http://{self.address}/", timeout=10) as response:
            answer = json.load(response)
        return answer["worker"], answer["leads"]

    def workers(self) -> dict[int, bool]:
        """All workers, and whether each leads, once so many have answered."""
        seen: dict[int, bool] = {}

        def all_seen() -> bool:
            try:
                worker, leads = self.ask()
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False  # not up yet; or just that one was killed
            seen[worker] = leads
            return len(seen) == WORKERS

        until(all_seen, f"{WORKERS} workers")
        return seen

    def leader(self, manager: Manager) -> int | None:
        lease = manager.reader("app").get("leader")
        return None if lease is None else int(lease.holder.split("/")[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    with server.program:
        yield server
        if server.program.process.poll() is None:  # its workers end with it, if it is asked
            server.program.kill(signal.SIGTERM)
            server.program.status()


def leaders(server: Server) -> list[int]:
    return [worker for worker, leads in server.workers().items() if leads]


@pytest.mark.timeout(180)
def test_exactly_one_worker_leads_and_when_it_is_killed_another_does(server: Server) -> None:
    until(lambda: len(leaders(server)) == 1, "a leader")
    [first] = leaders(server)
    with Manager.open(server.leases) as manager:
        assert server.leader(manager) == first
        os.kill(first, signal.SIGKILL)
        until(lambda: server.leader(manager) not in (first, None), "another leader")
        second = server.leader(manager)
        until(lambda: leaders(server) == [second], "that it leads")
        assert first not in server.workers()

        server.program.kill(signal.SIGTERM)
        assert server.program.status() == 0
        assert server.leader(manager) is None  # it has resigned


def test_a_worker_that_could_not_import_the_application_ends_with_its_own_error_alone() -> None:
    [hooks] = [block for block in blocks(PAGE, "python") if "def worker_exit" in block]
    names: dict[str, Any] = {}
    exec(hooks, names)
    names["worker_exit"](SimpleNamespace(), SimpleNamespace())
