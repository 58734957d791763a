"""A moment in which nobody uses a connection: the only one in which a fork does no harm to SQLite.

SQLite keeps the locks of its process in memory, beside those that the system keeps. A child that
is forked in the midst of a transaction inherits them as held, by a thread that is not there, and
whoever opens that file in the child finds it locked for ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from types import TracebackType

__all__ = ["Stillness"]

_PATIENCE = 1.0
"""So many seconds a fork waits for transactions that are under way."""


class Stillness:
    """Counts who uses a connection, as a context manager; a fork waits until nobody does."""

    def __init__(self) -> None:
        self._make_lock()
        self.reached = False
        """In a forked child: nobody used a connection when it was forked."""
        _at_fork(self)

    def _make_lock(self) -> None:
        # It knows its owner, so that ``end`` gives back only what ``begin`` has got.
        self._lock = threading.RLock()
        self._still = threading.Condition(self._lock)
        self._users = 0
        self._awaited = False

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            if self._awaited and not self._users:
                self._still.notify_all()

    def begin(self) -> None:
        """Let nobody begin, and wait a moment for those who have begun to end.

        A signal handler may raise anywhere in here (Ctrl-C). Python forks all the same: so
        ``end`` or ``restart`` follows, however far this has come.
        """
        self._lock.acquire()  # and kept, until ``end``
        self._awaited = True
        self._still.wait_for(lambda: not self._users, _PATIENCE)

    def end(self) -> None:
        """The fork has been, and this is the parent: let everybody go on."""
        self._awaited = False
        with contextlib.suppress(RuntimeError):  # ``begin`` was interrupted before it had the lock
            self._lock.release()

    def restart(self) -> None:
        """This is the child: whoever used a connection is not here."""
        self.reached = not self._users
        self._make_lock()


def _at_fork(stillness: Stillness) -> None:
    """Hooks cannot be taken back: so they must not keep it alive, but from one to the next."""
    reference = weakref.ref(stillness)
    kept: list[Stillness] = []

    def before() -> None:
        alive = reference()
        if alive is not None:
            kept.append(alive)  # first: what ``begin`` raises keeps nobody from forking
            alive.begin()

    def in_parent() -> None:
        if kept:
            kept.pop().end()

    def in_child() -> None:
        if kept:
            kept.pop().restart()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
