"""What only Linux gives: to keep what left its group, and to die with one's parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["adopt_orphans", "descendants", "die_with_parent"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl: Callable[..., int] | None = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl


def adopt_orphans() -> bool:
    """Descendants whose parent has died become children of this process. Whether that works."""
    prctl = _prctl()
    return prctl is not None and prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def die_with_parent() -> Callable[[], None]:
    """To be called in a child before its program starts: it is killed when its parent dies."""
    prctl, parent = _prctl(), os.getpid()

    def ask() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it died before it was asked for
                os._exit(signal.SIGKILL)

    return ask


def descendants(of: int) -> list[int]:
    """The processes below that one, as ``/proc`` has them at this moment."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (parent := _parent(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    front = [of]
    while front:
        below = children.pop(front.pop(), [])
        found += below
        front += below
    return found


def _parent(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The program's name is in parentheses, and may have any character in it.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None  # it has ended meanwhile
