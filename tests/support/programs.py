"""Programs that run as processes of their own, and what they print, line by line."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE = 60.0
"""Real seconds after which a test gives up on a program: a start takes long on a busy machine."""


class Program:
    """A process; its lines, of stdout and stderr, can be waited for. Killed when the block ends."""

    def __init__(
        self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def python(cls, script: str, *arguments: str | Path, cwd: Path | None = None) -> Program:
        """A Python program, given as its text."""
        return cls(sys.executable, "-c", script, *arguments, cwd=cwd)

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self, beginning: str) -> str:
        """Wait for the next line that begins so; the rest of it."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no line {beginning!r}, but {self.said}") from None
            if line is None:
                raise AssertionError(f"it ended without a line {beginning!r}, but {self.said}")
            if line.startswith(beginning):
                return line[len(beginning) :].strip()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it that signal."""
        self.process.send_signal(number)

    def status(self) -> int:
        """Wait for its end; its exit status, or minus the signal that it died of."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended, and said {self.said}") from None
        self._reader.join(PATIENCE)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            self._lines.put(line)
        self._lines.put(None)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


def outputs(programs: Sequence[Program]) -> list[list[str]]:
    """Wait until all have ended well; what each said."""
    statuses = [program.status() for program in programs]
    assert set(statuses) == {0}, [p.said for p in programs]
    return [program.said for program in programs]
