"""The report: what a manager is doing, as plain values, even when it hangs."""

from __future__ import annotations

import json
import threading
from datetime import datetime

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, PATIENCE, WatchedStore, key, pass_manager, pass_time, settle

from lease_actors import Claim, Manager
from lease_actors.stores import StorePassing
from lease_actors.testing import FakeClock

KEYS = {
    "entity-uuid",
    "outstanding-claims",
    "outstanding-revokes",
    "blocked-claims",
    "waits",
    "kept-leases",
    "next-tick",
    "last-batch",
    "retries",
}


def test_report_of_an_idle_manager(open_manager: OpenManager) -> None:
    manager = open_manager(entity_uuid="4d2a")
    report = manager.report()
    assert set(report) == KEYS
    assert report["entity-uuid"] == "4d2a"
    for name in ("outstanding-claims", "outstanding-revokes", "blocked-claims", "waits"):
        assert report[name] == 0
    assert (report["kept-leases"], report["last-batch"], report["retries"]) == (0, 0, 0)


def test_report_is_plain(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    claimer.claim_future("db", "app-2", 60)
    settle(manager)
    assert json.loads(json.dumps(manager.report())) == manager.report()


def test_blocked_claims_and_waits_are_counted(manager: Manager, run: Run) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    claimer.claim("cache", "app-1", 60)
    futures = [claimer.claim_future(lease, "app-2", 60) for lease in ("db", "db", "cache")]
    started = threading.Event()
    run(lambda: claimer.wait_until_expired("db", started=started))
    assert started.wait(PATIENCE)
    settle(manager)
    report = manager.report()
    assert (report["blocked-claims"], report["waits"]) == (3, 1)
    assert report["outstanding-claims"] == 0  # they are queued

    futures[0].cancel()
    settle(manager)
    assert manager.report()["blocked-claims"] == 2
    manager.revoker(NS).revoke("db", "app-1")
    settle(manager)
    report = manager.report()
    assert (report["blocked-claims"], report["waits"]) == (1, 0)


def test_what_hangs_is_outstanding(open_manager: OpenManager, watched: WatchedStore) -> None:
    manager = open_manager(store=watched)
    claimer = manager.claimer(NS)
    settle(manager)
    watched.way_in.close()
    for i in range(3):
        claimer.claim_future(f"db-{i}", "app-1", 60)
    for _ in range(2):
        manager.ask(Claim(key("db"), "app-1", 60), block=False)  # type: ignore[arg-type]
    threads = [
        threading.Thread(target=manager.revoker(NS).revoke, args=("db", "app-1")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    watched.way_in.await_one()
    while manager.report()["outstanding-revokes"] < 4:
        pass_manager(manager)
    report = manager.report()
    assert (report["outstanding-claims"], report["outstanding-revokes"]) == (5, 4)

    watched.way_in.open()
    for thread in threads:
        thread.join(PATIENCE)
    settle(manager)
    report = manager.report()
    assert (report["outstanding-claims"], report["outstanding-revokes"]) == (0, 0)


def test_next_tick_is_the_next_expiry_that_somebody_waits_for(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    later = claimer.claim("later", "app-1", 50)
    sooner = claimer.claim("sooner", "app-1", 20)
    claimer.claim("unwanted", "app-1", 10)
    for lease in ("later", "sooner"):
        claimer.claim_future(lease, "app-2", 60)
    settle(manager)
    assert datetime.fromisoformat(manager.report()["next-tick"]) == sooner.expiry
    pass_time(manager, clock, 20)
    assert datetime.fromisoformat(manager.report()["next-tick"]) == later.expiry


def test_retries_are_counted(
    open_manager: OpenManager, watched: WatchedStore, clock: FakeClock
) -> None:
    manager = open_manager(store=watched)
    settle(manager)
    watched.failure = StorePassing("busy")
    watched.way_in.close()
    future = manager.claimer(NS).claim_future("db", "app-1", 60)
    for retries in range(1, 4):
        watched.way_in.await_one()
        watched.way_in.let_one()
        while manager.report()["retries"] < retries:
            pass_manager(manager)
        pass_manager(manager)
        clock.advance(1)  # longer than the pause before any of these attempts
    watched.failure = None
    watched.way_in.open()

    assert future.get(timeout=PATIENCE).term == 1
    assert manager.report()["retries"] == 3


def test_report_answers_after_the_stop(manager: Manager) -> None:
    manager.claimer(NS).claim("db", "app-1", 60)
    manager.kill()
    manager.wait(PATIENCE)
    assert set(manager.report()) == KEYS


@pytest.mark.parametrize("uuid", ["short", "a-very-long-one" * 10])
def test_entity_is_what_was_configured(open_manager: OpenManager, uuid: str) -> None:
    assert open_manager(entity_uuid=uuid).report()["entity-uuid"] == uuid
