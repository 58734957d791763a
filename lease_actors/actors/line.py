"""The line of operations: gathered, applied together, tried again, and failed one by one.

Lives in the ManagerActor and is touched by its thread alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lease_actors.actors import retry
from lease_actors.actors.answers import Answers
from lease_actors.actors.aside import Aside, PutBack, locked
from lease_actors.actors.attempts import AttemptEnded, AttemptOverdue, Attempts
from lease_actors.actors.failures import start_unknown, store_failed, timed_out
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.actors.undone import Undone, must_be_done
from lease_actors.actors.work import MOST, Decider, Work
from lease_actors.clock import give_way
from lease_actors.core.model import ClaimId
from lease_actors.core.operations import Cancel, Claim, Release
from lease_actors.observability.events import StoreRetried
from lease_actors.stores.base import StartUnknown, StorePassing

_TURNS = 3
"""So often others may have the interpreter after a batch of several: twice is nearly always enough."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The pause before the next attempt is over."""

    work: Work


class Line:
    """One batch at a time: while one is retried, nothing is applied before it."""

    def __init__(
        self,
        runtime: Runtime,
        decider: Decider,
        tell: Callable[[object], object],
        more: Callable[[], bool],
        between: Callable[[], None],
    ) -> None:
        self.answers = Answers(runtime, self.post)
        self._runtime = runtime
        self._decider = decider
        self._tell = tell
        self._more = more
        """Is there anything in the inbox? All that can join a batch, does."""
        self._between = between
        """Called after each batch, when its callers have been answered."""
        self._pending: deque[Reply[Any]] = deque()
        self._current: Work | None = None
        self._alone = 0
        """So many of the first operations go into a transaction each."""
        self._number = 0
        self._turns = 0
        """So often others may have the interpreter before the next batch begins."""
        self._known = True
        """A batch was applied under the present start, or it was begun with the manager."""
        self._leaving = False
        self._attempts = Attempts(runtime, decider, tell)
        self._aside = Aside(runtime, tell)
        self._undone = Undone(runtime, tell)

    @property
    def busy(self) -> bool:
        """Something is in the line or on its way."""
        return bool(self._pending or self._current is not None or self._aside)

    # -- gathering -----------------------------------------------------------------------

    def post(self, reply: Reply[Any], first: bool = False) -> None:
        """Append an operation; ``first``: before all that wait."""
        if first:
            self._pending.appendleft(reply)
        else:
            self._pending.append(reply)

    def flush(self) -> None:
        """Begin a batch, if something has gathered and nothing more is about to join it."""
        if self._current is not None or not self._pending:
            return
        if len(self._pending) < MOST and (self._more() or self._come_back()):
            return
        replies = self._take()
        if not replies:
            self._between()
            return
        self._number += 1
        self._current = Work(self._number, replies, self._decider)
        self._attempts.make(self._current)

    def _come_back(self) -> bool:
        """Under load, let those who have just been answered ask again before the next batch begins.

        Else they would make two halves of each other, with two commits for one. Nobody waits for
        it: what is given away is the interpreter, a few times, to threads that can run.
        """
        if not self._turns:
            return False
        self._turns -= 1
        give_way()
        return self._more()

    def _take(self) -> list[Reply[Any]]:
        most = 1 if self._alone else MOST
        self._alone = max(0, self._alone - 1)
        replies: list[Reply[Any]] = []
        while self._pending and len(replies) < most:
            reply = self._pending.popleft()
            if reply.is_settled:  # its caller has gone: nobody wants it any more
                continue
            op = reply.operation
            if isinstance(op, Release) and not self.answers.attributed.is_wanted(op):
                continue
            if isinstance(op, Claim):
                replies += self._undone.before(op)
            self._name(reply)
            if not self._aside or not self._aside.join(reply):
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
        if work.pausing and message.error is not None:
            return  # it was left behind a moment ago, and the next attempt is set already
        if work.bug is not None:
            raise work.bug
        match message.error:
            case None if work.probing is not None and work.void:
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
            case StartUnknown() as error:
                self._begin_anew(work, error)
            case error if work.probing is None:
                work.probe(error)
                self._attempts.make(work)
            case error:
                self._fail(work, error)

    def overdue(self, message: AttemptOverdue) -> None:
        """The store is silent: leave that attempt behind, with its thread and its connection."""
        work = message.work
        if work is not self._current or message.attempt != work.attempt or work.pausing:
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
        self._turns = _TURNS if len(verdict.replies) > 1 else 0
        self._runtime.figures.batches += 1
        self._runtime.figures.last_batch = len(verdict.replies)
        self.answers.give(verdict, self._decider.start)
        self._aside.reached(verdict.decided.states)
        if verdict.unseen:
            self._set_aside(work, verdict.unseen)
        self._between()

    def _set_aside(self, work: Work, unseen: Sequence[Reply[Any]]) -> None:
        """Somebody else keeps their rows locked: that delays nobody else."""
        self._leave_undone(self._aside.set(work.number, unseen), _locked)

    def put_back(self, message: PutBack) -> None:
        """Their pause is over."""
        self._pending.extendleft(reversed(self._aside.take(message.key)))

    def _again(self, work: Work, error: StorePassing) -> None:
        self._decider.interrupt()
        if work.tries > retry.MOST:
            self._give_up(work, error)
            return
        work.pausing = True
        runtime = self._runtime
        pause = retry.delay(work.tries, runtime.rng)
        runtime.figures.retries += 1
        runtime.emit(StoreRetried(work.number, work.attempt, pause, error))
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
            work.pausing = False
            self._attempts.make(work)

    def _give_up(self, work: Work, error: BaseException) -> None:
        """The callers may infer nothing. What the batch may have left is undone later."""
        self._current = None
        if work.verdict is not None:
            self.answers.give_back(work.verdict)
        self._leave_undone(work.replies, lambda reply: error)
        self._between()

    def _leave_undone(
        self, replies: Sequence[Reply[Any]], why: Callable[[Reply[Any]], BaseException]
    ) -> None:
        """They were tried often enough. Errands of our own are sent again.

        Those go before all that came after them: a release that fell behind a later claim of the
        same holder would end what that claim was answered.
        """
        errands = [reply for reply in replies if not self._leave(reply, why(reply))]
        self._pending.extendleft(reversed(errands))

    def _leave(self, reply: Reply[Any], error: BaseException) -> bool:
        """Its caller may infer nothing; False if it has none, and must be done."""
        if reply.blocked:  # it was asked again, and keeps its place
            self.answers.look_again(reply)
        elif reply.is_call or self._leaving:
            reply.fail(timed_out(reply, error))
            self._cancel(reply)
        else:
            return False
        return True

    def _begin_anew(self, work: Work, error: StartUnknown) -> None:
        """Nobody can say what was applied: no caller may infer anything."""
        self._current = None
        self._draw_start()
        calls = self._put_off(work, error)
        for reply in [*calls, *self.answers.watches.all()]:
            reply.fail(start_unknown(reply, error))
            self.answers.forget(reply)
        self._between()

    def _can_begin_anew(self) -> bool:
        """No claim is queued under the old start; and it is not one that was just drawn. Who waits
        for an end does so under no start."""
        return self._known and not self.answers.watches.claims

    def _draw_start(self) -> None:
        self._known = False
        self._decider.interrupt()
        self._attempts.begin_anew()

    def _apart(self, work: Work, error: BaseException) -> None:
        """It was not applied, and never will be: each operation in a transaction of its own."""
        if len(work.replies) == 1:
            self._fail(work, error)
            return
        self._current = None
        self._alone += len(work.replies)
        self._pending.extendleft(reversed(work.replies))
        self._between()

    def _fail(self, work: Work, error: BaseException) -> None:
        self._current = None
        self._runtime.log.error("the store failed: %s", error, extra={"action": "store_failed"})
        for reply in self._put_off(work, error):
            reply.fail(store_failed(reply, error))
            self.answers.forget(reply)
            if reply.value is None and (reply.blocked or work.may_be_applied):
                self._cancel(reply)  # it may be queued; but what it was answered with is relied on
        self._between()

    def _put_off(self, work: Work, error: BaseException) -> list[Reply[Any]]:
        """What must be done is tried again, as long as the manager is there; returns the rest, and
        the claims that must not overtake it."""
        errands = [r for r in work.replies if must_be_done(r) and not self._leaving]
        if not errands:
            return list(work.replies)
        self._undone.keep(work.number, errands, error)
        behind = [reply for reply in self._pending if self._undone.holds_back(reply)]
        for reply in behind:
            self._pending.remove(reply)
        return [r for r in work.replies if not must_be_done(r)] + behind

    def try_undone(self) -> None:
        """The pause is over."""
        self._pending.extendleft(reversed(self._undone.pause_over()))

    def _cancel(self, reply: Reply[Any]) -> None:
        """A claim that may be queued leaves the queue."""
        op = reply.operation
        if isinstance(op, Claim) and op.claim is not None:
            self.post(Reply(Cancel(op.key, op.claim)))

    def unreached(self) -> None:
        """The store could not be reached by somebody else: nobody's silence is judged by that."""
        self._decider.interrupt()

    # -- besides ---------------------------------------------------------------------------

    def chore(self, job: Callable[[], None]) -> bool:
        """Something for the store between two batches; False, and not done, if one is on its way."""
        if self._current is None:
            self._attempts.chore(job)
        return self._current is None

    def leave(self) -> None:
        """The manager stops: what fails now is not tried for ever."""
        self._leaving = True
        self._pending.extendleft(reversed(self._undone.take()))

    def close(self) -> None:
        """Nothing is applied any more, and the store is closed."""
        self._attempts.close()

    def join(self, timeout: float) -> None:
        """Wait until that is done."""
        self._attempts.join(timeout)


def _locked(reply: Reply[Any]) -> BaseException:
    assert reply.operation is not None
    return locked(reply.operation.key)
