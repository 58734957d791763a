"""What was done, in a sentence above its table: with the figures by which it was done."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.harness.results import Results
from benchmarks.workloads import contention, kept, queue, rates

PREFIX = "about-"
"""Of its place on the page; the rest is the name of the work."""


def _pairs(results: Results) -> str:
    return f"Each thread goes through {rates.NAMES} leases of its own."


def _queue(results: Results) -> str:
    return (
        f"All {results.head['scale']['waiters']} in one process, {queue.APART * 1e3:g} ms apart;"
        " each gives it back as soon as it has it."
    )


def _contention(results: Results) -> str:
    return (
        f"Each claims, keeps it for {contention.HOLD * 1e3:g} ms, releases, claims again, for"
        f" {results.head['scale']['contention_seconds']:g} seconds. A fair queue gives everyone the"
        " same number of turns."
    )


def _kept(results: Results) -> str:
    return (
        f"All by one process, each for {kept.DURATION:g} seconds, watched for"
        f" {results.head['scale']['kept_seconds']:g}."
    )


ABOUT: dict[str, Callable[[Results], str]] = {
    "pairs": _pairs,
    "queue": _queue,
    "contention": _contention,
    "kept": _kept,
}
