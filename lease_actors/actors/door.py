"""How a call comes in and its answer goes out, in the caller's own thread.

The caller's thread is the timer of a blocking call: its deadline is kept even if secretary,
manager and store all hang. Calls nobody blocks on have theirs from the alarm.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pykka

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.attributed import Attribution
from lease_actors.actors.base import tell
from lease_actors.actors.failures import stopped
from lease_actors.actors.gate import Gate
from lease_actors.actors.manager import GiveBack, Withdrawn
from lease_actors.actors.reply import Reply
from lease_actors.clock import Clock
from lease_actors.core.operations import Operation
from lease_actors.errors import WaitCancelled
from lease_actors.observability.events import Call, CallBegan, CallEnded
from lease_actors.observability.hooks import Hooks
from lease_actors.observability.logging import ManagerLog

R = TypeVar("R", bound=Reply[Any])


class Door:
    """Sends operations in and waits for what comes out."""

    def __init__(
        self,
        gate: Gate,
        clock: Clock,
        alarm: Alarm,
        hooks: Hooks,
        log: ManagerLog,
        patience: int,
        secretary_of: Callable[[str], pykka.ActorRef[Any]],
        manager: pykka.ActorRef[Any],
        guard: Callable[..., None] | None,
    ) -> None:
        self.clock = clock
        self.log = log
        self.guard = guard
        """Makes a user's transaction depend on a tenure, where the store can."""
        self._gate = gate
        self._alarm = alarm
        self._hooks = hooks
        self._patience = patience
        self._secretary_of = secretary_of
        self._manager = manager
        self._pid = os.getpid()

    def reply(
        self,
        kind: type[R],
        operation: Operation,
        *,
        wait: int | None = 0,
        patience: int | None = None,
        **fields: Any,
    ) -> R:
        """A reply to that operation, which is not on its way yet: whoever sends it has it in hand
        before, and can abandon it whatever happens meanwhile.

        ``wait``: how long (microseconds) the caller lets itself be queued; ``patience``: how
        long beyond that an answer may take.
        """
        return kind(
            operation,
            began=self.clock.steady(),
            wait=wait,
            patience=self._patience if patience is None else patience,
            settled=self._settled,
            withdrawn=self._withdrawn,
            **fields,
        )

    def send(self, reply: Reply[Any]) -> None:
        """Send its operation on its way; it settles in any case."""
        operation = reply.operation
        assert operation is not None
        reply.is_call = True
        if self._hooks.wants(CallEnded):
            reply.call = _call(operation, reply)
            self._hooks(CallBegan(reply.call))
        self._enter(reply, self._secretary_of(operation.key.namespace))

    def admit(self, reply: Reply[Any]) -> None:
        """Let in a reply that the caller will have settled itself, past secretary and manager."""
        self._enter(reply, None)

    def post(self, reply: Reply[Any]) -> None:
        """Send it, and let the alarm keep its deadlines: for those on whom no thread may wait."""
        try:
            self.send(reply)
            self.keep_deadlines(reply)
        except BaseException as error:  # nobody has the future
            self.abandon(reply, error)
            raise

    def _enter(self, reply: Reply[Any], inbox: pykka.ActorRef[Any] | None) -> None:
        if self._pid != os.getpid():
            # Not through the gate: its lock may have been held by another thread at the fork.
            reply.fail(stopped(reply))
        else:
            self._gate.enter(inbox, reply)

    def keep_deadlines(self, reply: Reply[Any]) -> None:
        """Let the alarm end the reply in time."""
        instant = reply.lapse(self.clock.steady())
        if instant is not None:
            reply.deadline = self._alarm.at(instant, lambda: self.keep_deadlines(reply))
            if reply.is_settled:  # meanwhile: whoever did that may not have seen the alarm
                reply.deadline.cancel()

    def ask(self, reply: Reply[Any]) -> Any:
        """Send it, wait for the answer and return it, or raise the error that it is."""
        # Ctrl-C may come between any two steps, from before it is in the inbox to after it was
        # answered: so all of them are in the ``try``.
        try:
            self.send(reply)
            self.wait(reply)
            return reply.get()
        except BaseException as error:
            self.abandon(reply, error)
            raise

    def wait(self, reply: Reply[Any]) -> None:
        """Return when it is settled; keep its deadlines meanwhile."""
        while not reply.is_settled:
            instant = reply.lapse(self.clock.steady())
            if not reply.is_settled:
                self.clock.wait(reply.signal, instant)

    def abandon(self, reply: Reply[Any], cause: BaseException) -> None:
        """The caller leaves, for that reason: whoever settles first decides. Sent or not, nothing
        of it remains.

        No harm is done if it was not on its way, or if ``cause`` is its answer.
        """
        if cause is reply.error:
            return
        error = WaitCancelled(f"cannot {reply.what}: its caller left", key=reply.key)
        error.__cause__ = cause
        if reply.withdraw(error):
            return
        value = reply.value  # it was answered, but nobody will see the answer
        if isinstance(value, Attribution):
            if value.new:
                tell(self._manager, GiveBack(value))
        elif self._pid == os.getpid():
            # Perhaps by this very thread, at a deadline, and the exception has cut short what
            # follows that. Said twice, it does no harm.
            self._gate.leave(reply)
            self._withdrawn(reply)

    def _settled(self, reply: Reply[Any], error: BaseException | None) -> None:
        self._gate.leave(reply)
        if reply.deadline is not None:
            reply.deadline.cancel()
        call = reply.call
        if call is None and error is not None and reply.is_call:
            assert reply.operation is not None
            call = _call(reply.operation, reply)
        if call is not None:
            self._hooks(CallEnded(call, error, self.clock.steady()))

    def _withdrawn(self, reply: Reply[Any]) -> None:
        tell(self._manager, Withdrawn(reply))


def _call(operation: Operation, reply: Reply[Any]) -> Call:
    who = getattr(operation, "holder", None) or getattr(operation, "entity", None)
    return Call(operation.kind, operation.key, who or "", reply.began)
