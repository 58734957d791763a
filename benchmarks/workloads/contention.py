"""Many processes want the same lease, all the time, and each keeps it for 10 ms: who gets it?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.crew import crew_of
from benchmarks.harness.peers import Ability
from benchmarks.workloads.base import Found, Place, Workload

HOLD = 0.010
WARM_UP = 1.0


@dataclass
class Score:
    """Memory that all the processes share."""

    ready: Any
    go: Any
    turns: Any
    """So many turns each has had."""
    inside: Any
    """Who is in there; only the lease guards it."""
    overlaps: Any
    """So many times each met another in there."""


def contention(place: Place) -> Found:
    processes = place.scale.processes
    with crew_of(place) as crew:
        context = crew.context
        score = Score(
            ready=context.Semaphore(0),
            go=context.Event(),
            turns=context.RawArray("l", processes),
            inside=context.RawValue("l", -1),
            overlaps=context.RawArray("l", processes),
        )
        for number in range(processes):
            crew.start(_contend, place, number, score)
        for _ in range(processes):
            score.ready.acquire()
        score.go.set()
        time.sleep(WARM_UP)
        before = list(score.turns)
        time.sleep(place.scale.contention_seconds)
        turns = [after - b for after, b in zip(score.turns, before, strict=True)]
        crew.check()  # whoever has died had no turns any more: that is no unfairness
    return _fairness(turns, place.scale.contention_seconds, sum(score.overlaps))


def _fairness(turns: list[int], seconds: float, overlaps: int) -> Found:
    mean = sum(turns) / len(turns)
    return {
        "processes": len(turns),
        "seconds": seconds,
        "turns_per_second": sum(turns) / seconds,
        "mean": mean,
        "least": min(turns),
        "most": max(turns),
        "off_percent": max(abs(t - mean) for t in turns) / mean * 100 if mean else None,
        "overlaps": overlaps,
    }


def _contend(place: Place, number: int, score: Score) -> None:
    client = place.connect()
    name, holder = place.lease("contention"), f"contender-{number}"
    score.ready.release()
    score.go.wait()
    while True:  # until the crew is ended
        grip = client.claim(name, holder, block=True)
        assert grip is not None
        met_another = score.inside.value != -1
        score.inside.value = number
        time.sleep(HOLD)
        met_another |= score.inside.value != number
        score.inside.value = -1
        score.overlaps[number] += met_another
        score.turns[number] += 1
        grip.release()


CONTENTION = Workload(
    name="contention",
    title="48 processes, one lease, 10 ms each",
    run=contention,
    needs=(Ability.WAIT, Ability.PROCESSES, Ability.CLAIM),
    most_rounds=1,
    patience=120,
)
