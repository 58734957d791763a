"""Type-checked, never run: what users' own tests take from the library."""

from __future__ import annotations

from datetime import datetime, timezone

from lease_actors import Clock, Manager, ManagerConfig, MemoryStore, Store
from lease_actors.testing import FakeClock, StoreConformance

clock: Clock = FakeClock(datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc))


def test_expiry(lease_clock: FakeClock, lease_manager: Manager) -> None:
    lease_manager.claimer("jobs").claim("report", "me", 30)
    lease_clock.advance(30)


def a_manager() -> Manager:
    return Manager(ManagerConfig(MemoryStore(), clock=FakeClock()))


class TestMyStore(StoreConformance):
    def make_store(self, clock: Clock) -> Store:
        return MemoryStore()
