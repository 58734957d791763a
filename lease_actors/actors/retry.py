"""How long to wait before the next attempt (upstream's figures)."""

from __future__ import annotations

import random

MOST = 10
"""So many times a batch is tried again."""

_FIRST = 0.05
_FACTOR = 1.6


def delay(attempt: int, rng: random.Random) -> float:
    """Seconds before the attempt after the ``attempt``-th (from 1): full jitter.

    50 ms × 1.6^n as the upper bound, so that many who failed at once do not come back at once.
    """
    return rng.uniform(0, _FIRST * _FACTOR ** (attempt - 1))
