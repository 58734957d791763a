"""From one process to another: release called until claim returned."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.harness.crew import crew_of
from benchmarks.harness.peers import Ability
from benchmarks.harness.stats import milliseconds
from benchmarks.workloads.base import Found, Place, Workload, now

ASLEEP = (0.010, 0.030)
"""So long, at random, the holder lets the other wait: it has surely come to rest by then."""


@dataclass
class Table:
    """What the two see of each other, beside the lease."""

    asking: Any
    """A semaphore: the other is about to claim."""
    taken: Any
    """A semaphore: the other has it."""
    over: Any
    """Shared: this release is the last."""


def hand_over(place: Place) -> Found:
    with crew_of(place) as crew:
        context = crew.context
        table = Table(context.Semaphore(0), context.Semaphore(0), context.RawValue("b", 0))
        ends = []
        for number in (0, 1):
            ours, theirs = context.Pipe()
            crew.start(_contend, place, number, table, theirs)
            ends.append(ours)
        for end in ends:  # both are connected, and the first one holds it
            end.recv()
        for end in ends:
            end.send("go")
        seen = [end.recv() for end in ends]
    released = sorted(instant for each in seen for instant in each["released"])
    claimed = sorted(instant for each in seen for instant in each["claimed"])
    return milliseconds([c - r for r, c in zip(released, claimed, strict=True)])


def _contend(place: Place, number: int, table: Table, end: Connection) -> None:
    client = place.connect()
    name, holder = place.lease("hand-over"), f"contender_{number}"
    grip = client.claim(name, holder, block=True) if number == 0 else None
    end.send("ready")
    end.recv()
    give_up = now() + place.scale.hand_over_seconds
    released, claimed = [], []
    while not table.over.value:
        if grip is None:
            table.asking.release()
            grip = client.claim(name, holder, block=True)
            claimed.append(now())
            table.taken.release()
        else:
            table.asking.acquire()
            time.sleep(random.uniform(*ASLEEP))
            table.over.value = now() > give_up
            released.append(now())
            grip.release()
            grip = None
            table.taken.acquire()
    end.send({"released": released, "claimed": claimed})
    time.sleep(60)  # until the crew is ended: what a client does on closing is not measured


HAND_OVER = Workload(
    name="hand-over",
    title="Hand-over between two processes",
    run=hand_over,
    needs=(Ability.WAIT, Ability.PROCESSES),
    patience=20,
)
