"""The holder is killed (kill -9): when does the one who waits have the lease?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from benchmarks.adapters.base import Renewable
from benchmarks.harness.crew import Crew, crew_of
from benchmarks.harness.peers import Ability
from benchmarks.workloads.base import Found, Place, Workload, now

SETTLED = 0.5


@dataclass
class Pair:
    """One that holds and one that waits."""

    victim: ForkServerProcess
    holder: Connection
    waiter: Connection


def take_over(place: Place) -> Found:
    """Several pairs at once, each with a lease of its own: they do nothing but wait."""
    with crew_of(place) as crew:
        pairs = [_pair(crew, place, place.lease(str(n))) for n in range(place.scale.crashes)]
        for pair in pairs:  # all are connected by now: what is held must not run out meanwhile
            pair.holder.recv()
            pair.waiter.recv()
        for pair in pairs:
            pair.holder.send("claim")
        for pair in pairs:
            pair.holder.recv()
            pair.waiter.send("claim")
        time.sleep(SETTLED)
        renewed, killed = [], []
        for pair in pairs:
            pair.holder.send("renew")
            renewed.append(pair.holder.recv())
            pair.victim.kill()
            killed.append(now())
            pair.victim.join()
        claimed = [pair.waiter.recv() for pair in pairs]
    return {
        "duration": place.scale.duration,
        "after_kill": [c - k for c, k in zip(claimed, killed, strict=True)],
        "after_renewal": [c - r for c, r in zip(claimed, renewed, strict=True) if r is not None],
    }


def _pair(crew: Crew, place: Place, name: str) -> Pair:
    holder, end = crew.context.Pipe()
    victim = crew.start(_hold, place, name, end)
    waiter, end = crew.context.Pipe()
    crew.start(_wait, place, name, end)
    return Pair(victim, holder, waiter)


def _hold(place: Place, name: str, end: Connection) -> None:
    client = place.connect(place.scale.duration)
    end.send("connected")
    end.recv()
    grip = client.claim(name, "victim", block=True)
    end.send("held")
    end.recv()
    before = now()  # a lease lasts from before its renewal was asked for
    if isinstance(grip, Renewable):
        grip.renew()
        end.send(before)
    else:
        end.send(None)
    time.sleep(600)  # until it is killed


def _wait(place: Place, name: str, end: Connection) -> None:
    client = place.connect(place.scale.duration)
    end.send("connected")
    end.recv()
    client.claim(name, "heir", block=True)
    end.send(now())
    time.sleep(600)  # until the crew is ended


TAKE_OVER = Workload(
    name="take-over",
    title="Take-over after kill -9",
    run=take_over,
    needs=(Ability.WAIT, Ability.PROCESSES, Ability.CRASH, Ability.CLAIM),
    most_rounds=1,
)
