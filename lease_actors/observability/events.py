"""What happened, as values. A hook is anything that can be called with one.

Prometheus, OpenTelemetry and whatever else wants to know are hooks; the core knows none of
them. A hook that raises is logged once and harms nobody. Instants here are the clock's steady
time in microseconds; they only serve to be subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lease_actors.core.model import Ending, Key


@dataclass(slots=True, eq=False)
class Call:
    """One call of a user, from its beginning to its answer: the same object in each event.

    ``notes`` belongs to the hooks: a span, for instance.
    """

    kind: str
    key: Key
    who: str
    """The holder, or for pins the entity; "" for a wait."""
    began: int
    notes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A caller asks, in its own thread: the place to pick up its context. Made if ``CallEnded`` is
    wanted at that moment."""

    call: Call


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A caller has its answer. ``error``: what it will be raised, or None: such are made only of
    calls that were wanted when they began."""

    call: Call
    error: BaseException | None
    ended: int


@dataclass(frozen=True, slots=True)
class BatchBegan:
    """An attempt at a transaction begins, on the thread that makes it. ``attempt`` from 1."""

    number: int
    attempt: int
    calls: Sequence[Call]
    notes: dict[str, Any] = field(default_factory=dict)
    """The hooks' own; the same dictionary as in ``BatchEnded``."""


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """An attempt has ended, on the same thread."""

    number: int
    attempt: int
    operations: int
    began: int
    ended: int
    error: BaseException | None
    notes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoreRetried:
    """A store failure that may pass; the batch is tried again after ``delay`` seconds."""

    number: int
    attempt: int
    delay: float
    error: BaseException


@dataclass(frozen=True, slots=True)
class TenureBegan:
    """This manager attributed a lease. ``waited``: seconds in the queue, None if it did not queue."""

    key: Key
    holder: str
    term: int
    waited: float | None


@dataclass(frozen=True, slots=True)
class TenureEnded:
    """This manager saw a tenure end."""

    key: Key
    holder: str
    term: int
    how: Ending


@dataclass(frozen=True, slots=True)
class Ticked:
    """The alarm rang; ``late``: seconds after the instant it was set for."""

    late: float


@dataclass(frozen=True, slots=True)
class Gauges:
    """How many there are at this moment; sent when a batch or a tick has changed them."""

    blocked_claims: int
    waits: int
    held: int


@dataclass(frozen=True, slots=True)
class KeptLeases:
    """So many tenures are kept alive at this moment."""

    kept: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """So many renewals have succeeded."""

    count: int


@dataclass(frozen=True, slots=True)
class HoldEndangered:
    """Two thirds of its duration have passed without a renewal."""

    key: Key
    holder: str
    term: int


@dataclass(frozen=True, slots=True)
class HoldLost:
    """A lease that was being kept is lost to its holder. ``reason`` as in ``LeaseLost``."""

    key: Key
    holder: str
    term: int
    reason: str


Event: TypeAlias = (
    CallBegan
    | CallEnded
    | BatchBegan
    | BatchEnded
    | StoreRetried
    | TenureBegan
    | TenureEnded
    | Ticked
    | Gauges
    | KeptLeases
    | Renewed
    | HoldEndangered
    | HoldLost
)
Hook: TypeAlias = Callable[[Event], None]
