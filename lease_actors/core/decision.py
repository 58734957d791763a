"""What goes into a decision and what comes out of it, as values.

In go the circumstances (:class:`Context`), beside a state and an operation. Out come the state,
an *outcome*, which answers the caller (a refusal is an error *value*, raised only in the caller's
thread), and *effects*: what others must be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from lease_actors.core.model import ClaimId, Ending, Instant, Key, LeaseState, Micros, Offer, Tenure
from lease_actors.errors import LeaseError


class Context(NamedTuple):
    """The circumstances of a decision."""

    now: Instant
    start: str
    """The start of the manager that decides."""
    offer_window: Micros
    absent: frozenset[str] = frozenset()
    """Starts found absent earlier in this batch."""
    reached_since: Instant = 0
    """The decider has reached its store without a gap since then. An offer made before is not
    judged: its silence may have been the decider's own."""
    interrupted: bool = False
    """There was such a gap: it is not just that the decider was started since. Those who were
    started since give one window more between them: a lease for which only short-lived processes
    ask would else be on offer to a dead one for ever."""


# -- outcomes: what the caller is told ---------------------------------------------------


class Granted(NamedTuple):
    """The claimant has the lease. ``extended``: it had it before."""

    tenure: Tenure
    pinned: bool
    extended: bool


@dataclass(frozen=True, slots=True)
class Queued:
    """The claim is blocked, in its place."""


class Standing(NamedTuple):
    """This tenure stands, and its end is to be waited for."""

    tenure: Tenure


@dataclass(frozen=True, slots=True)
class Done:
    """It is so."""


class Pending(NamedTuple):
    """It will be so when the guards on that term are gone."""

    term: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """The tenure stands, and will for as long as was asked."""


QUEUED = Queued()
DONE = Done()
RENEWED = Renewed()

Outcome: TypeAlias = Granted | Queued | Standing | Done | Pending | Renewed | LeaseError


# -- effects: what others must be told ---------------------------------------------------


class Began(NamedTuple):
    """A tenure began. ``claim``: the blocked claim that it is given to, if it was blocked."""

    key: Key
    tenure: Tenure
    pinned: bool
    claim: ClaimId | None = None


class Ended(NamedTuple):
    """A tenure ended."""

    key: Key
    tenure: Tenure
    how: Ending
    at: Instant


class Offered(NamedTuple):
    """Another process should look: the lease is offered to its claim."""

    key: Key
    offer: Offer


class Missed(NamedTuple):
    """That process let an offer lapse."""

    start: str


class LookAgain(NamedTuple):
    """Somebody further back in the queue may be next: look once more, soon."""

    key: Key


Effect: TypeAlias = Began | Ended | Offered | Missed | LookAgain


class Decision(NamedTuple):
    """What becomes of it."""

    state: LeaseState
    outcome: Outcome
    effects: tuple[Effect, ...] = ()
