"""What a claim costs when the store already knows many leases."""

from __future__ import annotations

import random

from benchmarks.adapters.base import Client, Fillable
from benchmarks.harness.peers import Ability
from benchmarks.workloads.base import Found, Place, Workload, now
from benchmarks.workloads.rates import Step, rate


def records(place: Place) -> Found:
    client = place.connect()
    assert isinstance(client, Fillable)
    found: Found = {}
    filled, claimable = 0, list[str]()
    pace = 0.0
    for count in place.scale.records:
        more = [place.lease(f"record-{n}") for n in range(filled, count)]
        if pace * len(more) > place.scale.fill_seconds:
            about = pace * len(more)
            found[str(count)] = {"cannot": f"to fill it would have taken about {about:.0f} s"}
            break
        began = now()
        claimable += client.fill(more)
        pace = (now() - began) / len(more)
        filled = count
        found[str(count)] = _cost(place, client, claimable)
    client.close()
    return found


def _cost(place: Place, client: Client, names: list[str]) -> Found:
    return rate(place, lambda _: _stepper(client, names), 1)


def _stepper(client: Client, names: list[str]) -> Step:
    """Claim and release one of these, at random."""
    rng = random.Random(1)

    def step() -> bool:
        grip = client.claim(rng.choice(names), "holder", block=False)
        if grip is not None:
            grip.release()
        return grip is not None

    return step


RECORDS = Workload(
    name="records",
    title="Cost against the number of leases",
    run=records,
    needs=(Ability.RECORD,),
    most_rounds=1,
    patience=180,
)
