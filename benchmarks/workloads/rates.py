"""So many a second, and how long one takes: claim+release pairs, renewals, checks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from benchmarks.adapters.base import Checkable, Client, Renewable
from benchmarks.harness.peers import Ability
from benchmarks.harness.stats import milliseconds
from benchmarks.workloads.base import Found, Place, Workload, now

Step: TypeAlias = Callable[[], bool]
"""One thing done once; False if it was refused."""

NAMES = 10
"""So many leases each thread goes through in turn."""


def pairs(place: Place) -> Found:
    def stepper(client: Client, thread: str) -> Step:
        holder, turn = f"holder-{thread}", 0

        def step() -> bool:
            nonlocal turn
            turn += 1
            name = place.lease(f"{thread}-{turn % NAMES}")
            grip = client.claim(name, holder, block=False)
            if grip is None:
                return False
            grip.release()
            return True

        return step

    return _by_threads(place, stepper, place.scale.threads)


def on_one_core(place: Place) -> Found:
    """The pairs of the most threads, all of the client's threads on one core; the server has all."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return pairs(replace(place, scale=replace(place.scale, threads=place.scale.threads[-1:])))


def renewals(place: Place) -> Found:
    def stepper(client: Client, thread: str) -> Step:
        grip = client.claim(place.lease(thread), f"holder-{thread}", block=False)
        assert isinstance(grip, Renewable)
        return _always(grip.renew)

    return _by_threads(place, stepper, _least_and_most(place))


def checks(place: Place) -> Found:
    def stepper(client: Client, thread: str) -> Step:
        grip = client.claim(place.lease(thread), f"holder-{thread}", block=False)
        assert isinstance(grip, Checkable)
        return _always(grip.check)

    return _by_threads(place, stepper, _least_and_most(place))


def _least_and_most(place: Place) -> tuple[int, ...]:
    return (place.scale.threads[0], place.scale.threads[-1])


def _always(call: Callable[[], None]) -> Step:
    def step() -> bool:
        call()
        return True

    return step


def _by_threads(
    place: Place, stepper: Callable[[Client, str], Step], each: tuple[int, ...]
) -> Found:
    found: Found = {}
    for threads in each:
        client = place.connect()

        def step_of(number: int) -> Step:
            # Not the names of the turn before: what was claimed there may be held still.
            return stepper(client, f"{threads}-{number}")  # noqa: B023  (called before the next)

        found[str(threads)] = rate(place, step_of, threads)
        client.close()
    return found


class _Tally:
    """What one thread did within the time that counts."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.refused = 0
        self.error: BaseException | None = None


def rate(place: Place, stepper: Callable[[int], Step], threads: int) -> Found:
    """So many threads, each doing its step over and over."""
    scale = place.scale
    tallies = [_Tally() for _ in range(threads)]
    ready = threading.Barrier(threads + 1)
    begin = end = float("inf")

    def work(number: int, tally: _Tally) -> None:
        try:
            step = stepper(number)
            step()  # so that connecting is not measured
            ready.wait()
            before = now()
            while before < end:
                done = step()
                after = now()
                if begin <= after < end:
                    tally.took.append(after - before)
                    tally.refused += not done
                before = after
        except BaseException as error:
            tally.error = error
            ready.abort()

    crew = [threading.Thread(target=work, args=(n, t)) for n, t in enumerate(tallies)]
    for thread in crew:
        thread.start()
    try:
        ready.wait()
    except threading.BrokenBarrierError:
        pass  # one of them says why
    begin = now() + scale.warm_up
    end = begin + scale.seconds
    for thread in crew:
        thread.join()
    for tally in tallies:
        if tally.error is not None and not isinstance(tally.error, threading.BrokenBarrierError):
            raise tally.error
    took = [each for tally in tallies for each in tally.took]
    refused = sum(tally.refused for tally in tallies)
    if not took:
        return {"count": 0, "per_second": 0.0, "refused": refused}
    return {"per_second": len(took) / scale.seconds, "refused": refused, **milliseconds(took)}


PAIRS = Workload(
    name="pairs",
    title="Claim and release, nobody else wants it",
    run=pairs,
    needs=(Ability.CLAIM,),
)
ONE_CORE = Workload(
    name="one-core",
    title="The same on one core",
    run=on_one_core,
    needs=(Ability.CLAIM,),
)
RENEWALS = Workload(name="renewals", title="Renewals", run=renewals, needs=(Ability.RENEW,))
CHECKS = Workload(name="checks", title="Checks", run=checks, needs=(Ability.CHECK,))
