"""Attempts at a batch: each on the transactor's thread, each with a time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lease_actors.actors.runtime import Runtime, new_start
from lease_actors.actors.transactor import Transactor
from lease_actors.actors.watchdog import Watchdog
from lease_actors.actors.work import Decider, Work
from lease_actors.observability.events import BatchBegan, BatchEnded

_PATIENCE = 2.0
"""Seconds for which the closing of the store waits for others who use it."""


class AttemptEnded(NamedTuple):
    """A transaction has ended: ``applied`` as the store says, or ``error``."""

    work: Work
    attempt: int
    applied: bool
    error: BaseException | None


class AttemptOverdue(NamedTuple):
    """A transaction has not ended in time."""

    work: Work
    attempt: int


class Attempts:
    """Sends batches to the store; what became of them is told as a message."""

    def __init__(
        self, runtime: Runtime, decider: Decider, tell: Callable[[object], object]
    ) -> None:
        self._runtime = runtime
        self._decider = decider
        self._tell = tell
        self._begun = True
        self._watchdog = Watchdog(runtime.clock, runtime.alarm, runtime.attempt_timeout)
        self._transactor = self._new_transactor()

    def make(self, work: Work) -> None:
        """Make the next attempt. ``AttemptEnded`` follows, or ``AttemptOverdue``, or both."""
        attempt = work.begin_attempt()
        watched = self._watchdog.begin(lambda: self._tell(AttemptOverdue(work, attempt)))

        def job() -> None:
            applied, error = self._transact(work, attempt)
            watched.over = True
            self._tell(AttemptEnded(work, attempt, applied, error))

        self._transactor.submit(job)

    def leave_behind(self) -> None:
        """The store is silent: go on without that thread and its connection."""
        self._transactor.close()
        self._transactor = self._new_transactor()

    def begin_anew(self) -> None:
        """Draw a new start; it is recorded before the next batch."""
        self._decider.start = new_start()
        self._begun = False

    def chore(self, job: Callable[[], None]) -> None:
        """Something else for the store."""
        self._transactor.submit(job)

    def close(self) -> None:
        """No more attempts; the store is closed behind the last of them, on its thread."""
        self._transactor.submit(self._close_store)
        self._transactor.close()

    def join(self, timeout: float) -> None:
        """Wait until that is done."""
        self._transactor.join(timeout)

    def _close_store(self) -> None:
        for join in self._runtime.users_of_store:
            join(_PATIENCE)
        try:
            self._runtime.store.close()
        except Exception as error:
            self._runtime.log.warning(
                "closing the store failed: %s", error, extra={"action": "close_store"}
            )

    def _transact(self, work: Work, attempt: int) -> tuple[bool, BaseException | None]:
        """One attempt, on the transactor's thread."""
        runtime = self._runtime
        sent = runtime.clock.steady()
        began = None
        if runtime.hooks.wants(BatchEnded):
            calls = [r.call for r in work.replies if r.call is not None]
            began = BatchBegan(work.number, attempt, calls)
            runtime.emit(began)
        applied, error = False, None
        try:
            if not self._begun:
                runtime.store.begin(self._decider.start)
                self._begun = True
            applied = runtime.store.apply(work.batch(attempt, sent))
        except BaseException as raised:  # on this thread SystemExit is a failure like any other
            error = raised
        if began is not None:
            size, ended = len(work.replies), runtime.clock.steady()
            runtime.emit(BatchEnded(work.number, attempt, size, sent, ended, error, began.notes))
        return applied, error

    def _new_transactor(self) -> Transactor:
        return Transactor(f"lease transactor {self._runtime.label}")
