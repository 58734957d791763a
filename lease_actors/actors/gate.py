"""The only door to the inboxes of a manager, and the list of those who have come in.

Pykka looks whether an actor lives and then puts: a stop in between loses the message, and its
future never resolves. Here whoever comes in is written down under the same lock that closes the
gate, so at the end everybody who has not been answered is known, and is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pykka

from lease_actors.actors.base import tell
from lease_actors.actors.failures import stopped
from lease_actors.actors.reply import Reply


class Gate:
    """Lets calls in until it is closed; then tells when the last of them has been answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: set[Reply[Any]] = set()
        self._closed = False
        self._on_empty: Callable[[], object] | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    def enter(self, inbox: pykka.ActorRef[Any] | None, reply: Reply[Any]) -> None:
        """Write the reply down and put it into the inbox (if it goes there), or fail it with
        ``ManagerStopped``."""
        with self._lock:
            if not self._closed:
                self._inside.add(reply)
                if inbox is None or tell(inbox, reply):
                    return
        reply.fail(stopped(reply))

    def leave(self, reply: Reply[Any]) -> None:
        """It is settled. (One step on a set: no lock needed, and none taken in a hot place.)"""
        self._inside.discard(reply)
        on_empty = self._on_empty  # read once: the end may take it away meanwhile
        if self._closed and not self._inside and on_empty is not None:
            on_empty()

    def shut(self) -> None:
        """Let nobody in any more. Takes no lock: a signal handler may say so, in the midst of
        somebody's coming in."""
        self._closed = True

    def close(self, on_empty: Callable[[], object]) -> None:
        """Let nobody in any more; ``on_empty`` is called when (or if already) all have left."""
        with self._lock:
            self._closed = True
            self._on_empty = on_empty
            empty = not self._inside
        if empty:
            on_empty()

    def inside(self) -> list[Reply[Any]]:
        """Who has come in and has not been answered."""
        return list(self._inside)

    def clear(self) -> None:
        """The end: nobody comes in any more, and everybody inside is told."""
        with self._lock:
            self._closed = True
            self._on_empty = None
        for reply in self.inside():
            reply.fail(stopped(reply))
