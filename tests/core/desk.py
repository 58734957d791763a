"""A desk on which one lease is laid out and something is asked of it; shared by these tests.

The instant is an awkward one (a leap day, odd microseconds), so that nothing works by roundness.
Durations are written in seconds, instants in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from lease_actors.core.decide import decide
from lease_actors.core.decision import Began, Context, Decision, Effect, Ended, Offered
from lease_actors.core.model import ClaimId, Ending, Key, LeaseState, Offer, Tenure, Waiter
from lease_actors.core.operations import Claim, Operation

KEY = Key("namespace", "model", "lease")
NOW = 1_582_979_696_789_013
SECOND = 1_000_000
WINDOW = 5 * SECOND

HERE = "here"
THERE = "there"
YONDER = "yonder"


def us(seconds: float) -> int:
    """So many seconds in microseconds."""
    return round(seconds * SECOND)


def claim(holder: str, seconds: float = 60, id: ClaimId | None = None) -> Claim:
    return Claim(KEY, holder, timedelta(seconds=seconds), id)


def context(
    now: int = NOW,
    start: str = HERE,
    absent: Iterable[str] = (),
    reached_since: int = 0,
    interrupted: bool = False,
) -> Context:
    return Context(now, start, WINDOW, frozenset(absent), reached_since, interrupted)


def tenure(
    holder: str = "alice",
    term: int = 7,
    *,
    left: float = 60,
    seconds: float = 60,
    ending: Ending | None = None,
) -> Tenure:
    """A tenure that has so many seconds ``left`` at ``NOW``."""
    expiry = NOW + us(left)
    return Tenure(holder, term, expiry - us(seconds), us(seconds), expiry, ending)


def waiter(
    place: int, start: str, holder: str | None = None, *, seconds: float = 60, absent: bool = False
) -> Waiter:
    """A blocked claim; its number is its place, its holder is named after both."""
    who = f"{start}/{place}" if holder is None else holder
    return Waiter(place, ClaimId(start, place), who, us(seconds), NOW - SECOND, absent)


def offer(to: Waiter, term: int = 8, *, made: int = NOW - SECOND) -> Offer:
    return Offer(to.claim, to.holder, term, made, made + WINDOW)


def lease(*queue: Waiter, **fields: Any) -> LeaseState:
    """A lease with that queue, its highest term that of its tenure or offer."""
    given = fields.get("offer") or fields.get("tenure")
    last = queue[-1].place if queue else 0
    row = {"term": given.term if given else 7, "queued": len(queue), "last_place": last}
    return LeaseState(KEY, queue=queue, **{**row, **fields})


def ask(state: LeaseState, *operations: Operation, **circumstances: Any) -> Decision:
    """The last decision, when all that is asked happens in turn under the same circumstances."""
    decision = Decision(state, state)  # type: ignore[arg-type]
    for operation in operations:
        decision = decide(decision.state, operation, context(**circumstances))
    return decision


def began(decision: Decision) -> list[Began]:
    return _of(decision, Began)


def ended(decision: Decision) -> list[Ended]:
    return _of(decision, Ended)


def offered(decision: Decision) -> list[Offered]:
    return _of(decision, Offered)


def holders(state: LeaseState) -> list[str]:
    """Who waits, in order."""
    return [w.holder for w in state.queue]


def _of(decision: Decision, kind: type[Effect]) -> list[Any]:
    return [e for e in decision.effects if isinstance(e, kind)]
