"""A few numbers that stand for many."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Their p50 and p99, and how many they are."""
    return {
        "count": len(seconds),
        "p50_ms": round(percentile(seconds, 50) * 1e3, 4),
        "p99_ms": round(percentile(seconds, 99) * 1e3, 4),
    }


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The least, the median, the greatest."""
    return min(values), statistics.median(values), max(values)
