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
_NAMED = {
    b"": "escape",
    **dict.fromkeys((b"[A", b"OA"), "up"),
    **dict.fromkeys((b"[B", b"OB"), "down"),
    b"[5~": "page up",
    b"[6~": "page down",
}
"""What follows the escape character, as terminals send it."""


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
        """The next key, or None after ``timeout`` seconds: its character, or one of ``"escape"``,
        ``"up"``, ``"down"``, ``"page up"``, ``"page down"``; ``"q"`` at the end of the input."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return None
        data = os.read(self._fd, 1)
        if not data:
            return "q"
        if data == b"\x1b":
            return _NAMED.get(self._sequence())
        for _ in range(3):  # the rest of one character in UTF-8
            try:
                return data.decode()
            except UnicodeDecodeError:
                data += os.read(self._fd, 1)
        return None

    def _sequence(self) -> bytes:
        """What follows an escape character: one key, even if the next is there already."""
        data = b""
        while select.select([self._fd], [], [], _DRAIN)[0] and (byte := os.read(self._fd, 1)):
            data += byte
            if data[:1] not in (b"[", b"O") or (len(data) > 1 and b"@" <= byte <= b"~"):
                break
        return data
