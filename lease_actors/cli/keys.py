"""Single keys from a terminal, without waiting for Enter."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Keys"]

_DRAIN = 0.02
"""An escape sequence arrives in one piece; a lone Escape has nothing behind it for so long."""


class Keys:
    """Reads keys while its block runs; the terminal is as it was before, however it is left."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    @contextmanager
    def reading(cls) -> Iterator[Keys]:
        """From standard input, which must be a terminal."""
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        try:
            tty.setcbreak(fd)
            yield cls(fd)
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)

    def next(self, timeout: float) -> str | None:
        """The next key, or None after ``timeout`` seconds. ``"escape"`` for Escape and for keys
        that have no character; ``"q"`` at the end of the input."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return None
        data = os.read(self._fd, 1)
        if not data:
            return "q"
        if data == b"\x1b":
            while select.select([self._fd], [], [], _DRAIN)[0] and os.read(self._fd, 1):
                pass
            return "escape"
        for _ in range(3):  # the rest of one character in UTF-8
            try:
                return data.decode()
            except UnicodeDecodeError:
                data += os.read(self._fd, 1)
        return None
