"""What dies is started again, and takes along what depends on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from manifold.stage import PATIENCE, Stage

from lease_actors.manifold import Manifold, NotRunning


def failing(*errors: BaseException | None) -> Any:
    """Raises one error a call, or nothing where it is None, or all have been raised."""
    left: Iterator[BaseException | None] = iter(errors)

    def fail() -> None:
        error = next(left, None)
        if error is not None:
            raise error

    return fail


def test_a_crash_bounces_those_that_depend_on_it_in_reverse_order(diamond: Stage) -> None:
    diamond.run()
    diamond.up("top")
    first = diamond.player("base")
    first.die(OSError("gone"))
    diamond.until("worker-stopped", "left")
    diamond.until("worker-stopped", "right")
    killed = diamond.order("kill")
    assert killed[0] == "top"
    assert sorted(killed) == ["left", "right", "top"]
    assert diamond.history.index(("over", "top")) < diamond.history.index(("kill", "left"))
    assert diamond.state("left") == diamond.state("right") == "waiting for base"
    assert diamond.state("top") == "waiting for left, right"
    report = diamond.engine.report()["base"]
    assert report["error"] == "OSError: gone"

    diamond.clock.advance(1)
    diamond.up("top", times=2)
    top = diamond.player("top")
    assert top.inputs["left"].inputs["base"] is diamond.player("base") is not first
    assert [entry["starts"] for entry in diamond.engine.report().values()] == [2, 2, 2, 2]
    assert diamond.engine.report()["base"]["error"] is None


def test_a_crash_in_the_middle_leaves_the_others_alone(diamond: Stage) -> None:
    diamond.run()
    diamond.up("top")
    diamond.player("left").die()
    diamond.until("worker-stopped", "top")
    assert diamond.engine.report()["left"]["error"] == (
        "RuntimeError: it ended by itself, without an error"
    )
    diamond.clock.advance(1)
    diamond.up("top", times=2)
    assert diamond.order("kill") == ["top"]
    starts = {name: entry["starts"] for name, entry in diamond.engine.report().items()}
    assert starts == {"base": 1, "left": 2, "right": 1, "top": 2}


def test_nobody_is_killed_before_its_dependents_have_stopped(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.add("c", "b")
    engine = stage.run()
    stage.up("c")
    c = stage.player("c")
    c.lingers = True
    stage.player("a").die()
    stage.until("kill", "c")
    assert stage.state("b") == stage.state("c") == "stopping"
    with pytest.raises(NotRunning):
        engine.get("b", object)

    # The one that died does not wait for them; those that must go do not see its new life.
    stage.clock.advance(1)
    stage.up("a", times=2)
    assert stage.order("kill") == ["c"]
    assert stage.state("c") == "stopping"
    c.die()
    stage.up("c", times=2)
    assert stage.order("kill") == ["c", "b"]
    assert stage.player("b").inputs["a"] is stage.player("a")


def test_the_delay_doubles_up_to_a_minute_with_jitter(stage: Stage) -> None:
    stage.add("a", before=failing(*[OSError()] * 9))
    stage.run()
    delays: list[float] = []
    for times in range(1, 10):
        stage.until("worker-died", "a", times)
        delays.append(stage.delay("a"))
        stage.clock.advance(delays[-1] - 0.02)
        assert stage.state("a").startswith("restarting in 0.0")
        stage.clock.advance(0.04)
    stage.up("a")
    assert delays[0] == 1
    longest = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(1 <= d <= most for d, most in zip(delays, longest, strict=True))
    assert max(delays) > 16
    assert len(set(delays)) > 5


def test_a_minute_of_running_resets_the_delay(stage: Stage) -> None:
    stage.add("a", before=failing(*[OSError()] * 4))
    stage.run()
    for times in range(1, 5):
        stage.until("worker-died", "a", times)
        stage.pass_delay("a")
    stage.up("a")
    stage.clock.advance(59.9)
    stage.player("a").die()
    stage.until("worker-died", "a", 5)
    assert stage.delay("a") > 1
    stage.pass_delay("a")
    stage.up("a", times=2)
    stage.clock.advance(60)
    stage.player("a").die()
    stage.until("worker-died", "a", 6)
    assert stage.delay("a") == 1


@pytest.mark.parametrize(("ran", "resets"), [(60, True), (59, False)])
def test_a_minute_of_running_that_ended_with_its_input_resets_the_delay_too(
    stage: Stage, ran: float, resets: bool
) -> None:
    stage.add("a")
    stage.add("b", "a", before=failing(*[OSError()] * 4))
    stage.run()
    for times in range(1, 5):
        stage.until("worker-died", "b", times)
        stage.pass_delay("b")
    stage.up("b")
    stage.clock.advance(ran)
    stage.player("a").die()
    stage.until("worker-stopped", "b")
    stage.pass_delay("a")
    stage.up("b", times=2)
    stage.player("b").die()
    stage.until("worker-died", "b", 5)
    assert (stage.delay("b") == 1) is resets


@pytest.mark.parametrize("error", [OSError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_start_that_raises_is_reported_and_tried_again(
    stage: Stage, error: BaseException
) -> None:
    stage.add("a", before=failing(error))
    stage.add("b", "a")
    stage.add("other")
    stage.run()
    stage.until("worker-died", "a")
    stage.up("other")
    assert stage.engine.report()["a"]["error"] == f"{type(error).__name__}: {error}"
    assert stage.state("b") == "waiting for a"
    stage.clock.advance(1)
    stage.up("b")
    assert stage.times("kill", "other") == 0


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_worker_that_dies_of_anything_is_reported(stage: Stage, error: BaseException) -> None:
    stage.add("a")
    stage.run()
    stage.up("a")
    stage.player("a").die(error)
    stage.until("worker-died", "a")
    assert stage.engine.report()["a"]["error"] == f"{type(error).__name__}: {error}"


def test_what_is_no_worker_is_reported(stage: Stage) -> None:
    stage.manifolds["a"] = Manifold((), lambda get: "no worker")  # type: ignore[arg-type,return-value]
    stage.run()
    stage.until("worker-died", "a")
    error = stage.engine.report()["a"]["error"]
    assert error == "NotValid: start of worker 'a' returned 'no worker', which has no kill and wait"


def test_a_worker_without_its_output_is_killed_and_started_again(stage: Stage) -> None:
    errors = failing(LookupError("no output"))
    stage.add("a", output=lambda player: errors())
    stage.add("b", "a")
    stage.run()
    stage.until("worker-died", "a")
    assert stage.order("kill") == ["a"]
    assert stage.engine.report()["a"]["error"] == "LookupError: no output"
    assert stage.state("a") == "restarting in 1.00s"
    stage.clock.advance(1)
    stage.up("b")


def test_a_start_whose_input_went_away_meanwhile_is_killed_and_made_again(stage: Stage) -> None:
    go = threading.Event()
    stage.add("a")
    stage.add("b", "a", before=lambda: go.wait(PATIENCE))
    stage.run()
    stage.until("start", "b")
    stage.player("a").die()
    stage.until("worker-died", "a")
    stage.clock.advance(1)
    stage.up("a", times=2)
    assert stage.state("b") == "stopping"
    go.set()
    stage.up("b")
    assert stage.order("kill") == ["b"]
    assert stage.times("start", "b") == 2
    assert stage.player("b").inputs["a"] is stage.player("a")


def test_a_kill_that_raises_is_reported_and_two_never_run_at_once(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.run()
    stage.up("b")
    b = stage.player("b")
    b.kill_raises = SystemExit("not me")
    stage.player("a").die()
    stage.until("worker-unkillable", "b")
    assert stage.engine.report()["b"]["error"] == "SystemExit: not me"
    stage.clock.advance(1)
    stage.up("a", times=2)
    assert stage.state("b") == "stopping"
    assert stage.times("start", "b") == 1
    b.die()
    stage.up("b", times=2)


def test_a_worker_that_raises_when_stopped_is_reported_and_started_at_once(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.run()
    stage.up("b")
    b = stage.player("b")
    b.lingers = True
    stage.player("a").die()
    stage.until("kill", "b")
    b.die(OSError("badly"))
    stage.until("worker-stopped", "b")
    assert stage.engine.report()["b"]["error"] == "OSError: badly"
    stage.clock.advance(1)
    stage.up("b", times=2)
    assert stage.engine.report()["b"]["error"] is None


def test_one_that_waits_for_its_delay_is_not_started_sooner_by_its_inputs(stage: Stage) -> None:
    stage.add("a")
    stage.add("b", "a")
    stage.run()
    stage.up("b")
    stage.player("b").die()
    stage.until("worker-died", "b")
    stage.clock.advance(0.5)
    stage.player("a").die()
    stage.until("worker-died", "a")
    stage.clock.advance(0.5)
    stage.clock.advance(0.5)
    stage.up("a", times=2)
    stage.up("b", times=2)
    assert stage.player("b").inputs["a"] is stage.player("a")
