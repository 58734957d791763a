"""Whom a decision concerns elsewhere: which other managers must look at the lease, and why.

Pure. A notice costs a server something (PostgreSQL lets commits that notify go one by one), so
there is one only where somebody may wait elsewhere.
"""

from __future__ import annotations

from lease_actors.core.decide import due
from lease_actors.core.model import ClaimId, LeaseState, Notice, Offer

__all__ = ["notices"]


def notices(before: LeaseState, after: LeaseState, start: str) -> list[Notice]:
    """What the managers other than ``start`` are to be told of this change of a lease."""
    found: list[Notice] = []
    offer = after.offer
    if offer is not None and offer != before.offer and offer.claim.start != start:
        found.append(_of_offer(after, offer))
    missed = before.offer
    if missed is not None and missed.claim.start != start and _is_absent(missed.claim, after):
        found.append(Notice(after.key, missed.claim))  # if it lives after all, let it show itself
    if after.tenure is not None and after.tenure.term != _standing(before):
        found += [
            Notice(after.key, w.claim)  # that holder has it: all its claims are met
            for w in after.queue
            if w.holder == after.tenure.holder and w.claim.start != start
        ]
    if _waits_for_its_end(before, after) or _must_look_earlier(before, after):
        found.append(Notice(after.key))
    return found


def _of_offer(state: LeaseState, offer: Offer) -> Notice:
    window = offer.lapses_at - offer.made_at
    return Notice(state.key, offer.claim, offer.term, offer.made_at, window, bool(state.pins))


def _is_absent(claim: ClaimId, state: LeaseState) -> bool:
    return any(w.claim == claim and w.absent for w in state.queue)


def _waits_for_its_end(before: LeaseState, after: LeaseState) -> bool:
    tenure = before.tenure
    return tenure is not None and tenure.watched and tenure.term != _standing(after)


def _must_look_earlier(before: LeaseState, after: LeaseState) -> bool:
    """The end of a tenure is nearer than those who wait for it were told.

    The lapse of an offer is not: whoever waits looks once a second, well within its window.
    """
    tenure = after.tenure
    if tenure is None or not (after.queued or tenure.watched):
        return False
    was, now = due(before), due(after)
    return now is not None and (was is None or now < was)


def _standing(state: LeaseState) -> int | None:
    return None if state.tenure is None else state.tenure.term
