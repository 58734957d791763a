"""Many leases kept alive by one process: CPU, threads, and what it costs the server."""

from __future__ import annotations

import time

from benchmarks.adapters.base import Keeping
from benchmarks.harness.load import load_of
from benchmarks.harness.peers import Ability
from benchmarks.harness.transactions import transactions
from benchmarks.workloads.base import Found, Place, Workload, now

DURATION = 30.0
"""Seconds of each lease: it has to be renewed every ten, or so."""


def kept(place: Place) -> Found:
    client = place.connect(DURATION)
    assert isinstance(client, Keeping)
    names = [place.lease(str(n)) for n in range(place.scale.kept)]
    began = now()
    standing = client.keep(names)
    seconds = now() - began
    before, count_before = load_of(), transactions(place.url)
    server = place.server_pid
    server_before = None if server is None else load_of(server, children=True)
    watched = place.scale.kept_seconds
    time.sleep(watched)
    after, count_after = load_of(), transactions(place.url)
    found: Found = {
        "leases": len(names),
        "seconds_to_take": seconds,
        "standing": standing(),
        "threads": after.threads,
        "cpu_percent": (after.cpu - before.cpu) / watched * 100,
    }
    if server is not None and server_before is not None:
        later = load_of(server, children=True)
        found["server_cpu_percent"] = (later.cpu - server_before.cpu) / watched * 100
    if count_before is not None and count_after is not None:
        found["transactions_per_second"] = (count_after - count_before) / watched
    return found


KEPT = Workload(
    name="kept",
    title="Leases kept alive by one process",
    run=kept,
    needs=(Ability.KEEP, Ability.CLAIM),
    most_rounds=1,
    patience=150,
)
