"""A real manager on a SQLite file, kept up by the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from manifold.stage import PATIENCE, Player, Stage
from opentelemetry import trace
from prometheus_client import CollectorRegistry

from lease_actors import Manager
from lease_actors.actors.base import tell
from lease_actors.actors.manager import Crash
from lease_actors.errors import ClaimDenied, ManagerStopped
from lease_actors.manifold import ManifoldConfig, NotRunning, constant, manifold

ENTITY = "abcdef12-9dad-11d1-80b4-00c04fd430c8"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "later" / "leases.db"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def managed(stage: Stage, tmp_path: Path, path: Path, registry: CollectorRegistry) -> Stage:
    """``manager`` on that file, with its inputs, and ``user``, which needs it."""
    config = ManifoldConfig("agent", "clock", "db", "tracing", stage.logger, tmp_path, registry)
    stage.manifolds |= {
        "agent": constant(ENTITY),
        "clock": constant(stage.clock),
        "db": constant(f"sqlite:///{path}"),
        "tracing": constant(trace.NoOpTracer()),
        "manager": manifold(config),
    }
    stage.add("user", "manager")
    return stage


def manager_of(stage: Stage) -> Manager:
    return stage.engine.get("manager", Manager)


def crash(manager: Manager) -> None:
    assert tell(manager._crew.manager, Crash(OSError("a bug")))


def test_a_manager_is_up_and_stopped_with_the_engine(managed: Stage, path: Path) -> None:
    path.parent.mkdir()
    engine = managed.run()
    managed.up("user")
    manager = manager_of(managed)
    assert managed.player("user").inputs["manager"] is manager
    assert manager.report()["entity-uuid"] == ENTITY
    assert manager.claimer("jobs").claim("report", "me", 60).term == 1
    engine.kill()
    engine.wait(PATIENCE)
    manager.wait(0)
    with pytest.raises(ManagerStopped):
        manager.claimer("jobs").claim("report", "me", 60)


def test_a_crash_of_the_manager_bounces_its_user_and_keeps_the_leases(
    managed: Stage, path: Path, registry: CollectorRegistry
) -> None:
    path.parent.mkdir()
    managed.run()
    managed.up("user")
    first = manager_of(managed)
    held = first.claimer("jobs").claim("report", "me", 60)
    blocked = first.claimer("jobs").claim_future("report", "other", 60)
    crash(first)
    with pytest.raises(ManagerStopped):
        blocked.get(timeout=PATIENCE)
    managed.until("worker-died", "manager")
    managed.until("worker-stopped", "user")
    assert managed.engine.report()["manager"]["error"] == "OSError: a bug"
    assert managed.state("user") == "waiting for manager"
    with pytest.raises(NotRunning):
        manager_of(managed)

    managed.clock.advance(1)
    managed.up("user", times=2)
    second = manager_of(managed)
    assert managed.player("user").inputs["manager"] is second is not first
    assert second.reader("jobs").leases() == {"report": "me"}
    assert second.claimer("jobs").claim("report", "me", 60).term == held.term
    with pytest.raises(ClaimDenied):
        second.claimer("jobs").claim("report", "other", 60)
    # The second has its metrics in the registry in which the first had them.
    assert registry.get_sample_value("lease_tenures_ended_total", {"how": "expired"}) == 0


def test_a_manager_whose_actors_were_stopped_from_outside_is_started_again(
    managed: Stage, path: Path
) -> None:
    path.parent.mkdir()
    managed.run()
    managed.up("user")
    manager_of(managed)._crew.manager.stop()
    managed.until("worker-died", "manager")
    assert managed.engine.report()["manager"]["error"].startswith("ManagerStopped: ")
    managed.clock.advance(1)
    managed.up("user", times=2)


def test_a_store_that_is_away_at_first_is_tried_again(managed: Stage, path: Path) -> None:
    managed.run()
    for times in (1, 2):
        managed.until("worker-died", "manager", times)
        assert managed.engine.report()["manager"]["error"].startswith("StoreError: ")
        assert managed.state("user") == "waiting for manager"
        if times == 2:
            path.parent.mkdir()
        managed.pass_delay("manager")
    managed.up("user")
    assert manager_of(managed).claimer("jobs").claim("report", "me", 60).term == 1
    assert managed.engine.report()["manager"]["starts"] == 3


def test_a_bounce_of_the_database_gives_the_manager_the_new_one(managed: Stage, path: Path) -> None:
    path.parent.mkdir()
    engines: list[sa.Engine] = []

    class Accessor:
        """Offers an engine of its own."""

        def __init__(self, player: Player) -> None:
            engines.append(sa.create_engine(f"sqlite:///{path}"))
            self._engine = engines[-1]

        def get_db(self) -> sa.Engine:
            return self._engine

    managed.add("db", output=Accessor)
    managed.run()
    managed.up("user")
    manager_of(managed).claimer("jobs").claim("report", "me", 60)
    managed.player("db").die(OSError("the server went away"))
    managed.until("worker-stopped", "manager")
    assert managed.history.index(("over", "user")) < managed.history.index(
        ("worker-stopped", "manager")
    )
    managed.clock.advance(1)
    managed.up("user", times=2)
    assert manager_of(managed).reader("jobs").leases() == {"report": "me"}
    assert len(engines) == 2
    managed.leave()
    for engine in engines:
        engine.dispose()


def test_a_registerer_that_refuses_is_a_failed_start(
    managed: Stage, path: Path, registry: CollectorRegistry
) -> None:
    path.parent.mkdir()
    managed.manifolds["second"] = managed.manifolds["manager"]
    managed.run()
    dead = managed.until_any("worker-died", "manager", "second")
    managed.up("second" if dead == "manager" else "manager")
    assert "prometheus_registerer" in managed.engine.report()[dead]["error"]
