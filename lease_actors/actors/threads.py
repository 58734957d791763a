"""The threads that everybody's leases are served on."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["ServiceThread", "serves"]


class ServiceThread(threading.Thread):
    """A daemon thread that must not wait for an answer: it would wait for itself, or for another
    that waits for it."""

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)


def serves() -> bool:
    """Is this such a thread? Python may run anything on it: what the garbage collector finds is
    closed on whichever thread makes an object just then, the block of a ``hold()`` in a forgotten
    generator, too."""
    return isinstance(threading.current_thread(), ServiceThread)
