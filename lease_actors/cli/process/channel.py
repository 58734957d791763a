"""Messages between a wrapper and its helper: one JSON object a line, on a pipe."""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["Inlet", "Outlet"]


class Outlet:
    """The end that is written to. Nobody there to read: nothing happens."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, **message: Any) -> None:
        """Send it. A message below the size of a pipe's buffer is written in one piece, so a
        signal handler or another thread may send one, too, but not while a long one is sent."""
        data = json.dumps(message).encode() + b"\n" if self._fd >= 0 else b""
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except (BrokenPipeError, BlockingIOError):
            pass

    def close(self) -> None:
        """The reader sees the end of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Inlet:
    """The end that is read from."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        """The other side has closed its end, or has died."""
        self._rest = b""

    def receive(self) -> list[dict[str, Any]]:
        """What has come, once ``select`` says that something has; may be nothing whole."""
        data = os.read(self.fd, 65536)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Read no more."""
        os.close(self.fd)
