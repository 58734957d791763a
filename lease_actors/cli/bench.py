"""``bench``: how many claims a second this database gives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lease_actors.cli.options import SECONDS, Target, as_json, on_store
from lease_actors.cli.output import console, print_json, print_table
from lease_actors.clock import Clock, SystemClock
from lease_actors.errors import LeaseError
from lease_actors.manager import Manager

__all__ = ["COMMANDS"]

_NAMESPACE = "lease-actors-bench"


class _Threads(click.ParamType):  # type: ignore[type-arg]  # at run time it takes none
    name = "numbers"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        parts = value.split(",")
        if not all(part.isdecimal() and 0 < int(part) <= 1000 for part in parts):
            self.fail(f"{value!r} is no list of numbers from 1 to 1000: write 1,8,64", param, ctx)
        return [int(part) for part in parts]


@dataclass(frozen=True)
class Result:
    """What a number of threads came to: pairs a second, and milliseconds a pair."""

    threads: int
    pairs_per_second: float
    p50_ms: float
    p99_ms: float


@click.command()
@click.option("--threads", "-t", type=_Threads(), default="1,8,64", show_default=True)
@click.option("--seconds", "-s", type=SECONDS, default="3", show_default=True, help="For each.")
@as_json
@on_store
def bench(target: Target, threads: list[int], seconds: float, json_: bool) -> None:
    """Measure how many leases a second are claimed and given up again.

    Each thread claims and revokes a lease of its own, in the namespace lease-actors-bench. It is a
    load on the database: think before you do it in production.
    """
    clock = SystemClock()
    with target.open(create=True, clock=clock) as manager, _progress() as progress:
        task = progress.add_task("", total=seconds * len(threads))
        results: list[Result] = []
        for count in threads:
            progress.update(task, description=f"{count} thread{'s' * (count > 1)}")
            tell = _Teller(progress, task, seconds * len(results))
            results.append(_measure(manager, clock, count, seconds, tell))
    if json_:
        print_json([asdict(result) for result in results])
        return
    rows = [
        (str(r.threads), f"{r.pairs_per_second:,.0f}", f"{r.p50_ms:.2f}", f"{r.p99_ms:.2f}")
        for r in results
    ]
    print_table((">THREADS", ">PAIRS/S", ">P50 MS", ">P99 MS"), rows)


class _Teller:
    """Moves the bar on from where this part of the measurement began."""

    def __init__(self, progress: Progress, task: TaskID, begins: float) -> None:
        self._progress, self._task, self._begins = progress, task, begins

    def __call__(self, seconds: float) -> None:
        self._progress.update(self._task, completed=self._begins + seconds)


def _progress() -> Progress:
    printer = console(stderr=True)
    printer.quiet = not printer.is_terminal  # some releases of rich end the bar that is not there
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=printer, transient=True, disable=not printer.is_terminal)


def _measure(
    manager: Manager, clock: Clock, count: int, seconds: float, tell: Callable[[float], None]
) -> Result:
    began = clock.steady()
    until = began + int(seconds * 1e6)
    workers = [_Worker(manager, clock, number, until) for number in range(count)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            while worker.is_alive():
                worker.join(0.1)
                tell((min(clock.steady(), until) - began) / 1e6)
    finally:
        for worker in workers:
            worker.until = 0
    errors = [worker.error for worker in workers if worker.error is not None]
    if errors:
        raise errors[0]
    return _result(count, clock.steady() - began, [t for w in workers for t in w.times])


def _result(threads: int, took: int, times: list[int]) -> Result:
    times.sort()
    p50, p99 = (times[int(len(times) * part)] / 1000 if times else 0.0 for part in (0.5, 0.99))
    return Result(threads, round(len(times) / took * 1e6, 1), p50, p99)


class _Worker(threading.Thread):
    def __init__(self, manager: Manager, clock: Clock, number: int, until: int) -> None:
        super().__init__(name=f"lease bench {number}", daemon=True)
        self.until = until
        self.times: list[int] = []
        self.error: LeaseError | None = None
        self._clock = clock
        self._lease, self._holder = f"bench-{number}", f"{os.getpid()}/{number}"
        self._claimer = manager.claimer(_NAMESPACE)
        self._revoker = manager.revoker(_NAMESPACE)

    def run(self) -> None:
        try:
            while (began := self._clock.steady()) < self.until:
                self._claimer.claim(self._lease, self._holder, 60, wait=60)
                self._revoker.revoke(self._lease, self._holder)
                self.times.append(self._clock.steady() - began)
        except LeaseError as error:
            self.error = error


COMMANDS = (bench,)
