"""The Manager: the face of it all; hands out the five capabilities."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from lease_actors.actors.reply import Reply
from lease_actors.capabilities import Checker, Claimer, Pinner, Reader, Revoker, claim_of
from lease_actors.clock import from_instant
from lease_actors.config import ManagerConfig
from lease_actors.core.operations import Check, Claim, Pin, PublicOperation, Revoke, Unpin
from lease_actors.crew import Crew
from lease_actors.durations import Duration, as_timeout
from lease_actors.errors import NotValid
from lease_actors.held import ClaimFuture
from lease_actors.observability.hooks import Hooks
from lease_actors.observability.logging import LoggingHook, ManagerLog
from lease_actors.overview import Overview
from lease_actors.stores import SqlStore

__all__ = ["Manager"]

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
        log = ManagerLog(config.logger, config.entity_uuid)
        self._prometheus, hooks = _make_hooks(config, log)
        try:
            self._crew = Crew(config, hooks, log, self._prepare, self._ended, self.report)
        except BaseException:
            self._ended()
            raise

    @classmethod
    def open(cls, url: str = "sqlite:///leases.db", **config_fields: Any) -> Manager:
        """A manager on the database at that SQLAlchemy URL; its schema is made when missing.

        Other arguments are fields of ``ManagerConfig``.
        """
        return cls(ManagerConfig(SqlStore(url, create_schema=True), **config_fields))

    # -- the capabilities ----------------------------------------------------------------

    def claimer(self, namespace: str, model_uuid: str = "") -> Claimer:
        """Who claims leases there. ``NotValid``: there is no such namespace."""
        self._crew.secretary_of(namespace)
        crew = self._crew
        return Claimer(crew.door, namespace, model_uuid, crew.new_claim_id, crew.keeping)

    def checker(self, namespace: str, model_uuid: str = "") -> Checker:
        """Who checks leases there. ``NotValid``: there is no such namespace."""
        self._crew.secretary_of(namespace)
        return Checker(self._crew.door, namespace, model_uuid)

    def pinner(self, namespace: str, model_uuid: str = "") -> Pinner:
        """Who pins leases there. ``NotValid``: there is no such namespace."""
        self._crew.secretary_of(namespace)
        return Pinner(self._crew.door, namespace, model_uuid, self._crew.reads)

    def reader(self, namespace: str, model_uuid: str = "") -> Reader:
        """Who reads leases there. ``NotValid``: there is no such namespace."""
        self._crew.secretary_of(namespace)
        return Reader(self._crew.door, namespace, model_uuid, self._crew.reads)

    def revoker(self, namespace: str, model_uuid: str = "") -> Revoker:
        """Who revokes leases there. ``NotValid``: there is no such namespace."""
        self._crew.secretary_of(namespace)
        return Revoker(self._crew.door, namespace, model_uuid)

    def overview(self) -> Overview:
        """Who looks at whole leases, of one namespace or of all: for operators."""
        return Overview(self._crew.reads)

    # -- the raw door --------------------------------------------------------------------

    def ask(
        self, operation: PublicOperation, *, block: bool = True, timeout: Duration | None = None
    ) -> Any:
        """The outcome of the operation, as the capability's call gives and raises it; with
        ``block=False`` a Pykka future of it. After ``timeout``: ``pykka.Timeout``. A claim
        that is left so, or by Ctrl-C, is given back.
        """
        reply = self._reply(operation)
        limit = None if timeout is None else as_timeout(timeout, reply.what, reply.key)
        self._crew.door.post(reply)
        if not block:
            return reply
        try:
            return reply.get(timeout=limit)
        except BaseException as error:  # its answer, or the caller leaves: nobody has the future
            self._crew.door.abandon(reply, error)
            raise

    def tell(self, operation: PublicOperation) -> None:
        """Send the operation on its way; nobody hears what became of it."""
        self._crew.door.post(self._reply(operation))

    def _reply(self, operation: PublicOperation) -> Reply[Any]:
        if not isinstance(operation, _PUBLIC):
            raise NotValid(
                f"cannot ask {operation!r}: it is not a Claim, Revoke, Check, Pin or Unpin"
            )
        self._crew.secretary_of(operation.key.namespace)
        door = self._crew.door
        if isinstance(operation, Claim):
            claim = claim_of(operation.key, operation.holder, operation.duration)
            return door.reply(ClaimFuture, claim, door=door)
        return door.reply(Reply, operation)

    # -- what it is doing ----------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """What the manager is doing, as plain values; answers even when it hangs."""
        figures, inside = self._crew.runtime.figures, self._crew.gate.inside()
        asked = [r.operation for r in inside if not r.blocked]
        tick = figures.next_tick
        return {
            "entity-uuid": self._config.entity_uuid,
            "outstanding-claims": sum(isinstance(op, Claim) for op in asked),
            "outstanding-revokes": sum(isinstance(op, Revoke) for op in asked),
            "blocked-claims": figures.blocked_claims,
            "waits": figures.waits,
            "kept-leases": len(self._crew.keeping),
            "next-tick": None if tick is None else from_instant(tick).isoformat(),
            "last-batch": figures.last_batch,
            "retries": figures.retries,
        }

    def problems(self) -> list[str]:
        """What is wrong with this manager, in words; empty: nothing. Asks neither thread nor store.

        It has stopped; or a lease that it kept was lost, and the block that was to hold it still
        runs. A store that is away is none: to start this process anew would not bring it back.
        """
        found = [
            f"lease {key.lease!r} of namespace {key.namespace!r} is lost, and {holder!r} goes on"
            for key, holder in self._crew.keeping.unheld()
        ]
        if self._crew.gate.closed:
            found.append("the manager is stopping or has stopped")
        return found

    # -- stopping ------------------------------------------------------------------------

    def kill(self) -> None:
        """Start stopping, and return at once.

        Operations in flight finish, up to 55 s; blocked claims and waits end with
        ``ManagerStopped``; nobody comes in any more.
        """
        self._crew.kill()

    def wait(self, timeout: Duration | None = None) -> None:
        """Return when the manager has stopped; raise what stopped it, if that was not ``kill()``.

        Raises ``WaitTimeout`` if it has not stopped within ``timeout``, a ``timedelta`` or seconds.
        """
        self._crew.wait(as_timeout(timeout, "wait for the manager's end"))

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

    def _prepare(self, namespace: str) -> None:
        if self._prometheus is not None:
            self._prometheus.prepare(namespace)

    def _ended(self) -> None:
        """Its series go out of the registerer, so that the next manager can register its own."""
        if self._prometheus is not None:
            self._prometheus.close()


def _make_hooks(config: ManagerConfig, log: ManagerLog) -> tuple[Any, Hooks]:
    from lease_actors.observability.opentelemetry import tracing_hook

    prometheus = None
    if config.prometheus_registerer is not None:
        from lease_actors.observability.prometheus import PrometheusHook

        prometheus = PrometheusHook(config.prometheus_registerer)
    hooks = [prometheus, tracing_hook(config.tracer), LoggingHook(log)]
    return prometheus, Hooks([h for h in hooks if h is not None], log)
