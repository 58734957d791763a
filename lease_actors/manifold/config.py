"""The lease manager as a worker: what it needs of others, and how it is put together."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

from opentelemetry import trace
from prometheus_client import CollectorRegistry

from lease_actors.config import ManagerConfig
from lease_actors.core.model import Key
from lease_actors.errors import NotValid
from lease_actors.manager import Manager
from lease_actors.manifold.worker import GetInput, Manifold, Worker
from lease_actors.secretaries import (
    ApplicationLeadership,
    Secretaries,
    Secretary,
    SecretaryFinder,
    SingularController,
)
from lease_actors.stores import SqlStore, Store

__all__ = [
    "Agent",
    "ManifoldConfig",
    "manifold",
    "new_secretary_finder",
    "new_store",
    "new_worker",
]


class Agent(Protocol):
    """What the output of the agent's input has to offer. A plain ``str`` stands for both."""

    @property
    def entity_uuid(self) -> str:
        """The entity that the manager runs for: it labels logs and reports."""
        ...

    @property
    def controller_uuid(self) -> str:
        """The controller: the lease of the namespace ``singular-controller``."""
        ...


def new_worker(config: ManagerConfig) -> Worker:
    """A manager, started."""
    return Manager(config)


def new_store(db_getter: Any, logger: logging.Logger) -> Store:
    """The store in the database that the getter gives; its schema is made when missing.

    ``db_getter`` is something to call, or has a ``get_db()`` to call, and gives a SQLAlchemy
    engine or URL; it may also be such an engine or URL itself. It is asked at each start of
    the manager. An engine stays its owner's.
    """
    get_db: Callable[[], Any] | None = getattr(db_getter, "get_db", None)
    if get_db is None and callable(db_getter):
        get_db = db_getter
    store = SqlStore(db_getter if get_db is None else get_db(), create_schema=True)
    logger.debug("leases are kept in %r", store, extra={"action": "store_made"})
    return store


def new_secretary_finder(controller_uuid: str) -> SecretaryFinder:
    """Upstream's rules for its two namespaces, the default rules for any other."""
    return _Finder(controller_uuid)


@dataclass(frozen=True)
class ManifoldConfig:
    """What it takes to run a manager in a dependency engine.

    The first four are the names of inputs, whose outputs are: an ``Agent``; a ``Clock``; what
    ``new_store`` takes; an OpenTelemetry tracer, or something with ``get_tracer(name)``. The
    others are handed on to the manager. All are required, as they are upstream: who collects
    no metrics gives a ``CollectorRegistry()`` of its own.
    """

    agent_name: str
    clock_name: str
    db_accessor_name: str
    trace_name: str
    logger: logging.Logger
    log_dir: str | os.PathLike[str]
    prometheus_registerer: CollectorRegistry
    new_worker: Callable[[ManagerConfig], Worker] = new_worker
    new_store: Callable[[Any, logging.Logger], Store] = new_store
    new_secretary_finder: Callable[[str], SecretaryFinder] = new_secretary_finder

    def validate(self) -> None:
        """Raise ``NotValid`` for the first field that is missing or wrong, in their order."""
        for field in fields(self):
            right, what = _RULES.get(field.name, _INPUT)
            value = getattr(self, field.name)
            if not right(value):
                wrong = "no" if value is None or value == "" else f"a wrong {value!r} as its"
                raise NotValid(
                    f"the manifold's configuration has {wrong} {field.name} (it needs {what})"
                )

    @property
    def inputs(self) -> tuple[str, str, str, str]:
        """The names of the inputs."""
        return self.agent_name, self.clock_name, self.db_accessor_name, self.trace_name


def manifold(config: ManifoldConfig) -> Manifold:
    """How a dependency engine gets a manager; what it offers to others is the ``Manager``.

    An invalid configuration, or a store that is away, is a start that failed. A worker of a
    ``new_worker`` of your own is offered as it is, unless it has a ``manager`` to offer.
    """
    return Manifold(config.inputs, lambda get: _start(config, get), _output)


def _start(config: ManifoldConfig, get: GetInput) -> Worker:
    config.validate()
    agent = get(config.agent_name)
    clock = get(config.clock_name)
    database = get(config.db_accessor_name)
    tracer = _tracer(get, config.trace_name)
    finder = config.new_secretary_finder(_uuid(agent, "controller_uuid"))
    store = config.new_store(database, config.logger)
    try:
        return config.new_worker(
            ManagerConfig(
                store,
                secretary_finder=finder,
                tracer=tracer,
                logger=config.logger,
                clock=clock,
                entity_uuid=_uuid(agent, "entity_uuid"),
                log_dir=config.log_dir,
                prometheus_registerer=config.prometheus_registerer,
            )
        )
    except BaseException:
        # A manager closes its store when it stops; there is none that could.
        store.close()
        raise


def _output(worker: Any) -> Any:
    return worker if isinstance(worker, Manager) else getattr(worker, "manager", worker)


def _uuid(agent: Any, name: str) -> str:
    uuid = agent if isinstance(agent, str) else getattr(agent, name, None)
    if not isinstance(uuid, str) or not uuid:
        raise NotValid(f"the agent {agent!r} has no {name}")
    return uuid


def _tracer(get: GetInput, name: str) -> trace.Tracer:
    """Its tracer; without one, or if getting it fails, the manager works all the same."""
    try:
        given = get(name)
        tracer = given.get_tracer("lease_actors") if hasattr(given, "get_tracer") else given
    except Exception:
        tracer = None
    return tracer if callable(getattr(tracer, "start_span", None)) else trace.NoOpTracer()


class _Finder(Secretaries):
    """Any namespace; two of them under rules of their own."""

    def __init__(self, controller_uuid: str) -> None:
        super().__init__()
        self._special: dict[str, Secretary] = {
            "application-leadership": ApplicationLeadership(),
            "singular-controller": _ThisController(controller_uuid),
        }

    def secretary_for(self, namespace: str) -> Secretary:
        return self._special.get(namespace) or super().secretary_for(namespace)


class _ThisController(SingularController):
    """The lease is this controller's UUID, or that of the model it is claimed in."""

    def __init__(self, controller_uuid: str) -> None:
        super().__init__()
        self._controller_uuid = controller_uuid

    def check_lease(self, key: Key) -> None:
        super().check_lease(key)
        if key.lease not in (self._controller_uuid, key.model_uuid):
            raise NotValid("neither the controller's UUID nor the model's")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and value != ""


_INPUT = (_is_name, "the name of an input")
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "logger": (lambda value: isinstance(value, logging.Logger), "a logging.Logger"),
    "log_dir": (_is_path, "the path of a directory"),
    "prometheus_registerer": (
        lambda value: isinstance(value, CollectorRegistry),
        "a prometheus_client.CollectorRegistry",
    ),
    "new_worker": (callable, "something to call"),
    "new_store": (callable, "something to call"),
    "new_secretary_finder": (callable, "something to call"),
}
