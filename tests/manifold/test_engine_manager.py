"""A real manager on a SQLite file under the engine: through a crash, and a store that is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from support.faults import PATIENCE
from support.managers import until

from lease_actors import LeaseError, Manager, NotValid, SystemClock
from lease_actors.actors.manager import Crash
from lease_actors.manifold import DependencyEngine, ManifoldConfig, manifold
from lease_actors.manifold.worker import constant


def config(tmp_path: Path) -> ManifoldConfig:
    return ManifoldConfig(
        agent_name="agent",
        clock_name="clock",
        db_accessor_name="db",
        trace_name="trace",
        logger=logging.getLogger("test"),
        log_dir=tmp_path,
        prometheus_registerer=CollectorRegistry(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def engine(tmp_path: Path, folder: Path) -> Iterator[DependencyEngine]:
    engine = DependencyEngine(
        {
            "agent": constant("f47ac10b-58cc-4372-a567-0e02b2c3d479"),
            "clock": constant(SystemClock()),
            "db": constant(f"sqlite:///{folder / 'leases.db'}"),
            "trace": constant(None),
            "leases": manifold(config(tmp_path)),
        },
        backoff=0.01,
    )
    yield engine
    engine.kill()
    engine.wait(PATIENCE)


def running(engine: DependencyEngine) -> Manager:
    found: list[Manager] = []

    def there() -> bool:
        try:
            found.append(engine.get("leases", Manager))
        except LeaseError:
            return False
        return True

    until(there, "a running manager")
    return found[-1]


def test_a_manager_that_crashed_is_started_anew_and_its_leases_are_there(
    engine: DependencyEngine, folder: Path
) -> None:
    folder.mkdir()
    first = running(engine)
    first.claimer("ns").claim("app", "me", 3600)
    first._crew.manager.tell(Crash(RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        first.wait(PATIENCE)
    until(lambda: running(engine) is not first, "another manager")
    second = running(engine)
    second.checker("ns").token("app", "me").check()
    assert engine.report()["leases"]["starts"] >= 2


def test_a_store_that_is_away_at_first_is_waited_for(
    engine: DependencyEngine, folder: Path
) -> None:
    until(lambda: engine.report()["leases"]["starts"] >= 3, "some starts that failed")
    assert "no directory" in str(engine.report()["leases"]["error"])
    folder.mkdir()
    assert running(engine).claimer("ns").claim("app", "me", 60).term == 1


def test_an_invalid_configuration_names_the_first_field_that_is_wrong(tmp_path: Path) -> None:
    good = config(tmp_path)
    good.validate()
    for field in ("agent_name", "clock_name", "db_accessor_name", "trace_name", "logger"):
        broken = {**vars(good), field: None}
        with pytest.raises(NotValid, match=field):
            ManifoldConfig(**broken).validate()
