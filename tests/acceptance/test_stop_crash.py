"""An actor that crashes or is stopped from outside: nobody hangs, and ``wait`` says what it was."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pykka
import pytest
from support.faults import PATIENCE, FaultyStore, Hang
from support.managers import Calling, Log, advance_until, blocked, managing, waits

from lease_actors import LeaseError, Manager, ManagerConfig, ManagerStopped, MemoryStore, dump
from lease_actors.actors import work
from lease_actors.observability.logging import ManagerLog
from lease_actors.testing.clock import FakeClock


def test_an_error_in_the_rules_stops_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(ManagerConfig(MemoryStore()))
    claimer = manager.claimer("ns")
    claimer.claim("app", "me", 60)
    future = claimer.claim_future("app", "you", 60)
    blocked(manager, 1)

    def broken(*_: object) -> None:
        raise RuntimeError("a rule is broken")

    monkeypatch.setattr(work, "decide_batch", broken)
    with pytest.raises(ManagerStopped):
        claimer.claim("other", "me", 60)
    with pytest.raises(ManagerStopped):
        future.get(timeout=PATIENCE)
    with pytest.raises(RuntimeError, match="a rule is broken"):
        manager.wait(PATIENCE)
    with pytest.raises(ManagerStopped):
        claimer.claim("other", "me", 60)


@pytest.mark.parametrize("which", ["manager", "expiry", "secretary", "keeper"])
def test_an_actor_stopped_from_outside_takes_the_manager_along(which: str) -> None:
    manager = Manager(ManagerConfig(MemoryStore()))
    claimer = manager.claimer("ns")
    claimer.claim("app", "me", 60)
    future = claimer.claim_future("app", "you", 60)
    blocked(manager, 1)
    crew = manager._crew
    actors = {
        "manager": crew.manager,
        "expiry": crew.expiry,
        "secretary": crew._secretaries["ns"],
        "keeper": crew.keeper,
    }
    actors[which].stop(block=False)
    with pytest.raises(ManagerStopped):
        future.get(timeout=PATIENCE)
    with pytest.raises(ManagerStopped, match="stopped from outside"):
        manager.wait(PATIENCE)


def test_stop_all_behind_its_back_ends_every_call() -> None:
    manager = Manager(ManagerConfig(MemoryStore()))
    claimer = manager.claimer("ns")
    claimer.claim("app", "me", 60)
    claims = [Calling(claimer.claim, "app", f"me-{n}", 60, wait=None) for n in range(8)]
    ends = [Calling(claimer.wait_until_expired, "app") for _ in range(8)]
    blocked(manager, 8)
    waits(manager, 8)
    pykka.ActorRegistry.stop_all()
    for call in claims + ends:
        assert isinstance(call.ended(), ManagerStopped)
    with pytest.raises(ManagerStopped):
        manager.wait(PATIENCE)


def test_stop_all_in_a_storm_of_calls_leaves_nobody_hanging() -> None:
    for _ in range(10):
        manager = Manager(ManagerConfig(MemoryStore()))
        claimer = manager.claimer("ns")
        go = threading.Event()

        def storm(claimer: object = claimer, go: threading.Event = go) -> None:
            go.wait()
            for n in range(1000):
                claimer.claim(f"app-{n}", "me", 60)  # type: ignore[attr-defined]

        calls = [Calling(storm) for _ in range(16)]
        go.set()
        claimer.claim("seen", "me", 60) if not manager._crew.gate.closed else None
        pykka.ActorRegistry.stop_all()
        for call in calls:
            assert call.ended() is None or isinstance(call.error, ManagerStopped)
        with pytest.raises(ManagerStopped):
            manager.wait(PATIENCE)


def stop_while_the_store_hangs(**fields: Any) -> Manager:
    """A manager that has stopped all the same, and whoever was in it has been told."""
    clock, store = FakeClock(), FaultyStore()
    with Hang() as silent:
        manager = Manager(
            ManagerConfig(store, clock=clock, attempt_timeout=86400, call_timeout=86400, **fields)
        )
        store.always(silent)
        call = Calling(manager.claimer("ns").claim, "app", "me", 60)
        assert silent.began.wait(PATIENCE)
        manager.kill()
        advance_until(clock, manager._crew._stopped.is_set, step=5)
        assert isinstance(call.ended(), LeaseError)
        silent.release()
        manager.wait(PATIENCE)
    return manager


def test_a_stop_that_takes_too_long_leaves_a_dump_and_stops_all_the_same(tmp_path: object) -> None:
    log = Log()
    manager = stop_while_the_store_hangs(log_dir=str(tmp_path), logger=log.logger)
    [record] = log.wait_for("dump")
    assert record.levelname == "WARNING"
    with open(f"{tmp_path}/lease-manager-debug.log", encoding="utf-8") as file:
        text = file.read()
    assert manager.report()["entity-uuid"] in text
    assert "outstanding-claims: 1" in text
    assert "lease transactor" in text
    assert "Hang" in text or "_released.wait" in text


def test_a_dump_holds_names_that_are_no_unicode(tmp_path: Path) -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="caf\udce9", daemon=True)
    thread.start()
    try:
        dump.write(tmp_path, 0, {}, ManagerLog(Log().logger, "entity"))
    finally:
        done.set()
        thread.join(PATIENCE)
    assert "---- thread caf\\udce9\n" in (tmp_path / dump.NAME).read_text(encoding="utf-8")


def test_a_dump_that_fails_keeps_no_stop_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise UnicodeError("what is this?")

    monkeypatch.setattr(dump, "write", broken)
    stop_while_the_store_hangs()


def test_a_secretary_that_blocks_for_ever_delays_its_own_namespace_only() -> None:
    class Stuck:
        def __init__(self) -> None:
            self.began, self.released = threading.Event(), threading.Event()

        def secretary_for(self, namespace: str) -> object:
            from lease_actors.secretaries import DefaultSecretary

            return self if namespace == "stuck" else DefaultSecretary()

        def check_lease(self, key: object) -> None:
            self.began.set()
            self.released.wait(PATIENCE)

        def check_holder(self, name: str) -> None: ...

        def check_duration(self, duration: object) -> None: ...

    finder = Stuck()
    with managing(MemoryStore(), FakeClock(), secretary_finder=finder) as manager:
        future = manager.claimer("stuck").claim_future("app", "me", 60)
        assert finder.began.wait(PATIENCE)
        assert manager.claimer("ns").claim("app", "me", 60).term == 1
        assert future.cancel()
        finder.released.set()


def test_a_hook_that_raises_is_logged_once_and_harms_nobody() -> None:
    from opentelemetry import trace

    class Broken(trace.NoOpTracer):
        def start_span(self, *args: object, **kwargs: object) -> trace.Span:
            raise RuntimeError("no span for you")

    log = Log()
    with managing(MemoryStore(), tracer=Broken(), logger=log.logger) as manager:
        for n in range(3):
            assert manager.claimer("ns").claim(f"app-{n}", "me", 60).term == 1
    warnings = [r for r in log.records if "hook" in r.getMessage() and "failed" in r.getMessage()]
    assert len(warnings) == 1
