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
from typing import IO

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
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Not one pipe for both: unbuffered, a print is several writes, and what is logged by
        # another thread could come in the midst of its line.
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._streams = (self.process.stdout, self.process.stderr)
        self._open = len(self._streams)
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in self._streams
        ]
        for reader in self._readers:
            reader.start()

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
                self._open -= 1
                if not self._open:
                    raise AssertionError(f"it ended without a line {beginning!r}, but {self.said}")
            elif line.startswith(beginning):
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
        self._read_all()
        return status

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.said.append(line.rstrip("\n"))
            self._lines.put(line)
        self._lines.put(None)

    def _read_all(self) -> None:
        for reader in self._readers:
            reader.join(PATIENCE)

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
        self._read_all()
        for stream in self._streams:
            stream.close()


def outputs(programs: Sequence[Program]) -> list[list[str]]:
    """Wait until all have ended well; what each said."""
    statuses = [program.status() for program in programs]
    assert set(statuses) == {0}, [p.said for p in programs]
    return [program.said for program in programs]
