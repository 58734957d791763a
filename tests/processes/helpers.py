"""Processes as a test sees them: told what to do, stopped, killed, and kept for the next test."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from support.processes import freeze

import lease_actors.errors

PATIENCE = 40.0
"""Seconds after which a test that waits for something fails; nothing takes that long."""

_ROOT = Path(__file__).parents[1]


class Asked:
    """Something that a process was asked to do."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._changed = threading.Condition()
        self._told: list[str] = []
        self._answer: dict[str, Any] | None = None

    def take(self, said: dict[str, Any]) -> None:
        with self._changed:
            if "told" in said:
                self._told.append(said["told"])
            else:
                self._answer = said
            self._changed.notify_all()

    @property
    def is_answered(self) -> bool:
        return self._answer is not None

    def blocked(self) -> Asked:
        """Return when it is queued, or its wait registered."""
        with self._changed:
            self._changed.wait_for(lambda: self._told or self._answer, PATIENCE)
            assert "blocked" in self._told, f"{self._what} is not blocked: {self._answer}"
        return self

    def value(self) -> Any:
        """What it was answered; raises the library's error if that is what it was."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._answer, PATIENCE), f"{self._what} hangs"
        assert self._answer is not None
        if "error" in self._answer:
            kind, message = self._answer["error"]
            raise getattr(lease_actors.errors, kind, RuntimeError)(message)
        return self._answer["value"]


class Helper:
    """A process with a manager of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "processes.program"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        self._numbers = itertools.count(1)
        self._asked: dict[int, Asked] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def ask(self, call: str, **arguments: Any) -> Asked:
        """Ask it to do that, and do not wait."""
        number = next(self._numbers)
        asked = self._asked[number] = Asked(f"{call} {arguments} in process {self.pid}")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "call": call, **arguments}) + "\n")
        self._process.stdin.flush()
        return asked

    def do(self, call: str, **arguments: Any) -> Any:
        """Ask it to do that, and return what it answers."""
        return self.ask(call, **arguments).value()

    def freeze(self) -> None:
        """Stop it in the midst of whatever it does; returns when it stands still."""
        freeze(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when nothing is left of it."""
        self._process.kill()
        self._join()

    def leave(self) -> None:
        """Let it come to its end without closing its manager."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._join()

    def _join(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self._asked[said["id"]].take(said)
        for asked in list(self._asked.values()):
            if not asked.is_answered:
                asked.take({"error": ["RuntimeError", "its process has ended"]})


@contextmanager
def nobody_writes(url: str) -> Iterator[None]:
    """On SQLite no process is in the midst of a write during the block: whoever is stopped there
    stops all others until it goes on (so says the documentation). Elsewhere it may be anywhere.
    """
    if not url.startswith("sqlite"):
        yield
        return
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


class Nursery:
    """Keeps processes between tests: to start one costs a second of a slow machine."""

    def __init__(self) -> None:
        self._idle: list[Helper] = []

    def take(self) -> Helper:
        """One that has no manager open."""
        return self._idle.pop() if self._idle else Helper()

    def give_back(self, helper: Helper) -> None:
        """The test is over; whatever it left the process in."""
        if not helper.lives:
            helper.kill()
            return
        helper.thaw()
        try:
            helper.do("close")
        except BaseException:
            helper.kill()
            raise
        self._idle.append(helper)

    def close(self) -> None:
        """End them all."""
        for helper in self._idle:
            helper.leave()
