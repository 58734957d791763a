"""A stop reaches everyone, in order, and waits for nobody who will not go."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pykka
import pytest
from manifold.stage import PATIENCE, Stage

from lease_actors.errors import ManagerStopped, WaitTimeout
from lease_actors.manifold import NotRunning
from lease_actors.manifold.life import Life


def test_each_is_killed_after_its_dependents_have_stopped(diamond: Stage) -> None:
    diamond.run()
    diamond.up("top")
    diamond.player("top").lingers = True
    diamond.engine.kill()
    diamond.until("kill", "top")
    assert diamond.order("kill") == ["top"]
    with pytest.raises(WaitTimeout, match=r"still there: .*top"):
        diamond.engine.wait(0)
    diamond.player("top").die()
    diamond.engine.wait(PATIENCE)
    killed = diamond.order("kill")
    assert killed[0] == "top"
    assert killed[3] == "base"
    for side in ("left", "right"):
        assert diamond.history.index(("over", side)) < diamond.history.index(("kill", "base"))
    assert {entry["state"] for entry in diamond.engine.report().values()} == {"stopped"}


def test_one_that_lingers_delays_only_what_it_depends_on(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.add("other")
    stage.run()
    stage.up("b", "other")
    stage.player("b").lingers = True
    stage.engine.kill()
    stage.until("worker-stopped", "other")
    assert stage.times("kill", "a") == 0


def test_after_the_stop_nothing_is_to_be_had_and_nothing_starts(stage: Stage) -> None:
    stage.add("a")
    stage.add("down", before=lambda: 1 / 0)
    engine = stage.run()
    stage.up("a")
    stage.until("worker-died", "down")
    engine.kill()
    engine.kill()
    engine.wait(PATIENCE)
    engine.wait()
    with pytest.raises(NotRunning, match="'a' is not up: stopped"):
        engine.get("a", object)
    stage.clock.advance(60)
    engine.kill()
    assert stage.times("start", "down") == 1
    assert stage.state("down") == "stopped"
    assert engine.report()["down"]["error"] == "ZeroDivisionError: division by zero"


def test_a_start_under_way_is_waited_for_and_killed(stage: Stage) -> None:
    go = threading.Event()
    stage.add("a")
    stage.add("slow", "a", before=lambda: go.wait(PATIENCE))
    stage.run()
    stage.until("start", "slow")
    stage.engine.kill()
    stage.engine.kill()
    assert stage.times("kill", "a") == 0
    go.set()
    stage.engine.wait(PATIENCE)
    assert stage.order("kill") == ["slow", "a"]


def test_a_start_that_fails_during_the_stop_is_no_hindrance(stage: Stage) -> None:
    go = threading.Event()

    def fail() -> None:
        go.wait(PATIENCE)
        raise OSError("too late")

    stage.add("slow", before=fail)
    stage.run()
    stage.until("start", "slow")
    stage.engine.kill()
    go.set()
    stage.engine.wait(PATIENCE)
    assert stage.engine.report()["slow"]["error"] == "OSError: too late"


def test_a_kill_that_hangs_delays_nobody_but_its_inputs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    stage.add("a")
    stage.add("b")
    stage.run()
    stage.up("a", "b")
    monkeypatch.setattr(stage.player("a"), "kill", lambda: go.wait(PATIENCE))
    stage.engine.kill()
    stage.until("worker-stopped", "b")
    go.set()
    stage.player("a").die()


def test_a_kill_that_raises_does_not_hold_up_the_stop(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.run()
    stage.up("b")
    stage.player("b").kill_raises = OSError("not me")
    stage.engine.kill()
    stage.engine.wait(PATIENCE)
    assert stage.order("kill") == ["b", "a"]
    assert stage.engine.report()["b"]["error"] == "OSError: not me"


def test_one_that_could_not_be_killed_before_does_not_hold_up_the_stop(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.run()
    stage.up("b")
    stage.player("b").kill_raises = OSError("not me")
    stage.player("a").die()
    stage.until("worker-unkillable", "b")
    stage.engine.kill()
    stage.engine.wait(PATIENCE)
    assert stage.state("b") == "stopped"


def test_an_error_when_stopped_is_reported_and_not_raised(stage: Stage) -> None:
    stage.add("a")
    stage.run()
    stage.up("a")
    stage.player("a").lingers = True
    stage.engine.kill()
    stage.until("kill", "a")
    stage.player("a").die(OSError("badly"))
    stage.engine.wait(PATIENCE)
    assert stage.engine.report()["a"]["error"] == "OSError: badly"


def test_stop_all_behind_its_back_stops_the_workers_in_order_too(diamond: Stage) -> None:
    engine = diamond.run()
    diamond.up("top")
    pykka.ActorRegistry.stop_all()
    with pytest.raises(ManagerStopped, match="stopped from outside"):
        engine.wait(PATIENCE)
    killed = diamond.order("kill")
    assert (killed[0], killed[3]) == ("top", "base")
    engine.kill()
    assert diamond.state("base") == "stopped"
    del diamond.engine


def test_stop_all_during_a_slow_start_kills_what_comes_of_it(stage: Stage) -> None:
    go = threading.Event()
    stage.add("slow", before=lambda: go.wait(PATIENCE))
    engine = stage.run()
    stage.until("start", "slow")
    pykka.ActorRegistry.stop_all()
    with pytest.raises(WaitTimeout):
        engine.wait(0)
    go.set()
    with pytest.raises(ManagerStopped):
        engine.wait(PATIENCE)
    assert stage.order("kill") == ["slow"]
    del stage.engine


def test_an_error_in_the_engine_itself_stops_it_in_order(
    diamond: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = diamond.run()
    diamond.up("top")
    broken = OSError("no randomness")

    def fail(*args: object) -> int:
        raise broken

    monkeypatch.setattr(diamond.rng, "randint", fail)
    diamond.player("left").die()
    with pytest.raises(OSError, match="no randomness"):
        engine.wait(PATIENCE)
    assert diamond.order("kill")[-1] == "base"
    del diamond.engine


def test_an_engine_that_cannot_even_stop_in_order_kills_all_the_same(
    diamond: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = diamond.run()
    diamond.up("top")

    def fail() -> int:
        raise OSError("no time")

    monkeypatch.setattr(diamond.clock, "wall", fail)
    engine.kill()
    with pytest.raises(OSError, match="no time"):
        engine.wait(PATIENCE)
    for name in ("top", "left", "right", "base"):
        diamond.until("over", name)
    del diamond.engine


def test_want_of_threads_is_a_failed_start(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Life._thread

    def cannot(self: Life, what: str, target: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Life, "_thread", cannot)
    stage.add("a")
    stage.run()
    stage.until("worker-died", "a")
    assert stage.engine.report()["a"]["error"] == "RuntimeError: can't start new thread"
    monkeypatch.setattr(Life, "_thread", real)
    stage.clock.advance(1)
    stage.up("a")


def test_a_stop_starts_no_thread(diamond: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = diamond.run()
    diamond.up("top")

    def cannot(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", cannot)
    engine.kill()
    engine.wait(PATIENCE)
    assert len(diamond.order("kill")) == 4


def test_a_forgotten_engine_stops_its_workers_first_thing_at_exit() -> None:
    script = """
        import atexit, threading, time
        from lease_actors.manifold import DependencyEngine, Manifold, NotRunning

        class Worker:
            def __init__(self, name):
                self.name, self.over = name, threading.Event()
                atexit.register(self.die)      # as a manager does
            def die(self):
                if not self.over.is_set():
                    print(self.name, "ended by itself")
                self.over.set()
            def kill(self):
                print(self.name, "killed", flush=True)
                self.over.set()
            def wait(self, timeout=None):
                self.over.wait(timeout)

        engine = DependencyEngine({
            "a": Manifold((), lambda get: Worker("a")),
            "b": Manifold(("a",), lambda get: Worker("b")),
            "c": Manifold(("b",), lambda get: Worker("c")),
        }, backoff=0.001)
        while True:
            try:
                engine.get("c", Worker)
                break
            except NotRunning:
                time.sleep(0.001)
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert out.stdout.splitlines() == ["c killed", "b killed", "a killed"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_child_there_is_nothing_of_it(stage: Stage) -> None:
    stage.add("a")
    engine = stage.run()
    stage.up("a")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            engine.kill()
            try:
                engine.get("a", object)
            except NotRunning:
                try:
                    engine.wait()
                except ManagerStopped:
                    status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert stage.state("a") == "started"
