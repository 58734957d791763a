"""What every kind of work is given, and what it says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.adapters.base import Client, connect
from benchmarks.harness.peers import Ability, Peer

Found = dict[str, Any]
"""What was measured, as JSON can say it."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of everything."""

    rounds: int = 3
    seconds: float = 0.7
    """Of each measurement of a rate."""
    warm_up: float = 0.2
    threads: tuple[int, ...] = (1, 8, 64)
    """Of claims and releases; of renewals and checks the first and the last."""
    hand_over_seconds: float = 1.5
    waiters: int = 50
    queues: int = 2
    """So many times, one queue after the other."""
    processes: int = 48
    contention_seconds: float = 8.0
    duration: float = 5.0
    """Of the lease whose holder is killed."""
    crashes: int = 5
    """At once, each with a lease of its own."""
    blocked: tuple[int, ...] = (1_000, 10_000)
    records: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    fill_seconds: float = 25.0
    """A store that would take longer to fill is not filled any further."""
    kept: int = 10_000
    kept_seconds: float = 15.0


FULL = Scale()
QUICK = Scale(
    rounds=1,
    seconds=0.2,
    warm_up=0.05,
    threads=(1, 8),
    hand_over_seconds=0.5,
    waiters=10,
    queues=1,
    processes=4,
    contention_seconds=1.0,
    duration=2.0,
    crashes=1,
    blocked=(100,),
    records=(100, 1_000),
    fill_seconds=5.0,
    kept=100,
    kept_seconds=1.5,
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """One peer, its server, and how much is asked."""

    peer: Peer
    url: str
    server_pid: int | None
    scale: Scale
    prefix: str
    """Every lease's name begins with it, so that no measurement meets what another left."""

    def connect(self, duration: float = 60.0) -> Client:
        return connect(self.peer.module, self.url, duration, dict(self.peer.options))

    def lease(self, name: str) -> str:
        return f"{self.prefix}-{name}"


@dataclass(frozen=True, kw_only=True)
class Workload:
    name: str
    title: str
    run: Callable[[Place], Found]
    needs: tuple[Ability, ...] = ()
    most_rounds: int | None = None
    """Fewer than all, where one takes long and tells enough."""
    patience: float = 60.0
    """Seconds after which the measurement is given up."""

    def refusal(self, peer: Peer) -> str | None:
        """Why that peer cannot do it; None if it can."""
        return next((peer.lacks[need] for need in self.needs if need in peer.lacks), None)


def now() -> float:
    """Seconds on a clock that all processes of the machine share."""
    return time.monotonic()
