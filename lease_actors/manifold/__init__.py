"""The manager as a worker of a dependency engine, and an engine for those who have none."""

from lease_actors.manifold.config import (
    Agent,
    ManifoldConfig,
    manifold,
    new_secretary_finder,
    new_store,
    new_worker,
)
from lease_actors.manifold.engine import DependencyEngine
from lease_actors.manifold.worker import Manifold, NotRunning, Worker, constant

__all__ = [
    "Agent",
    "DependencyEngine",
    "Manifold",
    "ManifoldConfig",
    "NotRunning",
    "Worker",
    "constant",
    "manifold",
    "new_secretary_finder",
    "new_store",
    "new_worker",
]
