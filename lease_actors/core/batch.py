"""Many operations at one instant: what a batch needs to see, and what it decides.

Pure as :mod:`lease_actors.core.decide`, on which it rests: operations are applied strictly in
order, each to the state that the one before it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lease_actors.core.decide import decide
from lease_actors.core.decision import Context, Decision, Ended, Missed
from lease_actors.core.model import (
    ClaimId,
    Key,
    LeaseState,
    Need,
    Notice,
    PastTenure,
    sole_need,
)
from lease_actors.core.notices import notices
from lease_actors.core.operations import Cancel, Claim, Confirm, Operation, Release, Revoke


class Decided(NamedTuple):
    """A batch, decided."""

    decisions: Sequence[Decision]
    """One an operation, in order."""
    states: Mapping[Key, LeaseState]
    """Every state that was looked at, as it is now."""
    changed: Sequence[LeaseState]
    """Those of them that are not as they were."""
    absent: frozenset[str]
    """The starts that were found absent."""
    notices: Sequence[Notice]
    """What other managers are to be told."""
    ended: Sequence[PastTenure] = ()
    """The tenures that ended, in order."""


def needs(operations: Iterable[Operation]) -> dict[Key, Need]:
    """How much of which leases these operations can touch.

    An operation can use up two heads of the queue: one when the lease is brought to the
    present, and one by its own rule.
    """
    needed: dict[Key, Need] = {}
    for op in operations:
        claim: ClaimId | None = op.claim if isinstance(op, Claim | Cancel | Confirm) else None
        ends = isinstance(op, Revoke | Release)
        need = needed.get(op.key)
        if need is None and claim is None and not ends:
            needed[op.key] = sole_need()
            continue
        heads = 2 if need is None else need.heads + 2
        claims = frozenset() if need is None else need.claims
        needed[op.key] = Need(
            heads,
            claims if claim is None else claims | {claim},
            ends or (need is not None and need.ends),
        )
    return needed


def decide_batch(
    states: Mapping[Key, LeaseState], operations: Iterable[Operation], context: Context
) -> Decided:
    """Apply the operations in order; a process found absent is absent for all that follow."""
    current = dict(states)
    decisions: list[Decision] = []
    ended: list[PastTenure] = []
    for op in operations:
        decision = decide(current[op.key], op, context)
        current[op.key] = decision.state
        decisions.append(decision)
        for effect in decision.effects:
            if isinstance(effect, Ended):
                ended.append(past_tenure(effect))
            elif isinstance(effect, Missed):
                context = context._replace(absent=context.absent | {effect.start})
    changed = [state for key, state in current.items() if state is not states[key]]
    told: list[Notice] = []
    for state in changed:
        told += notices(states[state.key], state, context.start)
    return Decided(decisions, current, changed, context.absent, told, ended)


def past_tenure(end: Ended) -> PastTenure:
    """What is to be recorded of it."""
    tenure = end.tenure
    return PastTenure(end.key, tenure.holder, tenure.term, tenure.granted_at, end.at, end.how)
