"""Who is started, when, and what can be had of it."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from manifold.stage import PATIENCE, Player, Stage
from support.managers import NO_TIMES, Calling, until

from lease_actors.clock import from_instant
from lease_actors.errors import LeaseError, NotValid, WaitTimeout
from lease_actors.manifold import DependencyEngine, Manifold, NotRunning, Worker, constant


def never(get: object) -> Any:
    raise AssertionError("nobody starts this")


def test_an_unknown_input_is_refused() -> None:
    with pytest.raises(NotValid, match="worker 'a' has the input 'b', which is no worker here"):
        DependencyEngine({"a": Manifold(("b",), never)})


def test_a_circle_is_refused_and_named() -> None:
    manifolds = {
        "a": Manifold(("b",), never),
        "b": Manifold(("c",), never),
        "c": Manifold(("a",), never),
        "d": Manifold((), never),
    }
    with pytest.raises(NotValid, match=r"in a circle: '(.)' needs '.' needs '.' needs '\1'$") as e:
        DependencyEngine(manifolds)
    circle = str(e.value).partition("circle: ")[2]
    for one, needs in zip("abc", "bca", strict=True):
        assert f"'{one}' needs '{needs}'" in circle
    assert "'d'" not in circle


def test_who_needs_itself_is_refused() -> None:
    with pytest.raises(NotValid, match="'a' needs 'a'"):
        DependencyEngine({"a": Manifold(("a",), never)})


@pytest.mark.parametrize("wrong", [None, "a", Manifold("ab", never)])  # type: ignore[arg-type]
def test_what_is_no_manifold_is_refused(wrong: Any) -> None:
    with pytest.raises(NotValid, match="worker 'x': not a Manifold"):
        DependencyEngine({"x": wrong})


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), 61, None, "1", True])
def test_a_wrong_backoff_is_refused(wrong: Any) -> None:
    with pytest.raises(NotValid, match="backoff"):
        DependencyEngine({}, backoff=wrong)


def test_a_log_that_fails_ends_no_engine() -> None:
    class Away(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ConnectionError("the log server is away")

    logger = logging.Logger("away")  # noqa: LOG001
    logger.addHandler(Away())
    engine = DependencyEngine({"one": constant(1)}, logger=logger)
    until(lambda: engine.report()["one"]["state"] == "started")
    engine.kill()
    engine.wait(PATIENCE)


def test_an_engine_without_workers_runs_until_it_is_killed() -> None:
    engine = DependencyEngine({})
    assert isinstance(engine, Worker)
    for timeout in (0.01, timedelta(milliseconds=10)):
        with pytest.raises(WaitTimeout, match=r"not stopped within 0\.01 s"):
            engine.wait(timeout)
    engine.kill()
    engine.wait(timedelta.max)


@pytest.mark.parametrize("timeout", NO_TIMES)
def test_what_is_no_time_to_wait_is_refused(stage: Stage, timeout: Any) -> None:
    worker = constant(42).start(lambda name: None)
    for wait in (stage.run().wait, worker.wait):
        with pytest.raises(NotValid, match=r"'s end: .* not a time to wait"):
            Calling(wait, timeout).outcome()


def test_a_constant_may_be_waited_for() -> None:
    worker = constant(42).start(lambda name: None)
    for timeout in (0.01, timedelta(milliseconds=10)):
        with pytest.raises(WaitTimeout, match=r"not killed within 0\.01 s"):
            worker.wait(timeout)  # type: ignore[arg-type]
    worker.kill()
    worker.wait()


def test_each_is_started_after_its_inputs_with_their_outputs(diamond: Stage) -> None:
    diamond.run()
    diamond.up("top")
    started = diamond.order("start")
    assert started[0] == "base"
    assert started[3] == "top"
    top = diamond.player("top")
    assert top.inputs == {"left": diamond.player("left"), "right": diamond.player("right")}
    assert top.inputs["left"].inputs["base"] is top.inputs["right"].inputs["base"]
    assert sorted(started) == ["base", "left", "right", "top"]


def test_an_engine_runs_in_an_engine(diamond: Stage) -> None:
    inner = Stage()
    inner.add("worker")
    outer = DependencyEngine({"inner": Manifold((), lambda get: inner.run())})
    inner.up("worker")
    outer.kill()
    outer.wait(PATIENCE)
    assert inner.state("worker") == "stopped"


def test_get_gives_the_output_by_its_type(stage: Stage) -> None:
    stage.add("a", output=lambda player: player.name.upper())
    stage.add("b", "a")
    stage.manifolds["c"] = constant(42)
    engine = stage.run()
    stage.up("b", "c")
    assert engine.get("a", str) == "A"
    assert engine.get("b", Player) is stage.player("b")
    assert stage.player("b").inputs == {"a": "A"}
    assert engine.get("c", int) == 42


def test_get_refuses_what_is_not_to_be_had(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", before=lambda: 1 / 0)
    engine = stage.run()
    stage.up("a")
    stage.until("worker-died", "b")
    with pytest.raises(NotValid, match="there is no such worker"):
        engine.get("c", Player)
    with pytest.raises(NotValid, match=r"the output of worker 'a' is .*, not a str"):
        engine.get("a", str)
    with pytest.raises(NotRunning, match=r"'b' is not up: restarting in 1.00s .*ZeroDivision"):
        engine.get("b", Player)
    assert issubclass(NotRunning, LeaseError)
    assert issubclass(NotRunning, LookupError)


def test_an_input_not_declared_cannot_be_got(stage: Stage) -> None:
    stage.add("a")
    stage.manifolds["b"] = Manifold(("a",), lambda get: Player(stage, "b", get("c")))
    stage.run()
    stage.until("worker-died", "b")
    error = stage.engine.report()["b"]["error"]
    assert error == "NotValid: worker 'b' asks for 'c', which is not one of its inputs: 'a'"


def test_a_slow_start_delays_nobody_else(stage: Stage) -> None:
    go = threading.Event()
    stage.add("slow", before=lambda: go.wait(PATIENCE))
    stage.add("waits", "slow")
    stage.add("base")
    stage.add("quick", "base")
    stage.run()
    stage.until("start", "slow")
    stage.up("quick")
    assert stage.state("slow") == "starting"
    assert stage.state("waits") == "waiting for slow"
    go.set()
    stage.up("waits")


def test_the_report_says_what_each_is_doing(stage: Stage) -> None:
    stage.add("down", before=lambda: 1 / 0)
    stage.add("base")
    stage.add("waits", "base", "down")
    engine = stage.run(backoff=2)
    stage.up("base")
    stage.until("worker-died", "down")
    since = from_instant(stage.clock.wall())
    stage.clock.advance(0.5)
    assert engine.report() == {
        "base": {"state": "started", "since": since, "error": None, "starts": 1, "inputs": ()},
        "down": {
            "state": "restarting in 1.50s",
            "since": since,
            "error": "ZeroDivisionError: division by zero",
            "starts": 1,
            "inputs": (),
        },
        "waits": {
            "state": "waiting for down",
            "since": since,
            "error": None,
            "starts": 0,
            "inputs": ("base", "down"),
        },
    }
    assert list(engine.report()).index("waits") == 2


def test_the_log_goes_to_the_librarys_logger_by_default(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "lease_actors")
    died = threading.Event()
    dead = Player(Stage(), "x", {})
    dead.die(OSError("gone"))

    class Signal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            died.set()

    logger = logging.getLogger("lease_actors")
    logger.addHandler(handler := Signal(logging.WARNING))
    engine = DependencyEngine({"x": Manifold((), lambda get: dead)}, backoff=60)
    try:
        assert died.wait(PATIENCE)
    finally:
        engine.kill()
        engine.wait(PATIENCE)
        logger.removeHandler(handler)
    assert "worker 'x' died; starts again in 60.00s (OSError: gone)" in caplog.messages
