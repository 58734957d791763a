"""Thousands of blocked claims in one process: memory, threads, CPU, here and at the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from benchmarks.adapters.base import Client, Queueing
from benchmarks.harness.load import Load, load_of
from benchmarks.harness.peers import Ability
from benchmarks.workloads.base import Found, Place, Workload, now

SETTLED = 1.5
WATCHED = 1.5
PATIENCE = 30.0


def blocked(place: Place) -> Found:
    client = place.connect()
    name = place.lease("blocked")
    held = client.claim(name, "holder", block=True)
    assert held is not None  # and kept: some peers release what nobody refers to
    before, server_before = load_of(), _server(place)
    found: Found = {}
    made = 0
    for count in place.scale.blocked:
        if count > place.peer.most_waiters:
            found[str(count)] = {"cannot": place.peer.because}
            continue
        began = now()
        try:
            _add(client, name, made, count)
        except (TimeoutError, RuntimeError) as error:
            found[str(count)] = {"cannot": f"{error}"}
            break
        made = count
        seconds = now() - began
        time.sleep(SETTLED)
        found[str(count)] = {"seconds": seconds, **_weigh(place, count, before, server_before)}
    return found


def _server(place: Place) -> Load | None:
    if place.server_pid is None:
        return None
    return load_of(place.server_pid, children=True)


def _weigh(place: Place, count: int, before: Load, server_before: Load | None) -> Found:
    began, here, there = now(), load_of(), _server(place)
    time.sleep(WATCHED)
    here_later, there_later = load_of(), _server(place)
    watched = now() - began  # more, where thousands of threads poll and leave us no time
    found: Found = {
        "bytes_each": (here.memory - before.memory) / count,
        "threads": here.threads - before.threads,
        "cpu_percent": (here_later.cpu - here.cpu) / watched * 100,
    }
    if server_before is not None and there is not None and there_later is not None:
        found["server_bytes_each"] = (there.memory - server_before.memory) / count
        found["server_cpu_percent"] = (there_later.cpu - there.cpu) / watched * 100
    return found


def _add(client: Client, name: str, made: int, count: int) -> None:
    """Claims more, until so many are blocked."""
    holders = [f"waiter-{n}" for n in range(made, count)]
    if isinstance(client, Queueing):
        waiting = client.queue(name, holders)
        _until(lambda: waiting() >= count, f"blocked {{}} of {count:,}", waiting)
        return
    asking: list[str] = []
    through: list[str] = []

    def wait(holder: str) -> None:
        asking.append(holder)
        try:
            client.claim(name, holder, block=True)
            through.append("it was not blocked")
        except Exception as error:
            through.append(f"{type(error).__name__}: {error}")

    give_up = now() + PATIENCE
    for number, holder in enumerate(holders):
        if now() > give_up:
            raise TimeoutError(f"only {made + number:,} threads ran within {PATIENCE:g} s")
        threading.Thread(target=wait, args=(holder,), daemon=True).start()
    _until(
        lambda: len(asking) >= len(holders),
        f"only {{}} of {len(holders):,} threads ran",
        lambda: len(asking),
    )
    if through:
        raise RuntimeError(f"{len(through):,} of {len(holders):,} do not wait: {through[0]}")


def _until(condition: Callable[[], bool], message: str, count: Callable[[], int]) -> None:
    give_up = now() + PATIENCE
    while not condition():
        if now() > give_up:
            raise TimeoutError(f"{message.format(count())} within {PATIENCE:g} s")
        time.sleep(0.01)


BLOCKED = Workload(
    name="blocked",
    title="Blocked claims in one process",
    run=blocked,
    needs=(Ability.WAIT, Ability.CLAIM),
    most_rounds=1,
    patience=150,
)
