"""The pytest plugin: a manager on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lease_actors.config import ManagerConfig
from lease_actors.manager import Manager
from lease_actors.stores import MemoryStore
from lease_actors.testing.clock import FakeClock

_PATIENCE = 10.0
"""Real seconds within which a manager must have stopped."""


@pytest.fixture
def lease_clock() -> FakeClock:
    """A clock that stands still until ``lease_clock.advance(seconds)``; one for each test."""
    return FakeClock()


@pytest.fixture
def lease_manager(lease_clock: FakeClock) -> Iterator[Manager]:
    """A manager with leases in memory, on ``lease_clock``; stopped when the test has ended.

    The test fails at its end if the manager has failed, or does not stop.
    """
    manager = Manager(ManagerConfig(MemoryStore(), clock=lease_clock))
    yield manager
    manager.kill()
    manager.wait(_PATIENCE)
