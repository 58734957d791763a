"""The manager's manifold: its configuration, its inputs, and what it makes of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from opentelemetry import trace
from prometheus_client import CollectorRegistry

from lease_actors import Key, Manager, ManagerConfig, MemoryStore, SqlStore
from lease_actors.errors import NotValid
from lease_actors.manifold import (
    ManifoldConfig,
    Worker,
    constant,
    manifold,
    new_secretary_finder,
    new_store,
    new_worker,
)
from lease_actors.secretaries import Secretaries
from lease_actors.testing.clock import FakeClock

CONTROLLER = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
MODEL = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
ENTITY = "abcdef12-9dad-11d1-80b4-00c04fd430c8"
LOGGER = logging.getLogger("lease-manifold")

FIELDS = [
    "agent_name",
    "clock_name",
    "db_accessor_name",
    "trace_name",
    "logger",
    "log_dir",
    "prometheus_registerer",
    "new_worker",
    "new_store",
    "new_secretary_finder",
]


@dataclass
class Agent:
    entity_uuid: Any = ENTITY
    controller_uuid: Any = CONTROLLER


class Tracer(trace.NoOpTracer):
    pass


class Provider:
    def __init__(self, error: Exception | None = None) -> None:
        self.tracer = Tracer()
        self._error = error

    def get_tracer(self, name: str) -> trace.Tracer:
        if self._error is not None:
            raise self._error
        return self.tracer


class Made:
    """Takes the place of the manager, the store and the finder, and remembers what it got."""

    def __init__(self) -> None:
        self.worker = constant("a worker").start(str)
        self.store = MemoryStore()
        self.finder = Secretaries()
        self.calls: list[tuple[Any, ...]] = []

    def new_worker(self, config: ManagerConfig) -> Worker:
        self.calls.append(("worker", config))
        return self.worker

    def new_store(self, db_getter: Any, logger: logging.Logger) -> MemoryStore:
        self.calls.append(("store", db_getter, logger))
        return self.store

    def new_secretary_finder(self, uuid: str) -> Secretaries:
        self.calls.append(("finder", uuid))
        return self.finder


@pytest.fixture
def config(tmp_path: Path) -> ManifoldConfig:
    return ManifoldConfig("agent", "clock", "db", "trace", LOGGER, tmp_path, CollectorRegistry())


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
def stubbed(config: ManifoldConfig, made: Made) -> ManifoldConfig:
    return replace(
        config,
        new_worker=made.new_worker,
        new_store=made.new_store,
        new_secretary_finder=made.new_secretary_finder,
    )


def getter(**changes: Any) -> Callable[[str], Any]:
    outputs = {"agent": Agent(), "clock": FakeClock(), "db": "sqlite://", "trace": Tracer()}
    outputs |= changes

    def get(name: str) -> Any:
        if isinstance(outputs[name], Exception):
            raise outputs[name]
        return outputs[name]

    return get


def test_a_whole_configuration_is_valid_and_frozen(config: ManifoldConfig) -> None:
    config.validate()
    assert [field.name for field in fields(config)] == FIELDS
    assert config.new_worker is new_worker
    assert config.new_store is new_store
    assert config.new_secretary_finder is new_secretary_finder
    with pytest.raises(FrozenInstanceError):
        config.agent_name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        (field, wrong)
        for field in FIELDS
        for wrong in (None, "", 42, object)
        if not (callable(wrong) and field.startswith("new_"))  # that is something to call
    ],
)
def test_a_wrong_field_is_named(config: ManifoldConfig, field: str, wrong: Any) -> None:
    with pytest.raises(NotValid, match=rf"configuration has .* ?{field} \("):
        replace(config, **{field: wrong}).validate()


@pytest.mark.parametrize("first", range(len(FIELDS)))
def test_the_first_missing_field_is_named(config: ManifoldConfig, first: int) -> None:
    missing: dict[str, Any] = dict.fromkeys(FIELDS[first:])
    with pytest.raises(NotValid, match=f"the manifold's configuration has no {FIELDS[first]} "):
        replace(config, **missing).validate()


def test_the_inputs_are_in_order(config: ManifoldConfig) -> None:
    assert manifold(config).inputs == ("agent", "clock", "db", "trace")


def test_the_start_validates_first(config: ManifoldConfig) -> None:
    with pytest.raises(NotValid, match="has no logger"):
        manifold(replace(config, logger=None)).start(str)  # type: ignore[arg-type]


def test_the_start_makes_a_manager_of_its_inputs(stubbed: ManifoldConfig, made: Made) -> None:
    clock, tracer = FakeClock(), Tracer()
    lease_manager = manifold(stubbed)
    worker = lease_manager.start(getter(clock=clock, trace=tracer))
    assert worker is made.worker
    assert made.calls[:2] == [("finder", CONTROLLER), ("store", "sqlite://", LOGGER)]
    [(_, config)] = made.calls[2:]
    config.validate()
    assert config == ManagerConfig(
        made.store,
        secretary_finder=made.finder,
        tracer=tracer,
        logger=LOGGER,
        clock=clock,
        max_sleep=timedelta(minutes=1),
        entity_uuid=ENTITY,
        log_dir=stubbed.log_dir,
        prometheus_registerer=stubbed.prometheus_registerer,
    )


def test_a_plain_string_is_an_agent_too(stubbed: ManifoldConfig, made: Made) -> None:
    manifold(stubbed).start(getter(agent=CONTROLLER))
    assert made.calls[0] == ("finder", CONTROLLER)
    assert made.calls[2][1].entity_uuid == CONTROLLER


@pytest.mark.parametrize("agent", [None, "", 3, Agent(controller_uuid=None), Agent(ENTITY, "")])
def test_an_agent_without_a_controller_is_refused(stubbed: ManifoldConfig, agent: Any) -> None:
    with pytest.raises(NotValid, match="has no controller_uuid"):
        manifold(stubbed).start(getter(agent=agent))


def test_an_agent_without_an_entity_is_refused(stubbed: ManifoldConfig) -> None:
    with pytest.raises(NotValid, match="has no entity_uuid"):
        manifold(stubbed).start(getter(agent=Agent(entity_uuid=None)))


@pytest.mark.parametrize(
    "given", [None, object(), OSError("no tracer"), Provider(OSError("no tracer"))]
)
def test_a_failing_tracer_is_done_without(
    stubbed: ManifoldConfig, made: Made, given: object
) -> None:
    manifold(stubbed).start(getter(trace=given))
    assert type(made.calls[2][1].tracer) is trace.NoOpTracer


def test_a_tracer_may_come_from_a_provider(stubbed: ManifoldConfig, made: Made) -> None:
    provider = Provider()
    manifold(stubbed).start(getter(trace=provider))
    assert made.calls[2][1].tracer is provider.tracer


@pytest.mark.parametrize("name", ["agent", "clock", "db"])
def test_another_input_that_fails_is_a_failed_start(stubbed: ManifoldConfig, name: str) -> None:
    with pytest.raises(OSError, match="away"):
        manifold(stubbed).start(getter(**{name: OSError("away")}))


def test_the_store_is_closed_if_there_is_no_manager_to_do_it(
    stubbed: ManifoldConfig, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(made.store, "close", lambda: closed.append(True))

    def fail(config: ManagerConfig) -> Worker:
        raise OSError("no worker")

    with pytest.raises(OSError, match="no worker"):
        manifold(replace(stubbed, new_worker=fail)).start(getter())
    assert closed == [True]


def test_the_output_is_the_manager(config: ManifoldConfig, made: Made) -> None:
    output = manifold(config).output
    assert output is not None
    assert output(made.worker) is made.worker

    class Wrapper:
        manager = "the manager"

    assert output(Wrapper()) == "the manager"
    with Manager(ManagerConfig(MemoryStore())) as manager:
        assert output(manager) is manager


def test_new_worker_is_a_manager() -> None:
    worker = new_worker(ManagerConfig(MemoryStore()))
    assert isinstance(worker, Manager)
    worker.kill()
    worker.wait(10)


def test_a_store_is_made_of_whatever_leads_to_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'leases.db'}"
    engine = sa.create_engine(url)

    class Accessor:
        def get_db(self) -> sa.Engine:
            return engine

    for given in (url, sa.make_url(url), engine, lambda: url, lambda: engine, Accessor()):
        store = new_store(given, LOGGER)
        assert isinstance(store, SqlStore)
        store.open(FakeClock())
        store.begin("a start")
        store.close()
    engine.dispose()


def test_a_getter_that_fails_is_a_failed_start() -> None:
    def fail() -> str:
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        new_store(fail, LOGGER)


def test_two_namespaces_have_rules_of_their_own() -> None:
    finder = new_secretary_finder(CONTROLLER)
    finder.secretary_for("anything").check_lease(Key("anything", "", "any-lease"))
    with pytest.raises(NotValid):
        finder.secretary_for("with white space")

    leadership = finder.secretary_for("application-leadership")
    leadership.check_lease(Key("application-leadership", MODEL, "redis"))
    with pytest.raises(NotValid):
        leadership.check_holder("machine-0")

    singular = finder.secretary_for("singular-controller")
    singular.check_lease(Key("singular-controller", MODEL, CONTROLLER))
    singular.check_lease(Key("singular-controller", MODEL, MODEL))
    with pytest.raises(NotValid, match="neither the controller's UUID nor the model's"):
        singular.check_lease(Key("singular-controller", MODEL, ENTITY))
    with pytest.raises(NotValid):
        singular.check_lease(Key("singular-controller", "redis", "redis"))
