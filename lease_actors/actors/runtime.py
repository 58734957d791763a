"""What the actors of one manager share: its means, and the figures it reports."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.expiry import WakeAt
from lease_actors.clock import Clock
from lease_actors.core.decision import Ended
from lease_actors.observability.events import Event
from lease_actors.observability.hooks import Hooks
from lease_actors.observability.logging import ManagerLog
from lease_actors.stores.base import Store


@dataclass(slots=True)
class Figures:
    """Written by the ManagerActor, read by anybody: plain numbers, each right by itself."""

    blocked_claims: int = 0
    waits: int = 0
    last_batch: int = 0
    retries: int = 0
    batches: int = 0
    """So many have been applied."""
    pausing: bool = False
    """A batch has failed, and only time brings its next attempt."""
    next_tick: int | None = None
    """The store's instant of the next look."""


@dataclass(slots=True)
class Runtime:
    """Passed in, so that nothing is global. Durations are microseconds."""

    store: Store
    clock: Clock
    alarm: Alarm
    hooks: Hooks
    log: ManagerLog
    rng: random.Random
    label: str
    """The first characters of the entity's uuid, for the names of threads."""
    max_sleep: int
    attempt_timeout: int
    idle_for: int
    wake: Callable[[WakeAt], object]
    """Tell the ExpiryActor when the manager wants to look."""
    ended: Callable[[Ended], object]
    """Tell whoever keeps leases that this tenure has ended."""
    figures: Figures = field(default_factory=Figures)
    users_of_store: list[Callable[[float], object]] = field(default_factory=list)
    """Waits, so many seconds at most, for each thread that uses the store besides the transactor:
    whoever came after it has been closed would leave an open connection behind."""

    def emit(self, event: Event) -> None:
        """Tell the hooks, if there are any."""
        self.hooks(event)


def new_start() -> str:
    """An identity for one start of a manager: never drawn twice, unlike an entity's uuid."""
    return uuid.uuid4().hex
