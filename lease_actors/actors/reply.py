"""A reply settles once: whoever comes first decides, and everybody else is told so.

The manager answers, a deadline passes, the caller cancels, the manager stops: these race, in
different threads, and exactly one wins. Nothing is handed to a caller who has left.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pykka

from lease_actors.clock import Signal
from lease_actors.core.model import Key
from lease_actors.core.operations import Operation
from lease_actors.durations import Duration, as_timedelta, as_timeout
from lease_actors.errors import LeaseError, LeaseTimeout, ManagerStopped, WaitTimeout
from lease_actors.observability.events import Call
from lease_actors.observability.logging import ManagerLog

if TYPE_CHECKING:
    from pykka._types import OptExcInfo

    from lease_actors.actors.alarm import Handle

T = TypeVar("T")


class Reply(pykka.Future[T], Generic[T]):
    """A Pykka future on one plain lock, with a deadline of its own.

    ``wait``: how long the caller is willing to be blocked (microseconds, None: for ever);
    ``patience``: how long beyond that an answer may take.
    """

    takes_offers = False
    """Its caller need not wait until an offer is confirmed, and sees to that itself."""
    guarded = False
    """It is as good as done, and waits for the end of a transaction that guards the tenure."""
    is_call = False
    """A user has asked; it is no errand of the manager's own."""
    call: Call | None = None
    """What the hooks are told of it, if they want to be."""

    def __init__(
        self,
        operation: Operation | None = None,
        *,
        began: int = 0,
        wait: int | None = 0,
        patience: int = 0,
        settled: Callable[[Reply[Any], BaseException | None], None] | None = None,
        withdrawn: Callable[[Reply[Any]], None] | None = None,
    ) -> None:
        super().__init__()
        self.signal = Signal()
        self.operation = operation
        self.began = began
        self.deadline: Handle | None = None
        """The alarm that ends it in time, if no thread waits for it."""
        self.blocked = False
        """It is queued, or its wait is registered: only its own wait limits it now."""
        self._wait = wait
        self._patience = patience
        self._overdue = False
        self._on_settled = settled
        self._on_withdrawn = withdrawn
        self._pid = os.getpid()

    # -- settling ------------------------------------------------------------------------

    @property
    def is_settled(self) -> bool:
        return "_outcome" in self.__dict__

    @property
    def value(self) -> T | None:
        """What it was answered, if it was."""
        return self.__dict__["_outcome"][0] if self.is_settled else None

    @property
    def error(self) -> BaseException | None:
        """The error that it was answered, if it was one."""
        return self.__dict__["_outcome"][1] if self.is_settled else None

    def settle(self, value: T) -> bool:
        """Answer; False if it was settled before: then nobody has got this value."""
        return self._settle((value, None))

    def fail(self, error: BaseException) -> bool:
        """Answer with an error; False if it was settled before."""
        return self._settle((None, error))

    def withdraw(self, error: LeaseError) -> bool:
        """The caller leaves: answer with the error and tell the manager. False: too late."""
        if not self.fail(error):
            return False
        if self._on_withdrawn is not None and self._pid == os.getpid():
            self._on_withdrawn(self)
        return True

    def block(self) -> None:
        """It is queued or registered from now on. A wait that is over by now ends it."""
        # blocked before overdue is read, in lapse() the other way round: of two threads that
        # come here and there at once, one at least sees what the other has written.
        self.blocked = True
        if self._overdue:
            self.withdraw(self._wait_timeout())

    def lapse(self, now: int) -> int | None:
        """Do what the deadlines ask for at ``now``; when must somebody look again?"""
        if self.is_settled:
            return None
        over = None if self._wait is None else self.began + self._wait
        hopeless = self.began + (self._wait or 0) + self._patience
        if over is not None and now >= over:
            self._overdue = True
        if self.blocked:
            if over is None or now < over:
                return over
            self.withdraw(self._wait_timeout())
            return None
        if now >= hopeless:
            self.withdraw(self._lease_timeout())
            return None
        return hopeless if over is None or now >= over else over

    def _settle(self, outcome: tuple[T | None, BaseException | None]) -> bool:
        # dict.setdefault is one step: of two threads that race here exactly one finds its own
        # outcome in place. A lock would cost an allocation for each call.
        if self.__dict__.setdefault("_outcome", outcome) is not outcome:
            return False
        # In a forked child nobody else is told: locks on the way may have been held at the fork.
        try:
            if self._on_settled is not None and self._pid == os.getpid():
                self._on_settled(self, outcome[1])
        finally:  # not even a Ctrl-C just here may leave somebody waiting
            self.signal.set()
        return True

    # -- the future ----------------------------------------------------------------------

    def get(self, *, timeout: Duration | None = None) -> T:
        """The answer, or raise the error that it is; ``pykka.Timeout`` after ``timeout``."""
        limit = None if timeout is None else self._limit(timeout)
        if self._get_hook is not None:
            return super().get(timeout=limit)
        if self._pid != os.getpid():
            raise ManagerStopped(
                f"cannot {self.what}: the manager belongs to the parent of this forked process",
                key=self.key,
            )
        if not self.is_settled and not self.signal.wait(limit):
            raise pykka.Timeout(f"{limit:g} seconds")
        value, error = self.__dict__["_outcome"]
        if error is not None:
            raise error
        return self.present(value)

    def _limit(self, timeout: Duration) -> float | None:
        given = as_timedelta(timeout)
        if given is not None and given < timedelta(0):
            return 0.0  # over, as Pykka has it
        return as_timeout(timeout, f"wait for an answer ({self.what})", self.key)

    def present(self, value: Any) -> T:
        """The answer as its caller sees it."""
        result: T = value
        return result

    def set(self, value: T | None = None) -> None:
        if not self._settle((value, None)):
            raise queue.Full

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        error = (exc_info or sys.exc_info())[1]
        if not self._settle((None, error or RuntimeError("an exception without a value"))):
            raise queue.Full

    # -- its deadlines, in words ---------------------------------------------------------

    def _wait_timeout(self) -> LeaseError:
        return WaitTimeout(f"cannot {self.what}: the wait was over first", key=self.key)

    def _lease_timeout(self) -> LeaseError:
        why = "no answer in time; it may or may not have been done (is the store reachable?)"
        if self.guarded:
            why = (
                "a transaction guards the lease, which ends with that transaction"
                " (revoke it again to wait for that)"
            )
        return LeaseTimeout(f"cannot {self.what}: {why}", key=self.key)

    @property
    def key(self) -> Key | None:
        """The lease it is about, if it is about one."""
        op = self.operation
        return None if op is None or _is_of_many(op) else op.key

    @property
    def what(self) -> str:
        """What was asked, in words."""
        return "answer" if self.operation is None else describe(self.operation)


class EndOfTenure(Reply[None]):
    """A wait for the end of a tenure: says when it is registered."""

    def __init__(
        self, *args: Any, started: threading.Event | None, log: ManagerLog, **fields: Any
    ) -> None:
        super().__init__(*args, **fields)
        self._started, self._log = started, log

    def block(self) -> None:
        self._start()
        super().block()

    def settle(self, value: None) -> bool:
        self._start()
        return super().settle(value)

    def _start(self) -> None:
        if self._started is None:
            return
        try:
            self._started.set()
        except BaseException as error:  # the caller's, on the manager's thread: no fault of that
            self._log.error(
                "started.set() of a wait failed: %r",
                error,
                exc_info=error,
                extra={"action": "callback_failed"},
            )


def describe(operation: Operation) -> str:
    """The operation in words, for messages: what, on which lease, for whom."""
    lease = repr(operation.key.lease)
    if _is_of_many(operation):
        return f"read the leases of namespace {operation.key.namespace!r}"
    who = getattr(operation, "holder", None)
    if operation.kind == "wait":
        return f"wait for lease {lease} expiry"
    if who is None:
        who = getattr(operation, "entity", None)
        return f"{operation.kind} lease {lease}" + ("" if who is None else f" for entity {who!r}")
    return f"{operation.kind} lease {lease} for holder {who!r}"


def _is_of_many(operation: Operation) -> bool:
    return operation.kind == "read" and not operation.key.lease
