"""The command as a user has it: a process of its own, its output, its status."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any, NamedTuple

from cli.launcher import Launcher, Process

PATIENCE = 30.0
"""So long (seconds) anything is waited for that should come in a moment."""


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def is_one_line(self, status: int) -> bool:
        """It failed as documented: with that status and one line on stderr."""
        lines = self.err.splitlines()
        return self.status == status and len(lines) == 1 and lines[0].startswith("lease-actors: ")


class Running:
    """A command that runs."""

    def __init__(self, process: Process, out: int | None, err: int) -> None:
        self.process, self.pid = process, process.pid
        self._pipes = {"out": out, "err": err}
        self._read = {"out": b"", "err": b""}

    def line(self) -> str:
        """The next line that it prints."""
        until = time.monotonic() + PATIENCE
        while b"\n" not in self._read["out"]:
            if not self._receive(until):
                raise AssertionError(f"it ended without a line more: {self.done()}")
        line, _, self._read["out"] = self._read["out"].partition(b"\n")
        return line.decode()

    def line_if(self, timeout: float) -> str | None:
        """The next line, if one comes in that time and before the end."""
        until = time.monotonic() + timeout
        while b"\n" not in self._read["out"]:
            pipe = self._pipes["out"]
            if (
                pipe is None
                or not select.select([pipe], [], [], max(0, until - time.monotonic()))[0]
            ):
                return None
            self._receive(until)
        return self.line()

    def signal(self, signum: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, signum)

    def done(self) -> Done:
        """How it ended; what was not read of its output."""
        until = time.monotonic() + PATIENCE
        while self._receive(until):
            pass
        status = self.process.wait(PATIENCE)
        return Done(status, self._read["out"].decode(), self._read["err"].decode())

    def close(self) -> None:
        """End it."""
        self.process.close()
        for name in list(self._pipes):
            self._close(name)

    def _receive(self, until: float) -> bool:
        """Read what comes next on either pipe; False: both are at their end."""
        pipes = {pipe: name for name, pipe in self._pipes.items() if pipe is not None}
        if not pipes:
            return False
        ready, _, _ = select.select(list(pipes), [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing has come, after {self._read!r}")
        for pipe in ready:
            data = os.read(pipe, 65536)
            self._read[pipes[pipe]] += data
            if not data:
                self._close(pipes[pipe])
        return True

    def _close(self, name: str) -> None:
        pipe = self._pipes[name]
        if pipe is not None:
            os.close(pipe)
            self._pipes[name] = None


class Command:
    """``lease-actors`` on one database."""

    def __init__(self, launcher: Launcher, url: str) -> None:
        self.url = url
        self._launcher = launcher
        self._running: list[Running] = []

    def __call__(self, *arguments: str) -> Done:
        """Run it to its end."""
        return self.start(*arguments).done()

    def start(
        self,
        *arguments: str,
        out: int | None = None,
        stdin: int | None = None,
        **environment: str,
    ) -> Running:
        """Start it; ``out``: a descriptor that is its output, else it is read here."""
        ours, theirs = (None, out) if out is not None else os.pipe()
        err, their_err = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        given = {**os.environ, "LEASE_ACTORS_URL": self.url, **environment}
        try:
            process = self._launcher.start(
                list(arguments), given, (stdin or null, theirs, their_err)
            )
        finally:
            for descriptor in (null, their_err, *([theirs] if out is None else [])):
                os.close(descriptor)
        self._running.append(Running(process, ours, err))
        return self._running[-1]

    def all(self, *commands: tuple[str, ...]) -> list[Done]:
        """Run them at once."""
        return [running.done() for running in [self.start(*command) for command in commands]]

    def on(self, url: str) -> Command:
        """The same on another database."""
        other = Command(self._launcher, url)
        other._running = self._running
        return other

    def close(self) -> None:
        """End what still runs."""
        for running in self._running:
            running.close()


def alive(pid: int) -> bool:
    """Whether there is such a process, a zombie excepted."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition: Any, what: str = "it") -> None:
    """Return as soon as the condition holds, of which nothing else tells."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} has not come about")
        time.sleep(0.01)
