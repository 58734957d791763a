"""The ManagerActor: one line for all operations that write or check.

What has gathered in its inbox is applied together, in order, in one transaction; the replies go
out after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lease_actors.actors.aside import PutBack
from lease_actors.actors.attempts import AttemptEnded, AttemptOverdue
from lease_actors.actors.attributed import Attribution
from lease_actors.actors.base import Gone, LeaseActor, tell
from lease_actors.actors.expiry import WakeAt
from lease_actors.actors.failures import stopped
from lease_actors.actors.line import Line, TryAgain
from lease_actors.actors.lookout import Called, Lookout, Seen, Unseen
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.actors.undone import TryUndone
from lease_actors.actors.work import Decider
from lease_actors.core.operations import Cancel, Claim
from lease_actors.errors import ManagerStopped
from lease_actors.observability.events import Gauges, Ticked

_MUCH = 100
"""A pruning that removes so many rows is followed by another."""
_PATIENCE = 5.0
"""Seconds that closing the store may take."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The ExpiryActor says: look. ``late``: microseconds after the instant that was meant."""

    late: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A caller has left."""

    reply: Reply[Any]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A caller was answered, but left before it could see the lease."""

    attribution: Attribution


@dataclass(frozen=True, slots=True)
class Errands:
    """Operations of the manager's own: renewals and releases of what it keeps."""

    replies: Sequence[Reply[Any]]


@dataclass(frozen=True, slots=True)
class PruneMore:
    """There was much to prune, so there may be more: it does not wait for the next time."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Let what is in flight finish, leave the queues, end."""


@dataclass(frozen=True, slots=True)
class Emptied:
    """Nobody is inside the gate any more."""


@dataclass(frozen=True, slots=True)
class NothingKept:
    """No block of a ``hold()`` is running any more, and none will begin."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Another part of this manager has failed; so has the manager."""

    error: BaseException


class ManagerActor(LeaseActor):
    """Serialises the operations, keeps the blocked claims, and settles the replies.

    Only an error inside the manager stops it; ``gone`` gets what stopped it, None for ``Stop``.
    """

    def __init__(self, runtime: Runtime, decider: Decider, gone: Gone) -> None:
        super().__init__(gone)
        self._runtime = runtime
        self._line = Line(
            runtime,
            decider,
            lambda m: tell(self.actor_ref, m),
            lambda: not self.actor_inbox.empty(),
            self._between,
        )
        self._answers = self._line.answers
        self._lookout = Lookout(runtime, lambda: decider.start, lambda m: tell(self.actor_ref, m))
        runtime.users_of_store.append(self._lookout.join)
        self._stopping = False
        self._emptied = False
        self._keeps = True
        self._woken_at: int | None = None
        self._pruned_at = runtime.clock.steady()

    def handle(self, message: object) -> None:
        self._handle(message)
        self._line.flush()

    def _handle(self, message: object) -> None:
        match message:
            case Reply():
                self._line.post(message)
            case AttemptEnded():
                self._line.ended(message)
            case Withdrawn(reply):
                self._withdraw(reply)
            case GiveBack(attribution):
                self._answers.left(attribution)
            case Errands(replies):
                for reply in replies:
                    self._line.post(reply)
            case Tick(late):
                self._tick(late)
            case TryAgain(work):
                self._line.try_again(work)
            case PutBack():
                self._line.put_back(message)
            case TryUndone():
                self._line.try_undone()
            case AttemptOverdue():
                self._line.overdue(message)
            case Seen(peek, sent, at):
                self._answers.seen(peek, sent, at)
                self._schedule()
            case Called(notices):
                self._answers.called(notices)
            case Unseen():
                self._line.unreached()
            case PruneMore():
                self._pruned_at -= self._runtime.max_sleep
                self._prune()
            case Stop():
                self._begin_stop()
            case Emptied():
                self._emptied = True
                self._finish_if_done()
            case NothingKept():
                self._keeps = False
                self._line.leave()
                self._finish_if_done()
            case Crash(error):
                raise error

    def _between(self) -> None:
        """After each batch."""
        if self._stopping:
            self._dismiss()  # what was in flight may have been queued or registered since
        self._schedule()
        self._gauge()
        self._follow()
        self._prune()
        self._finish_if_done()

    # -- ticks ---------------------------------------------------------------------------

    def _tick(self, late: int) -> None:
        self._runtime.emit(Ticked(late / 1e6))
        for key in self._answers.due():
            self._answers.look(key)
        self._answers.attributed.drop_overdue(self._runtime.clock.steady())
        self._prune()
        # Every tick is answered: the ExpiryActor may have rung before it heard of an instant.
        self._woken_at = None
        self._runtime.wake(WakeAt(self._answers.next_look()))

    def _schedule(self) -> None:
        instant = self._answers.next_look()
        if instant != self._woken_at:
            self._woken_at = instant
            self._runtime.wake(WakeAt(instant))

    def _follow(self) -> None:
        """Look out for the leases that somebody waits for here, and for no others."""
        came, went = self._answers.watches.take_changes()
        if came or went:
            self._lookout.follow(came, went)

    def _prune(self) -> None:
        """Once every max_sleep, between two batches: a manager that is never idle prunes, too."""
        now = self._runtime.clock.steady()
        if now - self._pruned_at >= self._runtime.max_sleep and self._line.chore(self._pruning):
            self._pruned_at = now

    def _pruning(self) -> None:
        """On the transactor's thread."""
        runtime = self._runtime
        try:
            gone = runtime.store.prune(runtime.idle_for)
        except Exception as error:  # the next time will do
            runtime.log.debug("pruning failed: %s", error, extra={"action": "prune"})
        else:
            if gone >= _MUCH:
                tell(self.actor_ref, PruneMore())

    def _gauge(self) -> None:
        watches, figures = self._answers.watches, self._runtime.figures
        figures.blocked_claims, figures.waits = watches.claims, watches.ends
        if self._runtime.hooks.wants(Gauges):
            held = len(self._answers.attributed)
            self._runtime.emit(Gauges(watches.claims, watches.ends, held))

    # -- leaving -------------------------------------------------------------------------

    def _withdraw(self, reply: Reply[Any]) -> None:
        # If it is on its way, the answer finds nobody, and is given back then.
        if self._answers.forget(reply):
            op = reply.operation
            if isinstance(op, Claim) and op.claim is not None:
                self._line.post(Reply(Cancel(op.key, op.claim)))
        self._gauge()
        self._follow()

    def _begin_stop(self) -> None:
        self._stopping = True
        self._dismiss()
        self._finish_if_done()

    def _dismiss(self) -> None:
        """Nobody waits any more: all are told so, and leave the queues."""
        for reply in list(self._answers.watches.all()):
            reply.fail(stopped(reply))
            self._withdraw(reply)

    def _finish_if_done(self) -> None:
        if self._stopping and self._emptied and not self._keeps and not self._line.busy:
            self._emptied = False  # stop once
            self.stop()

    def on_gone(self) -> None:
        self._lookout.close()
        self._line.close()
        if self._failure is None and not self._stopping:
            self._failure = ManagerStopped("the ManagerActor was stopped from outside")
        super().on_gone()
        # Whoever waits for this thread waits for the store, too; but not for ever.
        self._line.join(_PATIENCE)
