"""The line of operations: gathered, applied together, tried again, and failed one by one.

Lives in the ManagerActor and is touched by its thread alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lease_actors.actors import retry
from lease_actors.actors.answers import Answers
from lease_actors.actors.attempts import AttemptEnded, AttemptOverdue, Attempts
from lease_actors.actors.failures import start_unknown, store_failed, timed_out
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.actors.work import MOST, Decider, Work
from lease_actors.core.model import ClaimId
from lease_actors.core.operations import Cancel, Claim
from lease_actors.observability.events import StoreRetried
from lease_actors.stores.base import StartUnknown, StorePassing


@dataclass(frozen=True, slots=True)
class Flush:
    """Apply what has gathered."""


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
        self._known = True
        """A batch was applied under the present start, or it was begun with the manager."""
        self._leaving = False
        self._attempts = Attempts(runtime, decider, tell)

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
        self._attempts.make(self._current)

    def _take(self) -> list[Reply[Any]]:
        most = 1 if self._alone else MOST
        self._alone = max(0, self._alone - 1)
        replies: list[Reply[Any]] = []
        while self._pending and len(replies) < most:
            reply = self._pending.popleft()
            if not reply.is_settled:  # its caller has gone: nobody wants it any more
                self._name(reply)
                replies.append(reply)
        return replies

    def _name(self, reply: Reply[Any]) -> None:
        """A claim that was named under a start since given up is named anew."""
        op, start = reply.operation, self._decider.start
        if isinstance(op, Claim) and op.claim is not None and op.claim.start != start:
            reply.operation = replace(op, claim=ClaimId(start, op.claim.number))

    # -- what became of an attempt -------------------------------------------------------

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
            case StartUnknown() if work.attempt == 1 and self._can_begin_anew():
                # Forgotten while nothing was asked for a week; nothing can have been applied.
                self._current = None
                self._pending.extendleft(reversed(work.replies))
                self._draw_start()
                self._flush_soon()
            case StartUnknown() as error:
                self._begin_anew(work, error)
            case error if work.probing is None:
                # It will not pass; but was it applied? The number tells.
                work.probing, work.attempt = error, 0
                self._attempts.make(work)
            case error:
                self._fail(work, error)

    def overdue(self, message: AttemptOverdue) -> None:
        """The store is silent: leave that attempt behind, with its thread and its connection."""
        work = message.work
        if work is not self._current or message.attempt != work.attempt:
            return
        self._attempts.leave_behind()
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
        self._known = True
        self._current = None
        self._runtime.figures.batches += 1
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
        runtime.figures.pausing = True
        runtime.alarm.at(instant, lambda: self._pause_over(work))

    def _pause_over(self, work: Work) -> None:
        """On the alarm's thread."""
        self._runtime.figures.pausing = False
        self._tell(TryAgain(work))

    def try_again(self, work: Work) -> None:
        """The pause is over."""
        if work is self._current:
            self._attempts.make(work)

    def _give_up(self, work: Work, error: BaseException) -> None:
        """The callers may infer nothing. What the batch may have left is undone later."""
        self._current = None
        if work.verdict is not None:
            self.answers.give_back(work.verdict)
        errands: list[Reply[Any]] = []
        for reply in work.replies:
            op = reply.operation
            if reply.blocked:  # it was asked again, and keeps its place
                self.answers.look_again(reply)
            elif reply.call is not None:
                reply.fail(timed_out(reply, error))
                if isinstance(op, Claim) and op.claim is not None:
                    self.post(Reply(Cancel(op.key, op.claim)))
            elif self._leaving:
                reply.fail(timed_out(reply, error))
            else:
                errands.append(reply)
        # Errands of our own, again, and still before all that came after them: a release that
        # fell behind a later claim of the same holder would end what that claim was answered.
        self._pending.extendleft(reversed(errands))
        self._next()

    def _begin_anew(self, work: Work, error: StartUnknown) -> None:
        """Nobody can say what was applied: no caller may infer anything."""
        self._current = None
        self._draw_start()
        for reply in [*work.replies, *self.answers.watches.all()]:
            reply.fail(start_unknown(reply, error))
            self.answers.forget(reply)
        self._next()

    def _can_begin_anew(self) -> bool:
        """Nobody waits under the old start; and it is not one that was just drawn."""
        return self._known and not self.answers.watches.any()

    def _draw_start(self) -> None:
        self._known = False
        self._decider.reached_since = None
        self._attempts.begin_anew()

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

    def unreached(self) -> None:
        """The store could not be reached by somebody else: nobody's silence is judged by that."""
        self._decider.reached_since = None

    # -- besides ---------------------------------------------------------------------------

    def chore(self, job: Callable[[], None]) -> None:
        """Something for the store between two batches; not while one is on its way."""
        if self._current is None:
            self._attempts.chore(job)

    def leave(self) -> None:
        """The manager stops: what fails now is not tried for ever."""
        self._leaving = True

    def close(self) -> None:
        """Nothing is applied any more, and the store is closed."""
        self._attempts.close()

    def join(self, timeout: float) -> None:
        """Wait until that is done."""
        self._attempts.join(timeout)
