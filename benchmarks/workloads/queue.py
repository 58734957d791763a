"""One lease through many waiters: how long until the last has had it, and in which order."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

from benchmarks.adapters.base import Client
from benchmarks.harness.peers import Ability
from benchmarks.workloads.base import Found, Place, Workload, now

APART = 0.005
"""The waiters come so many seconds after one another: there is no doubt who was first."""
SETTLED = 0.3


def queue(place: Place) -> Found:
    client = place.connect()
    passes = [_pass_through(place, client, place.lease(str(n))) for n in range(place.scale.queues)]
    client.close()
    return {
        "ms": [round(seconds * 1e3, 3) for seconds, _ in passes],
        "out_of_order": [sum(a > b for a, b in pairwise(o)) for _, o in passes],
    }


def _pass_through(place: Place, client: Client, name: str) -> tuple[float, list[int]]:
    order: list[int] = []
    errors: list[BaseException] = []

    def wait(number: int) -> None:
        try:
            grip = client.claim(name, f"waiter-{number}", block=True)
            assert grip is not None
            order.append(number)
            grip.release()
        except BaseException as error:
            errors.append(error)

    held = client.claim(name, "holder", block=True)
    assert held is not None
    crew = [threading.Thread(target=wait, args=(n,)) for n in range(place.scale.waiters)]
    for thread in crew:
        thread.start()
        time.sleep(APART)
    time.sleep(SETTLED)
    began = now()
    held.release()
    for thread in crew:
        thread.join()
    if errors:
        raise errors[0]
    return now() - began, order


QUEUE = Workload(
    name="queue",
    title="One lease through 50 waiters",
    run=queue,
    needs=(Ability.WAIT, Ability.CLAIM),
)
