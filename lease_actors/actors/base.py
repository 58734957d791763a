"""What every actor here is: a daemon thread, a fast inbox, and an end that is noticed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import pykka

from lease_actors.actors.threads import ServiceThread

if TYPE_CHECKING:
    from pykka._actor import ActorInbox


Gone: TypeAlias = "Callable[[LeaseActor, BaseException | None], object]"
"""Told when an actor has ended, with what made it fail, if it failed."""


def tell(actor: pykka.ActorRef[Any], message: object) -> bool:
    """Put a message into the inbox; False if the actor has stopped: nobody will miss it then."""
    try:
        actor.tell(message)
    except pykka.ActorDeadError:
        return False
    return True


class _ActorThread(ServiceThread):
    urn = ""


def join(actor: pykka.ActorRef[Any], timeout: float) -> None:
    """Wait until the actor's thread has ended; Pykka's own stop does not."""
    for thread in threading.enumerate():
        if getattr(thread, "urn", None) == actor.actor_urn:
            if thread is not threading.current_thread():
                thread.join(timeout)
            return


class _Broken(Exception):
    """An actor has failed with something that is no ``Exception``: its cause."""


class LeaseActor(pykka.ThreadingActor):
    """A Pykka actor whose end cannot be missed.

    Daemon, because a forgotten manager must not hang the interpreter's exit (with non-daemon
    actors ``atexit`` never runs).
    """

    use_daemon_thread = True

    def __init__(self, gone: Gone | None = None) -> None:
        super().__init__()
        self._tell_gone = gone
        self._failure: BaseException | None = None

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        # A third faster than queue.Queue: one lock in C instead of three conditions in Python.
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        return inbox

    def _start_actor_loop(self) -> None:
        thread = _ActorThread(self._live, self.thread_name())
        thread.urn = self.actor_urn
        thread.start()

    def thread_name(self) -> str:
        """The name of this actor's thread: what it does."""
        return f"lease {type(self).__name__}"

    def _live(self) -> None:
        # Pykka runs on_stop after a stop and on_failure after a failed tell, but neither when
        # on_start fails or when one of those raises. on_gone runs after all of them.
        try:
            self._actor_loop()
        finally:
            self.on_gone()

    def on_receive(self, message: object) -> None:
        try:
            self.handle(message)
        except Exception:
            raise
        except BaseException as error:
            # Pykka would stop every actor of the process, other people's too, and wait for them
            # on this very thread.
            raise _Broken from error

    def handle(self, message: object) -> None:
        """Handle one message. What it raises ends the actor."""
        raise NotImplementedError

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exception_value, _Broken):
            exception_value = exception_value.__cause__
        self._failure = exception_value

    def on_gone(self) -> None:
        """The thread is about to end, whatever the reason; nothing more will be handled."""
        if self._tell_gone is not None:
            self._tell_gone(self, self._failure)
