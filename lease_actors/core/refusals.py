"""Refusals, in words: what was tried, on which lease, for whom, why not, and what to do.

The rules decide that something is refused; here it is said. The one thing decided here is the
reason of a loss, which is told from what the row remembers of the tenure's end.
"""

from __future__ import annotations

from lease_actors.core.model import Key, LeaseState
from lease_actors.core.operations import Claim, Confirm, Renew, Revoke
from lease_actors.errors import ClaimDenied, LeaseLost, LeasePinned, NotHeld

__all__ = ["denied", "lost", "not_held", "pinned"]


def denied(state: LeaseState, op: Claim) -> ClaimDenied:
    if state.tenure is not None:
        why = f"{state.tenure.holder!r} holds it"
        if state.tenure.ending is not None:
            why += " until the transaction that guards it ends"
    elif state.offer is not None:
        why = f"it is offered to {state.offer.holder!r}"
    else:
        why = "others wait in front"
    return ClaimDenied(
        f"cannot claim lease {op.key.lease!r} for holder {op.holder!r}: {why}"
        " (claim with wait=… to queue)",
        key=op.key,
    )


def not_held(key: Key, what: str, holder: str, state: LeaseState) -> NotHeld:
    tenure, offer = state.tenure, state.offer
    if tenure is not None and tenure.holder == holder:
        why = "its tenure is ending"
    elif tenure is not None:
        why = f"{tenure.holder!r} does"
    elif offer is not None:
        why = f"it is offered to {offer.holder!r}, who has not confirmed"
    else:
        why = "nobody does"
    return NotHeld(f"{what}: {holder!r} does not hold it, {why}", key=key)


def lost(state: LeaseState, op: Renew | Confirm) -> LeaseLost:
    tenure = state.tenure
    ended = state.ended if state.ended_term == op.term else None
    if tenure is not None and tenure.term == op.term:
        ended = tenure.ending
    if ended == "revoked":
        reason, why = "revoked", "it was revoked"
    elif tenure is not None and tenure.term > op.term:
        reason, why = "taken", f"{tenure.holder!r} holds it under a later term"
    elif ended == "expired":
        reason, why = "expired", "it has expired"
    else:
        reason, why = "unknown", "its tenure is over"
    what = f"cannot {op.kind} lease {op.key.lease!r} for holder {op.holder!r}, term {op.term}"
    return LeaseLost(f"{what}: {why}", key=op.key, reason=reason)


def pinned(state: LeaseState, op: Revoke) -> LeasePinned:
    entities = ", ".join(map(repr, state.pins))
    return LeasePinned(
        f"cannot revoke lease {op.key.lease!r} from holder {op.holder!r}:"
        f" it is pinned by {entities} (unpin it first)",
        key=op.key,
    )
