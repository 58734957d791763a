"""What a claim costs when the store already knows many leases."""

from __future__ import annotations

import random

from benchmarks.adapters.base import Fillable
from benchmarks.harness.peers import Ability
from benchmarks.workloads.base import Found, Place, Workload, now
from benchmarks.workloads.rates import rate


def records(place: Place) -> Found:
    client = place.connect()
    assert isinstance(client, Fillable)
    rng = random.Random(1)
    found: Found = {}
    names: list[str] = []
    pace = 0.0
    for count in place.scale.records:
        more = [place.lease(f"record-{n}") for n in range(len(names), count)]
        if pace * len(more) > place.scale.fill_seconds:
            about = pace * len(more)
            found[str(count)] = {"cannot": f"to fill it would have taken about {about:.0f} s"}
            break
        began = now()
        client.fill(more)
        pace = (now() - began) / len(more)
        names += more

        def step() -> bool:
            grip = client.claim(rng.choice(names), "holder", block=False)
            if grip is not None:
                grip.release()
            return grip is not None

        found[str(count)] = rate(place, lambda _: step, 1)  # noqa: B023  (called before the next)
    client.close()
    return found


RECORDS = Workload(
    name="records",
    title="Cost against the number of leases",
    run=records,
    needs=(Ability.RECORD,),
    most_rounds=1,
    patience=180,
)
