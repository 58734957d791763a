"""The crew of one manager: its actors, from their start to their end."""

from __future__ import annotations

import atexit
import itertools
import os
import random
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pykka

from lease_actors import dump
from lease_actors.actors.alarm import Alarm
from lease_actors.actors.base import LeaseActor, join, tell
from lease_actors.actors.callbacks import Callbacks
from lease_actors.actors.door import Door
from lease_actors.actors.expiry import ExpiryActor, Run, WakeAt
from lease_actors.actors.gate import Gate
from lease_actors.actors.keeper import LOOK, KeeperActor
from lease_actors.actors.keeping import Keeping
from lease_actors.actors.mailbox import Mailbox
from lease_actors.actors.manager import (
    Crash,
    Emptied,
    Errands,
    ManagerActor,
    NothingKept,
    Stop,
    Tick,
)
from lease_actors.actors.reads import Reads
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime, new_start
from lease_actors.actors.secretary import SecretaryActor
from lease_actors.actors.work import Decider
from lease_actors.clock import Signal, micros
from lease_actors.config import ManagerConfig
from lease_actors.core.model import ClaimId
from lease_actors.durations import as_timedelta
from lease_actors.errors import LeaseError, ManagerStopped, StoreError, WaitTimeout
from lease_actors.observability.hooks import Hooks
from lease_actors.observability.logging import ManagerLog

__all__ = ["GRACE", "Crew"]

GRACE = 55_000_000
"""So long (microseconds) a stop waits for what is in flight."""

_EXIT_GRACE = 3.0
_JOIN = 6.0
_IDLE_FOR = micros(timedelta(days=1))


class Crew:
    """Starts the actors, keeps them together, and ends them together.

    ``prepare`` is called with each namespace before its secretary starts; ``ended`` once, at the
    end; ``report`` is what a dump begins with.
    """

    def __init__(
        self,
        config: ManagerConfig,
        hooks: Hooks,
        log: ManagerLog,
        prepare: Callable[[str], object],
        ended: Callable[[], object],
        report: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._config, self._log = config, log
        self._prepare, self._tell_ended, self._report = prepare, ended, report
        self._pid = os.getpid()
        self._stopped = Signal()
        self._error: BaseException | None = None
        self._killed = self._ended = False
        self._lock = threading.Lock()
        self._secretaries: dict[str, pykka.ActorRef[SecretaryActor]] = {}
        self._numbers = itertools.count(1)
        self._decider = Decider(new_start(), _us(config.offer_window), config.clock)
        self._open_store()
        self._start(hooks)

    # -- starting ------------------------------------------------------------------------

    def _open_store(self) -> None:
        store = self._config.store
        try:
            store.open(self._config.clock)
            store.begin(self._decider.start)
        except LeaseError:
            self._close_store()
            raise
        except Exception as error:
            self._close_store()
            raise StoreError(f"cannot open the store: {error}") from error

    def _start(self, hooks: Hooks) -> None:
        config, clock = self._config, self._config.clock
        label = config.entity_uuid[:6]
        self._alarm = Alarm(clock, f"lease alarm {label}")
        self.runtime = Runtime(
            store=config.store,
            clock=clock,
            alarm=self._alarm,
            hooks=hooks,
            log=self._log,
            rng=random.Random(),
            label=label,
            max_sleep=_us(config.max_sleep),
            attempt_timeout=_us(config.attempt_timeout),
            idle_for=_IDLE_FOR,
            wake=self._wake,
            ended=lambda effect: self.keeping.ended(effect),
        )
        self._callbacks = Callbacks(clock, self._alarm, self._log, label)
        self._mailbox = mailbox = Mailbox(lambda: tell(self.keeper, LOOK))
        self.keeping = Keeping(clock, self._alarm, mailbox, self._errands)
        self.gate = Gate()
        self.manager = ManagerActor.start(
            self.runtime, self._decider, lambda _, error: self._end(error)
        )
        self.expiry = ExpiryActor.start(
            clock, self._alarm, self.runtime.max_sleep, self._tick, self._lost
        )
        self.keeper = KeeperActor.start(
            self.runtime, self.keeping, mailbox, self._callbacks, self._errands, self._lost
        )
        self.door = Door(
            self.gate,
            clock,
            self._alarm,
            hooks,
            self._log,
            _us(config.call_timeout),
            self._secretaries.__getitem__,
            self.manager,
            getattr(config.store, "guard", None),
        )
        self.reads = Reads(self.door, config.store, label)
        self.runtime.users_of_store.append(self.reads.join)
        self._exit = _weakly(self, Crew._at_exit)
        atexit.register(self._exit)
        os.register_at_fork(after_in_child=_weakly(self, Crew._in_child))

    def secretary_of(self, namespace: str) -> None:
        """See to it that the namespace has its SecretaryActor. ``NotValid``: no such namespace."""
        try:
            if namespace in self._secretaries:
                return
        except TypeError:
            pass  # not even hashable; the finder says what is wrong with it
        secretary = self._config.secretary_finder.secretary_for(namespace)
        if self._pid != os.getpid():
            raise ManagerStopped("the manager belongs to the parent of this forked process")
        with self._lock:
            if namespace in self._secretaries:
                return
            if self.gate.closed:
                raise ManagerStopped(
                    f"cannot use namespace {namespace!r}: the manager is stopping or has"
                    " stopped (open a new one)"
                )
            self._prepare(namespace)
            self._secretaries[namespace] = SecretaryActor.start(
                namespace, secretary, self.manager, self._lost
            )

    def new_claim_id(self) -> ClaimId:
        """A name for one more blocked claim."""
        return ClaimId(self._decider.start, next(self._numbers))

    # -- ending --------------------------------------------------------------------------

    def kill(self) -> None:
        """Start stopping, and return at once.

        A signal handler may call it in the midst of anything, on a thread that holds a lock: so
        it takes none, and leaves the rest to another thread.
        """
        if self._pid == os.getpid() and not self._killed:
            self._killed = True
            self.gate.shut()
            if not tell(self.expiry, Run(self._begin_end)):
                self._begin_end()

    def _begin_end(self) -> None:
        self._alarm.at(self._config.clock.steady() + GRACE, self._give_up)
        self.gate.close(lambda: tell(self.manager, Emptied()))
        tell(self.manager, Stop())
        self.keeping.stop(lambda: tell(self.manager, NothingKept()))

    def wait(self, timeout: float | None) -> None:
        """Return when all have ended; raise what ended them, if that was not ``kill()``."""
        if self._pid != os.getpid():
            raise ManagerStopped("the manager belongs to the parent of this forked process")
        if not self._stopped.wait(timeout):
            raise WaitTimeout(f"the manager has not stopped within {timeout:g} s")
        self._join()
        if self._error is not None:
            raise self._error

    def _wake(self, message: WakeAt) -> None:
        tell(self.expiry, message)

    def _errands(self, replies: Sequence[Reply[Any]]) -> bool:
        return tell(self.manager, Errands(replies))

    def _tick(self, late: int) -> None:
        tell(self.manager, Tick(late))

    def _lost(self, actor: LeaseActor, error: BaseException | None) -> None:
        """A secretary, the KeeperActor or the ExpiryActor has ended: with the manager, or it takes it along."""
        if self._killed:
            self._begin_end()  # it may have been about to do so; twice is once
        else:
            cause = error or ManagerStopped(f"the {type(actor).__name__} was stopped from outside")
            tell(self.manager, Crash(cause))

    def _give_up(self) -> None:
        """The stop has taken too long: say what is left, and stop all the same."""
        if self._stopped.is_set():
            return
        try:
            path = None if self._config.log_dir is None else Path(self._config.log_dir)
            dump.write(path, self._config.clock.wall(), self._report(), self._log)
        finally:
            self._end(None)  # whatever becomes of the dump

    def _end(self, error: BaseException | None) -> None:
        """The ManagerActor has ended (or hangs for good): so does everything else."""
        with self._lock:
            if self._ended:
                return
            self._ended = self._killed = True
            self._error = error
        self.gate.clear()
        self.keeping.clear()
        if not tell(self.keeper, LOOK):
            self._callbacks.rest(self._mailbox.take())
        for actor in self._actors():
            actor.stop(block=False)
        self.reads.close()
        self._alarm.close()
        self._tell_ended()
        atexit.unregister(self._exit)
        self._stopped.set()

    def _actors(self) -> list[pykka.ActorRef[Any]]:
        return [self.manager, self.expiry, *self._secretaries.values(), self.keeper]

    def _close_store(self) -> None:
        try:
            self._config.store.close()
        except Exception as error:
            self._log.warning(
                "closing the store failed: %s", error, extra={"action": "close_store"}
            )

    def _join(self) -> None:
        """Wait a moment for the threads, so that nothing is left behind. What hangs is left."""
        for actor in self._actors():
            join(actor, _JOIN)
        self._alarm.join(_JOIN)
        self.reads.join(_JOIN)

    def _at_exit(self) -> None:
        """A forgotten manager leaves the queues, but keeps the exit no longer than that."""
        self.kill()
        self._stopped.wait(_EXIT_GRACE)

    def _in_child(self) -> None:
        """In a forked child nothing of the parent's may be touched, least of all its connections."""
        self._stopped = Signal()
        self._stopped.set()
        self.runtime.hooks.silence()
        self.keeping.forked()
        abandon: Callable[[], None] | None = getattr(self._config.store, "abandon", None)
        if abandon is not None:
            abandon()


def _us(duration: Any) -> int:
    converted = as_timedelta(duration)
    assert converted is not None  # validated
    return micros(converted)


def _weakly(crew: Crew, method: Callable[[Crew], None]) -> Callable[[], None]:
    """Call the method if the crew is still there: a hook must not keep it alive."""
    reference = weakref.ref(crew)

    def call() -> None:
        alive = reference()
        if alive is not None:
            method(alive)

    return call
