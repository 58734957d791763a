"""Blocked claims are cheap: no thread, and little memory."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator

import pytest
from acceptance.support import NS, PATIENCE, settle

from lease_actors import Manager, MemoryStore

CLAIMS = 10_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_blocked_claims_start_no_thread_and_cost_less_than_4_kb_each(
    real_manager: Manager, traced: None
) -> None:
    claimer = real_manager.claimer(NS)
    claimer.claim("db", "app", 3600)
    settle(real_manager)
    threads = threading.active_count()
    before, _ = tracemalloc.get_traced_memory()

    futures = [claimer.claim_future("db", f"app-{i}", 60) for i in range(CLAIMS)]
    settle(real_manager)

    after, _ = tracemalloc.get_traced_memory()
    assert threading.active_count() == threads
    assert real_manager.report()["blocked-claims"] == CLAIMS
    assert (after - before) / CLAIMS < 4096

    real_manager.revoker(NS).revoke("db", "app")
    assert futures[0].get(timeout=PATIENCE).holder == "app-0"
    assert threading.active_count() == threads


def test_cancelled_claims_cost_nothing(real_manager: Manager, traced: None) -> None:
    claimer = real_manager.claimer(NS)
    claimer.claim("db", "app", 3600)

    def come_and_go() -> int:
        for i in range(1000):
            claimer.claim_future("db", f"app-{i}", 60, wait=30).cancel()
        settle(real_manager)
        settle(real_manager)
        return tracemalloc.get_traced_memory()[0]

    come_and_go()
    before = come_and_go()
    assert come_and_go() - before < 200_000
