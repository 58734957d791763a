"""The line of operations: gathered, applied together, tried again, and failed one by one.

Lives in the ManagerActor and is touched by its thread alone; only :meth:`Line._transact` runs on
the transactor's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lease_actors.actors import retry
from lease_actors.actors.answers import Answers
from lease_actors.actors.failures import start_unknown, store_failed, timed_out
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime, new_start
from lease_actors.actors.transactor import Transactor
from lease_actors.actors.work import MOST, Decider, Work
from lease_actors.core.operations import Cancel, Claim
from lease_actors.observability.events import BatchBegan, BatchEnded, StoreRetried
from lease_actors.stores.base import StartUnknown, StorePassing


@dataclass(frozen=True, slots=True)
class Flush:
    """Apply what has gathered."""


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A transaction has ended: ``applied`` as the store says, or ``error``."""

    work: Work
    attempt: int
    applied: bool
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class AttemptOverdue:
    """A transaction has not ended in time."""

    work: Work
    attempt: int


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The pause before the next attempt is over."""

    work: Work


FLUSH = Flush()


class Line:
    """One batch at a time: while one is retried, nothing is applied before it."""

    def __init__(
        self,
        runtime: Runtime,
        decider: Decider,
        tell: Callable[[object], object],
        between: Callable[[], None],
    ) -> None:
        self.answers = Answers(runtime, self.post)
        self._runtime = runtime
        self._decider = decider
        self._tell = tell
        self._between = between
        """Called after each batch, when its callers have been answered."""
        self._pending: deque[Reply[Any]] = deque()
        self._current: Work | None = None
        self._flushing = False
        self._alone = 0
        """So many of the first operations go into a transaction each."""
        self._number = 0
        self._begun = True
        self._leaving = False
        self._transactor = self._new_transactor()

    @property
    def busy(self) -> bool:
        """Something is in the line or on its way."""
        return bool(self._pending or self._flushing or self._current is not None)

    # -- gathering -----------------------------------------------------------------------

    def post(self, reply: Reply[Any], first: bool = False) -> None:
        """Append an operation; ``first``: before all that wait."""
        if first:
            self._pending.appendleft(reply)
        else:
            self._pending.append(reply)
        self._flush_soon()

    def _flush_soon(self) -> None:
        # The flush goes behind everything that is in the inbox already: all that joins it.
        if self._pending and self._current is None and not self._flushing:
            self._flushing = True
            self._tell(FLUSH)

    def flush(self) -> None:
        """Begin a batch of what has gathered."""
        self._flushing = False
        if self._current is not None:
            return
        replies = self._take()
        if not replies:
            self._between()
            return
        self._number += 1
        self._current = Work(self._number, replies, self._decider)
        self._attempt(self._current)

    def _take(self) -> list[Reply[Any]]:
        most = 1 if self._alone else MOST
        self._alone = max(0, self._alone - 1)
        replies: list[Reply[Any]] = []
        while self._pending and len(replies) < most:
            reply = self._pending.popleft()
            if not reply.is_settled:  # its caller has gone: nobody wants it any more
                replies.append(reply)
        return replies

    # -- one attempt ---------------------------------------------------------------------

    def _attempt(self, work: Work) -> None:
        work.attempt += 1
        attempt, runtime = work.attempt, self._runtime
        overdue = AttemptOverdue(work, attempt)
        handle = runtime.alarm.at(
            runtime.clock.steady() + runtime.attempt_timeout, lambda: self._tell(overdue)
        )

        def job() -> None:
            applied, error = self._transact(work, attempt)
            handle.cancel()
            self._tell(AttemptEnded(work, attempt, applied, error))

        self._transactor.submit(job)

    def _transact(self, work: Work, attempt: int) -> tuple[bool, BaseException | None]:
        runtime = self._runtime
        sent = runtime.clock.steady()
        began = None
        if runtime.hooks:
            calls = [r.call for r in work.replies if r.call is not None]
            began = BatchBegan(work.number, attempt, calls)
            runtime.emit(began)
        applied, error = False, None
        try:
            if not self._begun:
                runtime.store.begin(self._decider.start)
                self._begun = True
            applied = runtime.store.apply(work.batch(sent))
        except Exception as raised:
            error = raised
        if began is not None:
            size, ended = len(work.replies), runtime.clock.steady()
            runtime.emit(BatchEnded(work.number, attempt, size, sent, ended, error, began.notes))
        return applied, error

    def ended(self, message: AttemptEnded) -> None:
        """An attempt has ended; raises what failed in the rules themselves."""
        work = message.work
        if work is not self._current or message.attempt != work.attempt:
            return  # it was left behind; the attempts after it find out what became of it
        if work.bug is not None:
            raise work.bug
        match message.error:
            case None if work.probing is not None and message.applied:
                self._apart(work, work.probing)
            case None:
                self._succeed(work)
            case StorePassing() as error:
                self._again(work, error)
            case StartUnknown() as error:
                self._begin_anew(work, error)
            case error if work.probing is None:
                # It will not pass; but was it applied? The number tells.
                work.probing, work.attempt = error, 0
                self._attempt(work)
            case error:
                self._fail(work, error)

    def overdue(self, message: AttemptOverdue) -> None:
        """The store is silent: leave that attempt behind, with its thread and its connection."""
        work = message.work
        if work is not self._current or message.attempt != work.attempt:
            return
        self._transactor.close()
        self._transactor = self._new_transactor()
        seconds = self._runtime.attempt_timeout / 1e6
        self._again(work, StorePassing(f"no answer within {seconds:g} s"))

    # -- what becomes of the batch -------------------------------------------------------

    def _succeed(self, work: Work) -> None:
        verdict = work.verdict
        if verdict is None:
            self._begin_anew(work, StartUnknown("somebody else has used this start's numbers"))
            return
        if self._decider.reached_since is None:
            self._decider.reached_since = verdict.now
        self._current = None
        self._runtime.figures.last_batch = len(verdict.replies)
        self.answers.give(verdict, self._decider.start)
        self._next()

    def _again(self, work: Work, error: StorePassing) -> None:
        self._decider.reached_since = None
        if work.attempt > retry.MOST:
            self._give_up(work, error)
            return
        runtime, attempt = self._runtime, work.attempt
        pause = retry.delay(attempt, runtime.rng)
        runtime.figures.retries += 1
        runtime.emit(StoreRetried(work.number, attempt, pause, error))
        instant = runtime.clock.steady() + round(pause * 1e6)
        runtime.alarm.at(instant, lambda: self._tell(TryAgain(work)))

    def try_again(self, work: Work) -> None:
        """The pause is over."""
        if work is self._current:
            self._attempt(work)

    def _give_up(self, work: Work, error: BaseException) -> None:
        """The callers may infer nothing. What the batch may have left is undone later."""
        self._current = None
        if work.verdict is not None:
            self.answers.give_back(work.verdict)
        for reply in work.replies:
            op = reply.operation
            if reply.blocked:  # it was asked again, and keeps its place
                self.answers.look_again(reply)
            elif reply.call is not None:
                reply.fail(timed_out(reply, error))
                if isinstance(op, Claim) and op.claim is not None:
                    self.post(Reply(Cancel(op.key, op.claim)))
            elif not self._leaving:  # an errand of our own
                self.post(reply)
        self._next()

    def _begin_anew(self, work: Work, error: StartUnknown) -> None:
        """Nobody can say what was applied: no caller may infer anything."""
        self._current = None
        self._decider.start = new_start()
        self._decider.reached_since = None
        self._begun = False
        for reply in [*work.replies, *self.answers.watches.all()]:
            reply.fail(start_unknown(reply, error))
            self.answers.forget(reply)
        self._next()

    def _apart(self, work: Work, error: BaseException) -> None:
        """It was not applied, and never will be: each operation in a transaction of its own."""
        if len(work.replies) == 1:
            self._fail(work, error)
            return
        self._current = None
        self._alone += len(work.replies)
        self._pending.extendleft(reversed(work.replies))
        self._next()

    def _fail(self, work: Work, error: BaseException) -> None:
        self._current = None
        self._runtime.log.error("the store failed: %s", error, extra={"action": "store_failed"})
        for reply in work.replies:
            reply.fail(store_failed(reply, error))
            self.answers.forget(reply)
        self._next()

    def _next(self) -> None:
        self._flush_soon()
        self._between()

    # -- the transactor ------------------------------------------------------------------

    def chore(self, job: Callable[[], None]) -> None:
        """Something for the store between two batches; not while one is on its way."""
        if self._current is None:
            self._transactor.submit(job)

    def leave(self) -> None:
        """The manager stops: what fails now is not tried for ever."""
        self._leaving = True

    def close(self, timeout: float = 0.0) -> None:
        """Nothing is applied any more."""
        self._transactor.close()

    def _new_transactor(self) -> Transactor:
        return Transactor(f"lease transactor {self._runtime.label}")
