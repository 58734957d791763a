"""The Manager: starts and stops the actors, and hands out the five capabilities."""

from __future__ import annotations

import atexit
import itertools
import os
import random
import threading
import weakref
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import pykka

from lease_actors import dump
from lease_actors.actors.alarm import Alarm
from lease_actors.actors.base import LeaseActor, join, tell
from lease_actors.actors.door import Door
from lease_actors.actors.expiry import ExpiryActor, WakeAt
from lease_actors.actors.gate import Gate
from lease_actors.actors.manager import Crash, Emptied, ManagerActor, Stop, Tick
from lease_actors.actors.reads import Reads
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime, new_start
from lease_actors.actors.secretary import SecretaryActor
from lease_actors.actors.work import Decider
from lease_actors.capabilities import Checker, Claimer, Pinner, Reader, Revoker, claim_of
from lease_actors.clock import from_instant, micros
from lease_actors.config import ManagerConfig, as_timedelta
from lease_actors.core.model import ClaimId
from lease_actors.core.operations import Check, Claim, Pin, PublicOperation, Revoke, Unpin
from lease_actors.errors import LeaseError, ManagerStopped, NotValid, StoreError, WaitTimeout
from lease_actors.held import ClaimFuture
from lease_actors.observability.hooks import Hooks
from lease_actors.observability.logging import LoggingHook, ManagerLog
from lease_actors.stores import SqlStore

__all__ = ["Manager"]

GRACE = 55_000_000
"""So long (microseconds) a stop waits for what is in flight."""

_EXIT_GRACE = 3.0
_IDLE_FOR = micros(timedelta(days=1))
_PUBLIC = (Claim, Revoke, Check, Pin, Unpin)


class Manager:
    """The leases of a store, for the threads of this process.

    Started when the constructor returns; usable from any thread; stopped by ``kill()``, or by
    leaving it as a context manager. Raises ``NotValid`` for a bad configuration and
    ``StoreError`` if the store cannot be opened.
    """

    def __init__(self, config: ManagerConfig) -> None:
        config.validate()
        self._config = config
        self._pid = os.getpid()
        self._log = ManagerLog(config.logger, config.entity_uuid)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._killed = self._ended = False
        self._lock = threading.Lock()
        self._secretaries: dict[str, pykka.ActorRef[SecretaryActor]] = {}
        self._numbers = itertools.count(1)
        self._decider = Decider(new_start(), _us(config.offer_window), config.clock)
        self._open_store()
        self._prometheus, hooks = _make_hooks(config, self._log)
        self._start(hooks)

    @classmethod
    def open(cls, url: str = "sqlite:///leases.db", **config_fields: Any) -> Manager:
        """A manager on the database at that SQLAlchemy URL; its schema is made when missing.

        Other arguments are fields of ``ManagerConfig``.
        """
        return cls(ManagerConfig(SqlStore(url, create_schema=True), **config_fields))

    # -- the capabilities ----------------------------------------------------------------

    def claimer(self, namespace: str, model_uuid: str = "") -> Claimer:
        """Who claims leases there. ``NotValid``: there is no such namespace."""
        self._secretary_of(namespace)
        return Claimer(self._door, namespace, model_uuid, self._new_claim_id)

    def checker(self, namespace: str, model_uuid: str = "") -> Checker:
        """Who checks leases there. ``NotValid``: there is no such namespace."""
        self._secretary_of(namespace)
        return Checker(self._door, namespace, model_uuid)

    def pinner(self, namespace: str, model_uuid: str = "") -> Pinner:
        """Who pins leases there. ``NotValid``: there is no such namespace."""
        self._secretary_of(namespace)
        return Pinner(self._door, namespace, model_uuid, self._reads)

    def reader(self, namespace: str, model_uuid: str = "") -> Reader:
        """Who reads leases there. ``NotValid``: there is no such namespace."""
        self._secretary_of(namespace)
        return Reader(self._door, namespace, model_uuid, self._reads)

    def revoker(self, namespace: str, model_uuid: str = "") -> Revoker:
        """Who revokes leases there. ``NotValid``: there is no such namespace."""
        self._secretary_of(namespace)
        return Revoker(self._door, namespace, model_uuid)

    # -- the raw door --------------------------------------------------------------------

    def ask(
        self, operation: PublicOperation, *, block: bool = True, timeout: float | None = None
    ) -> Any:
        """The outcome of the operation, as the capability's call gives and raises it; with
        ``block=False`` a Pykka future of it. ``timeout``: seconds, then ``pykka.Timeout``.
        """
        reply = self._send(operation)
        return reply.get(timeout=timeout) if block else reply

    def tell(self, operation: PublicOperation) -> None:
        """Send the operation on its way; nobody hears what became of it."""
        self._send(operation)

    def _send(self, operation: PublicOperation) -> Reply[Any]:
        if not isinstance(operation, _PUBLIC):
            raise NotValid(
                f"cannot ask {operation!r}: it is not a Claim, Revoke, Check, Pin or Unpin"
            )
        self._secretary_of(operation.key.namespace)
        reply: Reply[Any]
        if isinstance(operation, Claim):
            claim = claim_of(operation.key, operation.holder, operation.duration)
            reply = self._door.send(ClaimFuture, claim, clock=self._config.clock)
        else:
            reply = self._door.send(Reply, operation)
        self._door.keep_deadlines(reply)
        return reply

    # -- what it is doing ----------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """What the manager is doing, as plain values; answers even when it hangs."""
        figures, inside = self._runtime.figures, self._gate.inside()
        asked = [r.operation for r in inside if not r.blocked]
        tick = figures.next_tick
        return {
            "entity-uuid": self._config.entity_uuid,
            "outstanding-claims": sum(isinstance(op, Claim) for op in asked),
            "outstanding-revokes": sum(isinstance(op, Revoke) for op in asked),
            "blocked-claims": figures.blocked_claims,
            "waits": figures.waits,
            "kept-leases": 0,
            "next-tick": None if tick is None else from_instant(tick).isoformat(),
            "last-batch": figures.last_batch,
            "retries": figures.retries,
        }

    # -- stopping ------------------------------------------------------------------------

    def kill(self) -> None:
        """Start stopping, and return at once.

        Operations in flight finish, up to 55 s; blocked claims and waits end with
        ``ManagerStopped``; nobody comes in any more.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._killed:
                return
            self._killed = True
        clock = self._config.clock
        self._alarm.at(clock.steady() + GRACE, self._give_up)
        self._gate.close(lambda: tell(self._manager, Emptied()))
        tell(self._manager, Stop())

    def wait(self, timeout: float | None = None) -> None:
        """Return when the manager has stopped; raise what stopped it, if that was not ``kill()``.

        Raises ``WaitTimeout`` if it has not stopped after ``timeout`` seconds.
        """
        if self._pid != os.getpid():
            raise ManagerStopped("the manager belongs to the parent of this forked process")
        if not self._stopped.wait(timeout):
            raise WaitTimeout(f"the manager has not stopped within {timeout} s")
        self._join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Manager:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if self._pid == os.getpid():
            self.wait()

    # -- inside --------------------------------------------------------------------------

    def _open_store(self) -> None:
        store = self._config.store
        try:
            store.open(self._config.clock)
            store.begin(self._decider.start)
        except LeaseError:
            raise
        except Exception as error:
            raise StoreError(f"cannot open the store: {error}") from error

    def _start(self, hooks: Hooks) -> None:
        config = self._config
        label = config.entity_uuid[:6]
        self._alarm = Alarm(config.clock, f"lease alarm {label}")
        self._runtime = Runtime(
            config.store,
            config.clock,
            self._alarm,
            hooks,
            self._log,
            random.Random(),
            label,
            _us(config.max_sleep),
            _us(config.attempt_timeout),
            _us(config.offer_window),
            _IDLE_FOR,
            self._wake,
        )
        self._gate = Gate()
        self._manager = ManagerActor.start(
            self._runtime, self._decider, lambda _, error: self._gone(error)
        )
        self._expiry = ExpiryActor.start(
            config.clock, self._alarm, _us(config.max_sleep), self._tick, self._lost
        )
        self._door = Door(
            self._gate,
            config.clock,
            self._alarm,
            hooks,
            _us(config.call_timeout),
            self._secretaries.__getitem__,
            self._manager,
        )
        self._reads = Reads(self._door, config.store, label)
        self._exit = _weakly(self, Manager._at_exit)
        atexit.register(self._exit)
        os.register_at_fork(after_in_child=_weakly(self, Manager._in_child))

    def _wake(self, message: WakeAt) -> None:
        tell(self._expiry, message)

    def _tick(self, late: int) -> None:
        tell(self._manager, Tick(late))

    def _new_claim_id(self) -> ClaimId:
        return ClaimId(self._decider.start, next(self._numbers))

    def _secretary_of(self, namespace: str) -> pykka.ActorRef[SecretaryActor]:
        try:
            return self._secretaries[namespace]
        except (KeyError, TypeError):
            pass
        secretary = self._config.secretary_finder.secretary_for(namespace)
        if self._pid != os.getpid():
            raise ManagerStopped("the manager belongs to the parent of this forked process")
        with self._lock:
            if namespace not in self._secretaries:
                if self._gate.closed:
                    raise ManagerStopped(
                        f"cannot use namespace {namespace!r}: the manager is stopping or has"
                        " stopped (open a new one)"
                    )
                if self._prometheus is not None:
                    self._prometheus.prepare(namespace)
                self._secretaries[namespace] = SecretaryActor.start(
                    namespace, secretary, self._manager, self._lost
                )
            return self._secretaries[namespace]

    def _lost(self, actor: LeaseActor, error: BaseException | None) -> None:
        """A secretary or the ExpiryActor has ended: with the manager, or it takes it along."""
        if not self._killed:
            cause = error or ManagerStopped(f"the {type(actor).__name__} was stopped from outside")
            tell(self._manager, Crash(cause))

    def _give_up(self) -> None:
        """The stop has taken too long: say what is left, and stop all the same."""
        if self._stopped.is_set():
            return
        path = None if self._config.log_dir is None else Path(self._config.log_dir)
        dump.write(path, self._config.clock.wall(), self.report(), self._log)
        self._gone(None)

    def _gone(self, error: BaseException | None) -> None:
        """The ManagerActor has ended (or hangs for good): so has everything else."""
        with self._lock:
            if self._ended:
                return
            self._ended = self._killed = True
            self._error = error
            actors = [self._manager, self._expiry, *self._secretaries.values()]
        self._gate.clear()
        for actor in actors:
            actor.stop(block=False)
        self._reads.close()
        self._alarm.close()
        if self._prometheus is not None:
            self._prometheus.close()
        self._close_store()
        atexit.unregister(self._exit)
        self._stopped.set()

    def _close_store(self) -> None:
        try:
            self._config.store.close()
        except Exception as error:
            self._log.warning(
                "closing the store failed: %s", error, extra={"action": "close_store"}
            )

    def _join(self) -> None:
        """Wait a moment for the threads, so that nothing is left behind. What hangs is left."""
        for actor in [self._manager, self._expiry, *self._secretaries.values()]:
            join(actor, 1.0)
        self._alarm.join(1.0)
        self._reads.join(1.0)

    def _at_exit(self) -> None:
        """A forgotten manager leaves the queues, but keeps the exit no longer than that."""
        self.kill()
        self._stopped.wait(_EXIT_GRACE)

    def _in_child(self) -> None:
        """In a forked child nothing of the parent's may be touched, least of all its connections."""
        self._stopped = threading.Event()
        self._stopped.set()
        self._runtime.hooks.silence()
        abandon: Callable[[], None] | None = getattr(self._config.store, "abandon", None)
        if abandon is not None:
            abandon()


def _us(duration: Any) -> int:
    converted = as_timedelta(duration)
    assert converted is not None  # validated
    return micros(converted)


def _weakly(manager: Manager, method: Callable[[Manager], None]) -> Callable[[], None]:
    """Call the method if the manager is still there: a hook must not keep it alive."""
    reference = weakref.ref(manager)

    def call() -> None:
        alive = reference()
        if alive is not None:
            method(alive)

    return call


def _make_hooks(config: ManagerConfig, log: ManagerLog) -> tuple[Any, Hooks]:
    # Each library is imported only where it is used.
    from lease_actors.observability.opentelemetry import tracing_hook

    prometheus = None
    if config.prometheus_registerer is not None:
        from lease_actors.observability.prometheus import PrometheusHook

        prometheus = PrometheusHook(config.prometheus_registerer)
    hooks = [prometheus, tracing_hook(config.tracer), LoggingHook(log)]
    return prometheus, Hooks([h for h in hooks if h is not None], log)
