"""What every server has in common: how it is found, started, awaited and ended."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""So many seconds a server has to come up, and again to go down."""


class Server(ABC):
    """One server process, bound to loopback."""

    name: ClassVar[str]
    package: ClassVar[str]
    """The Debian package that it comes in."""
    user: ClassVar[str | None] = None
    """Who it runs as when the harness is root: some servers refuse to be root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @abstractmethod
    def program(cls) -> str | None:
        """Where the server's program is, or None."""

    @classmethod
    @abstractmethod
    def version(cls) -> str: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers. May raise ``OSError`` while it does not."""

    @abstractmethod
    def url(self, database: str) -> str:
        """Where a client finds it. A server of many databases makes that one, if it is not there."""

    def prepare(self) -> None:  # noqa: B027  (most have nothing to prepare)
        """What has to be done before the first start."""

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        self.own(self.folder)
        self.prepare()
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, **self._as_user()
            )
        self._await_ready()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "started"
        return self._process.pid

    def own(self, path: Path) -> None:
        """Give a path to the user that the server runs as."""
        if self.user is not None and os.geteuid() == 0:
            shutil.chown(path, self.user)

    def run(self, command: Sequence[str]) -> None:
        """A command that prepares the server, as its user."""
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            **self._as_user(),
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _as_user(self) -> dict[str, Any]:
        if self.user is None or os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _await_ready(self) -> None:
        if not wait_until(self._answers, PATIENCE):
            self.stop()
            tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} did not answer within {PATIENCE:g} s: {tail}")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {tail}")
        with contextlib.suppress(OSError):
            return self.is_ready()
        return False


def wait_until(condition: Callable[[], bool], patience: float) -> bool:
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.05)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def exchange(port: int, message: bytes) -> bytes:
    """Send some bytes, and read what comes back first."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(message)
        return connection.recv(4096)


def need(value: T | None) -> T:
    """What the harness has looked for before, and found."""
    assert value is not None
    return value


def first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].strip()


def find(*candidates: str) -> str | None:
    """The first of these that is there: names on the PATH, paths, or patterns (the last match)."""
    for candidate in candidates:
        if "*" in candidate:
            found = sorted(Path("/").glob(candidate.lstrip("/")))
            if found:
                return str(found[-1])
        elif path := shutil.which(candidate):
            return path
    return None
