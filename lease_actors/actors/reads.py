"""Reads: snapshots that delay no claim, and a silent store that delays no reader for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from lease_actors.actors.door import Door
from lease_actors.actors.reply import Reply, describe
from lease_actors.actors.transactor import Transactor
from lease_actors.core.model import Key
from lease_actors.core.operations import Read
from lease_actors.errors import LeaseTimeout, NotValid, StoreError
from lease_actors.stores.base import Store, StorePassing

T = TypeVar("T")


class Reads:
    """Reads on a thread of their own, made with the first of them, left behind if one hangs."""

    def __init__(self, door: Door, store: Store, label: str) -> None:
        self._door = door
        self._store = store
        self._label = label
        self._lock = threading.Lock()
        self._transactor: Transactor | None = None
        self._closed = False

    def read(self, key: Key, read: Callable[[Store], T]) -> T:
        """What ``read`` returns. Raises ``NotValid`` for a name that is no text, ``StoreError``,
        ``LeaseTimeout``, ``ManagerStopped``."""
        operation = Read(key)
        _check(operation)
        reply: Reply[T] = self._door.reply(Reply, operation)
        transactor: Transactor | None = None
        try:
            self._door.admit(reply)
            if not reply.is_settled:
                transactor = self._get()
                transactor.submit(lambda: _settle(reply, read, self._store))
                self._door.wait(reply)
            return reply.get()
        except BaseException as error:
            self._door.abandon(reply, error)
            if isinstance(error, LeaseTimeout):
                self._leave_behind(transactor)
            raise

    def close(self) -> None:
        """Read nothing more."""
        with self._lock:
            self._closed = True
            if self._transactor is not None:
                self._transactor.close()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        if self._transactor is not None:
            self._transactor.join(timeout)

    def _get(self) -> Transactor:
        with self._lock:
            if self._transactor is None:
                self._transactor = Transactor(f"lease reader {self._label}")
                if self._closed:
                    self._transactor.close()
            return self._transactor

    def _leave_behind(self, transactor: Transactor | None) -> None:
        with self._lock:
            if transactor is not None and self._transactor is transactor:
                transactor.close()
                self._transactor = None


def _check(operation: Read) -> None:
    """What no secretary could let in is refused, and no more: what one has let in can be read,
    whatever is said of such names elsewhere."""
    for name in operation.key:
        try:
            if isinstance(name, str):
                name.encode()
                continue
            what = f"a name is a str, not {type(name).__name__}"
        except UnicodeEncodeError:
            what = f"{name!r} has half a character: nothing can encode it"
        raise NotValid(f"cannot {describe(operation)}: {what}", key=operation.key)


def _settle(reply: Reply[Any], read: Callable[[Store], Any], store: Store) -> None:
    if reply.is_settled:
        return  # its caller has gone
    try:
        reply.settle(read(store))
    except BaseException as raised:  # on this thread SystemExit is a failure like any other
        advice = " (try again)" if isinstance(raised, StorePassing) else ""
        error = StoreError(
            f"cannot {reply.what}: the store failed: {raised}{advice}", key=reply.key
        )
        error.__cause__ = raised
        reply.fail(error)
