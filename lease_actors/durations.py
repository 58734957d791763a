"""Durations and times to wait, as users give them: a ``timedelta``, or a number of seconds."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from lease_actors.errors import NotValid

if TYPE_CHECKING:
    from lease_actors.core.model import Key

__all__ = ["Duration", "as_timedelta", "as_timeout", "as_wait"]

Duration: TypeAlias = timedelta | int | float
"""A ``timedelta``, or a number of seconds."""


def as_timedelta(value: Any) -> timedelta | None:
    """The duration as a ``timedelta``; None if it is not one (nor a finite number of seconds)."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return timedelta(seconds=value) if math.isfinite(value) else None
    except OverflowError:  # too long for a timedelta, or (from isfinite) even for a float
        return None


def as_wait(value: Any, what: Callable[[], str], key: Key | None = None) -> timedelta:
    """The time to wait as a ``timedelta``; ``NotValid`` if it is none, or negative.

    ``what`` cannot be done then, in words: asked for only if they are needed.
    """
    duration = as_timedelta(value)
    if duration is None or duration < timedelta(0):
        raise NotValid(
            f"cannot {what()}: {value!r} is not a time to wait (a timedelta, seconds, or None)",
            key=key,
        )
    return duration


def as_timeout(value: Any, what: str, key: Key | None = None) -> float | None:
    """As ``as_wait``, in seconds for which a thread can wait; None stays None: for ever."""
    if value is None:
        return None
    return min(as_wait(value, lambda: what, key).total_seconds(), threading.TIMEOUT_MAX)
