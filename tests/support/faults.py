"""A store that fails as the script says: raises, hangs, loses the reply of a commit.

A fault is a function that is given the real store's ``apply`` and the batch, and does with
them what it wants; the script has one for each transaction to come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from lease_actors.stores import Batch, MemoryStore, StartUnknown, StorePassing

Apply: TypeAlias = Callable[[Batch], bool]
Fault: TypeAlias = Callable[[Apply, Batch], bool]

PATIENCE = 20.0
"""Real seconds after which a test gives up on a signal."""


class FaultyStore:
    """Stands before another store; what the script does not mention passes through."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner or MemoryStore()
        self.batches: list[int] = []
        """The number of the batch of every attempt that has begun."""
        self.on_read: Callable[[], object] = lambda: None
        self.on_close: Callable[[], object] = lambda: None
        self._script: deque[Fault] = deque()
        self._always: Fault | None = None
        self._changed = threading.Condition()

    # -- the script ----------------------------------------------------------------------

    def then(self, *faults: Fault) -> None:
        """The next transactions go like this."""
        with self._changed:
            self._script.extend(faults)

    def always(self, fault: Fault | None) -> None:
        """Every transaction that the script does not mention goes like this."""
        with self._changed:
            self._always = fault

    @property
    def attempts(self) -> int:
        """How many transactions have begun."""
        return len(self.batches)

    def wait_for_attempts(self, count: int, timeout: float = PATIENCE) -> bool:
        """Wait until so many have begun."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.batches) >= count, timeout)

    # -- the store -----------------------------------------------------------------------

    def open(self, clock: Any) -> None:
        self.inner.open(clock)

    def begin(self, start: str) -> None:
        self.inner.begin(start)

    def apply(self, batch: Batch) -> bool:
        with self._changed:
            self.batches.append(batch.number)
            fault = self._script.popleft() if self._script else self._always
            self._changed.notify_all()
        return self.inner.apply(batch) if fault is None else fault(self.inner.apply, batch)

    def now(self) -> int:
        return self.inner.now()

    def get(self, key: Any) -> Any:
        self.on_read()
        return self.inner.get(key)

    def leases(self, namespace: str, model_uuid: str) -> Any:
        self.on_read()
        return self.inner.leases(namespace, model_uuid)

    def waiting(self, key: Any) -> Any:
        self.on_read()
        return self.inner.waiting(key)

    def peek(self, start: str, keys: Any) -> Any:
        self.on_read()
        return self.inner.peek(start, keys)

    def offered(self, start: str) -> bool:
        self.on_read()
        return bool(self.inner.offered(start))

    def version(self) -> Any:
        return self.inner.version()

    def listen(self, start: str, heard: Any) -> Any:
        return self.inner.listen(start, heard)

    def history(self, query: Any) -> Any:
        self.on_read()
        return self.inner.history(query)

    def set_history(self, retention: int | None) -> None:
        self.inner.set_history(retention)

    def history_setting(self) -> Any:
        return self.inner.history_setting()

    def prune(self, idle_for: int, limit: int = 1000) -> int:
        return self.inner.prune(idle_for, limit)

    def close(self) -> None:
        self.on_close()
        self.inner.close()


# -- faults ------------------------------------------------------------------------------


def healthy(apply: Apply, batch: Batch) -> bool:
    """None at all."""
    return apply(batch)


def passing(apply: Apply, batch: Batch) -> bool:
    """It fails, and may not the next time."""
    raise StorePassing("the database is locked")


def reply_lost(apply: Apply, batch: Batch) -> bool:
    """It is committed, but nobody hears of it."""
    apply(batch)
    raise StorePassing("the connection was lost")


def start_lost(apply: Apply, batch: Batch) -> bool:
    """The row of this start is not there."""
    raise StartUnknown("no row of this start")


def raises(error: BaseException) -> Fault:
    """It fails with that error, and nothing is done."""

    def fault(apply: Apply, batch: Batch) -> bool:
        raise error

    return fault


def committed_then(error: BaseException) -> Fault:
    """It is committed, and then that error comes."""

    def fault(apply: Apply, batch: Batch) -> bool:
        apply(batch)
        raise error

    return fault


def poison(lease: str, error: BaseException) -> Fault:
    """In the middle of the batch, when that lease is written, the error comes."""

    def fault(apply: Apply, batch: Batch) -> bool:
        def decide(states: Any, now: int) -> Any:
            changes = batch.decide(states, now)
            if any(state.key.lease == lease for state in changes.states):
                raise error
            return changes

        return apply(replace(batch, decide=decide))

    return fault


def locked_elsewhere(*leases: str) -> Fault:
    """The rows of these leases are kept locked by somebody else: nothing is decided for them."""

    def fault(apply: Apply, batch: Batch) -> bool:
        def decide(states: Any, now: int) -> Any:
            free = {key: s for key, s in states.items() if key.lease not in leases}
            return batch.decide(free, now)

        return apply(replace(batch, decide=decide))

    return fault


def guarded(apply: Apply, batch: Batch) -> bool:
    """A transaction of a user's guards every tenure."""

    def decide(states: Any, now: int) -> Any:
        held = {key: s._replace(guarded=s.tenure is not None) for key, s in states.items()}
        return batch.decide(held, now)

    return apply(replace(batch, decide=decide))


class Hang:
    """It does not answer until it is released; then it goes on as ``fault`` says."""

    def __init__(self, fault: Fault = healthy) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        self._released = threading.Event()
        self._fault = fault

    def __call__(self, apply: Apply, batch: Batch) -> bool:
        self.began.set()
        self._released.wait(PATIENCE)
        try:
            return self._fault(apply, batch)
        finally:
            self.ended.set()

    def release(self) -> None:
        self._released.set()

    def __enter__(self) -> Hang:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class HangAfterDeciding(Hang):
    """It decides, holding its locks, and then does not answer; released, it commits.

    What a server that is stopped in the middle of a commit looks like.
    """

    def __call__(self, apply: Apply, batch: Batch) -> bool:
        def decide(states: Any, now: int) -> Any:
            changes = batch.decide(states, now)
            self.began.set()
            self._released.wait(PATIENCE)
            return changes

        try:
            return self._fault(apply, replace(batch, decide=decide))
        finally:
            self.ended.set()


class HangAfterCommit(Hang):
    """It commits, and then does not answer; released, it says so."""

    def __call__(self, apply: Apply, batch: Batch) -> bool:
        applied = apply(batch)
        self.began.set()
        self._released.wait(PATIENCE)
        self.ended.set()
        return applied


class HangAfterReading(Hang):
    """What it has read is long on the way, and meanwhile the server ends the transaction: released,
    it decides on that, and cannot commit."""

    def __call__(self, apply: Apply, batch: Batch) -> bool:
        read: list[Any] = []

        def decide(states: Any, now: int) -> Any:
            read.extend((states, now))
            raise _Ended

        try:
            apply(replace(batch, decide=decide))
        except _Ended:
            self.began.set()
        self._released.wait(PATIENCE)
        try:
            batch.decide(*read)
        finally:
            self.ended.set()
        raise StorePassing("the transaction had been ended")


class _Ended(Exception):
    """The server has ended the transaction."""
