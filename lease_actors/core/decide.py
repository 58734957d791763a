"""THE rules: what becomes of one lease when something is asked of it.

Theory of operation
===================

A lease is in one of four states. Every operation first brings the lease to the present
(:func:`settle`), then applies its own rule; so it does not matter when, or whether, anybody
has tidied up.

::

                    claim                          the queue's first is another process's
        +--------> HELD <------ confirm ------ OFFERED <-----------------+
        |           |                           |    |                   |
      FREE          | release, revoke, expiry   |    | lapse, decline,   |
        ^           v                           |    | revoke            |
        |      [hand over] <--------------------+----+                   |
        |        |      |                                                |
        +--------+      +------------------------------------------------+
      nobody waits     somebody waits: HELD at once if this process decides for its own claim

    HELD, and a user's transaction is guarding it when it should end --> ENDING
    ENDING: nothing extends it, nobody else has it; over when the last guard is.

* **Term.** Every attribution to a new claim, offered or held, has a higher term than any
  before it. An extension, and the confirmation of an offer, keep theirs.
* **Hand-over.** When a tenure ends, the first live claim of the queue has the lease in the
  same decision: it is never seen free in between.
* **Offer.** A claim of another process is offered the lease until an instant written with the
  offer; that process confirms by claiming again. A missed offer makes the whole *process*
  absent: all its claims keep their places and are passed over until it shows itself. Whoever
  stops in time by itself, as a block of ``hold()`` does, may rely on an offer before it is
  confirmed: it is that claim's alone until it lapses.
* **Pins.** A pinned lease neither expires nor is revoked. When the last pin goes the tenure
  has its full duration again.
* **Nothing shortens** a tenure but a release that names an instant.

``decide`` is pure: a state, an operation and the circumstances in; a state, an outcome and
effects out (the values are those of :mod:`lease_actors.core.decision`).

Source: SEMANTICS of this project (``docs/semantics.md``); the ancestor is Juju's lease manager.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

from lease_actors.core import refusals
from lease_actors.core.decision import (
    DONE,
    QUEUED,
    RENEWED,
    Began,
    Context,
    Decision,
    Effect,
    Ended,
    Granted,
    LookAgain,
    Missed,
    Offered,
    Pending,
    Standing,
)
from lease_actors.core.model import (
    ClaimId,
    Ending,
    Instant,
    LeaseState,
    Micros,
    Offer,
    Tenure,
    Waiter,
)
from lease_actors.core.operations import (
    Cancel,
    Check,
    Claim,
    Confirm,
    Expire,
    Operation,
    Pin,
    Release,
    Renew,
    Revoke,
    Unpin,
    Wait,
)

_Settled: TypeAlias = tuple[LeaseState, tuple[Effect, ...]]


def decide(state: LeaseState, operation: Operation, context: Context) -> Decision:
    """Apply one operation to one lease."""
    if isinstance(operation, Cancel | Confirm):
        state = _leave(state, operation.claim)  # first: if its turn has just come, it is not had
    state, before = settle(state, context)
    decision = _RULES[type(operation)](state, operation, context)
    if not before:
        return decision
    outcome = decision.outcome
    if isinstance(outcome, Granted) and _began_for(operation, before):
        outcome = outcome._replace(extended=False)
    return Decision(decision.state, outcome, before + decision.effects)


def _began_for(operation: Operation, effects: tuple[Effect, ...]) -> bool:
    """Was it this very claim's turn when the lease was brought to the present?"""
    return isinstance(operation, Claim) and any(
        isinstance(e, Began) and e.claim == operation.claim for e in effects
    )


# -- the present -------------------------------------------------------------------------


def settle(state: LeaseState, context: Context) -> _Settled:
    """Bring the lease to the present: end what is over, hand on what is free."""
    tenure, offer = state.tenure, state.offer
    if tenure is not None:
        overdue = tenure.expiry <= context.now and not state.pins
        if not overdue and tenure.ending is None:
            return state, ()
        how = tenure.ending or "expired"
        if state.guarded:
            return (_mark(state, how), ()) if tenure.ending is None else (state, ())
        at = min(context.now, tenure.expiry) if how == "expired" else context.now
        return _end(state, how, at, context)
    if offer is not None:
        if context.now < offer.lapses_at:
            return state, ()
        if offer.made_at < context.reached_since and (context.interrupted or not offer.renewed):
            return _offer_again(state, offer, context)
        return _miss(state, offer, context)
    if state.queued:
        return _hand_over(state, context)
    return state, ()


def stands(state: LeaseState, now: Instant) -> bool:
    """Is there a holder whose expiry has not come, or whose lease is pinned?"""
    tenure = state.tenure
    return (
        tenure is not None and tenure.ending is None and (bool(state.pins) or now < tenure.expiry)
    )


def standing_offer(state: LeaseState, now: Instant) -> Offer | None:
    """The offer that can still be confirmed, pinned or not."""
    offer = state.offer
    return offer if offer is not None and now < offer.lapses_at else None


def due(state: LeaseState) -> Instant | None:
    """When must somebody look at this lease next, if nothing is asked of it before?"""
    if state.tenure is not None:
        if state.tenure.ending is not None:  # only a guard keeps it, and may end at any moment
            return state.tenure.granted_at
        return None if state.pins else state.tenure.expiry
    return state.offer.lapses_at if state.offer is not None else None


# -- the steps the rules are made of -----------------------------------------------------


def _mark(state: LeaseState, how: Ending) -> LeaseState:
    assert state.tenure is not None
    return state._replace(tenure=state.tenure._replace(ending=how))


def _end(state: LeaseState, how: Ending, at: Instant, context: Context) -> _Settled:
    tenure = state.tenure
    assert tenure is not None
    state = state._replace(
        tenure=None, ended=how, ended_term=tenure.term, ended_at=at, guarded=False
    )
    ended = Ended(state.key, tenure, how, at)
    if not state.queued:
        return state, (ended,)
    state, effects = _hand_over(state, context)
    return state, (ended, *effects)


def _miss(state: LeaseState, offer: Offer, context: Context) -> _Settled:
    start = offer.claim.start
    if start == context.start:
        # It shows itself by deciding: the claim has lost its turn, and nobody is absent. To
        # find itself absent would leave the lease free over its own claims.
        return _hand_over(state._replace(offer=None), context, skip=offer.claim)
    queue = tuple(replace(w, absent=True) if w.claim.start == start else w for w in state.queue)
    state, effects = _hand_over(state._replace(offer=None, queue=queue), context)
    return state, (Missed(start), *effects)


def _hand_over(state: LeaseState, context: Context, skip: ClaimId | None = None) -> _Settled:
    """Give the free lease to the queue's first live claim, or offer it. ``skip``: anyone but it."""
    live = [w for w in state.queue if _is_next(w, state, context)]
    if not live:
        return state, ((LookAgain(state.key),) if state.horizon is not None else ())
    first = next((w for w in live if w.claim != skip), live[0])
    if first.claim.start != context.start:
        return _offer(state, first.claim, first.holder, state.term + 1, context)
    state = _leave(state, first.claim)
    state, began = _grant(state, first.holder, first.duration, state.term + 1, context, first.claim)
    return state, (began,)


def _is_next(waiter: Waiter, state: LeaseState, context: Context) -> bool:
    known = state.horizon is None or waiter.place <= state.horizon
    return known and not waiter.absent and waiter.claim.start not in context.absent


def _offer(state: LeaseState, claim: ClaimId, holder: str, term: int, context: Context) -> _Settled:
    offer = Offer(claim, holder, term, context.now, context.now + context.offer_window)
    return state._replace(offer=offer, term=term), (Offered(state.key, offer),)


def _offer_again(state: LeaseState, offer: Offer, context: Context) -> _Settled:
    lapses_at = context.now + context.offer_window
    offer = replace(offer, made_at=context.now, lapses_at=lapses_at, renewed=True)
    return state._replace(offer=offer), (Offered(state.key, offer),)


def _grant(
    state: LeaseState,
    holder: str,
    duration: Micros,
    term: int,
    context: Context,
    claim: ClaimId | None,
    until: Instant = 0,
) -> tuple[LeaseState, Began]:
    """``until``: the tenure stands to that instant at least."""
    tenure = Tenure(holder, term, context.now, duration, max(context.now + duration, until))
    state = state._replace(term=term, tenure=tenure, offer=None)
    return state, Began(state.key, tenure, bool(state.pins), claim)


def _extend(state: LeaseState, duration: Micros, now: Instant, least: Micros = 0) -> LeaseState:
    """``least``: by so much in any case. A claim leaves its trace: whoever gives the tenure back for
    another claim of that holder sees that this one was answered with it, be it elsewhere."""
    tenure = state.tenure
    assert tenure is not None
    if now + duration > tenure.expiry:
        return state._replace(tenure=tenure._replace(duration=duration, expiry=now + duration))
    return state._replace(tenure=tenure._replace(expiry=tenure.expiry + least)) if least else state


def _leave(state: LeaseState, claim: ClaimId | None) -> LeaseState:
    queue = tuple(w for w in state.queue if w.claim != claim)
    gone = len(state.queue) - len(queue)
    return state._replace(queue=queue, queued=state.queued - gone) if gone else state


# -- one rule an operation ---------------------------------------------------------------


def _claim(state: LeaseState, op: Claim, context: Context) -> Decision:
    duration = op.duration // _MICROSECOND
    tenure, offer, until = state.tenure, state.offer, 0
    if tenure is not None:
        if tenure.holder != op.holder or tenure.ending is not None:
            return _block(state, op, duration, context)
        state = _extend(state, duration, context.now, least=1)
        if op.claim is not None:
            state = _leave(state, op.claim)
        assert state.tenure is not None
        return Decision(state, Granted(state.tenure, bool(state.pins), extended=True))
    if offer is not None:
        if offer.holder != op.holder:
            return _block(state, op, duration, context)
        term = offer.term  # confirmed, by this claim or by another of the same holder
        if offer.claim != op.claim:  # whoever it was made to may rely on it already
            until = offer.lapses_at
    elif state.horizon is not None:
        return _block(state, op, duration, context)  # somebody live may be in front
    else:
        term = state.term + 1
    state = _leave(state, op.claim)
    state, began = _grant(state, op.holder, duration, term, context, op.claim, until)
    return Decision(state, Granted(began.tenure, began.pinned, extended=False), (began,))


def _block(state: LeaseState, op: Claim, duration: Micros, context: Context) -> Decision:
    if op.claim is None:
        return Decision(state, refusals.denied(state, op))
    if any(w.claim == op.claim for w in state.queue):
        return Decision(state, QUEUED)
    waiter = Waiter(state.last_place + 1, op.claim, op.holder, duration, context.now)
    state = state._replace(
        queue=(*state.queue, waiter),
        queued=state.queued + 1,
        last_place=waiter.place,
    )
    return Decision(state, QUEUED)


def _revoke(state: LeaseState, op: Revoke, context: Context) -> Decision:
    tenure, offer = state.tenure, state.offer
    had = tenure if tenure is not None else offer
    if had is None:
        return Decision(state, DONE)
    if had.holder != op.holder:
        what = f"cannot revoke lease {op.key.lease!r}"
        return Decision(state, refusals.not_held(op.key, what, op.holder, state))
    if offer is not None:
        state, effects = _hand_over(state._replace(offer=None), context, skip=offer.claim)
        return Decision(state, DONE, effects)
    assert tenure is not None
    if tenure.ending is not None:
        return Decision(state, Pending(tenure.term))
    if state.pins:
        return Decision(state, refusals.pinned(state, op))
    if state.guarded:
        return Decision(_mark(state, "revoked"), Pending(tenure.term))
    state, effects = _end(state, "revoked", context.now, context)
    return Decision(state, DONE, effects)


def _renew(state: LeaseState, op: Renew, context: Context) -> Decision:
    tenure = state.tenure
    if tenure is None or tenure.term != op.term or tenure.ending is not None:
        return Decision(state, refusals.lost(state, op))
    return Decision(_extend(state, op.duration // _MICROSECOND, context.now), RENEWED)


def _confirm(state: LeaseState, op: Confirm, context: Context) -> Decision:
    tenure, offer, duration = state.tenure, state.offer, op.duration // _MICROSECOND
    if offer is not None and (offer.term, offer.holder) == (op.term, op.holder):
        state, began = _grant(state, op.holder, duration, op.term, context, op.claim)
        # Whoever relied on the offer has had it since it was made.
        tenure = began.tenure._replace(granted_at=offer.made_at)
        return Decision(state._replace(tenure=tenure), RENEWED, (began._replace(tenure=tenure),))
    if tenure is not None and tenure.term == op.term and tenure.ending is None:
        return Decision(_extend(state, duration, context.now), RENEWED)
    effects: tuple[Effect, ...] = ()
    if offer is not None and offer.claim == op.claim:  # once more, under a later term
        state, effects = _hand_over(state._replace(offer=None), context)
    return Decision(state, refusals.lost(state, op), effects)


def _release(state: LeaseState, op: Release, context: Context) -> Decision:
    tenure = state.tenure
    if tenure is None or tenure.term != op.term or tenure.holder != op.holder:
        return Decision(state, DONE)  # that tenure has ended already
    if op.untouched is not None and op.untouched != tenure.expiry:
        return Decision(state, DONE)  # another claim of that holder has been answered with it
    if op.at is not None and op.at > context.now:
        expiry = min(tenure.expiry, op.at)
        return Decision(state._replace(tenure=tenure._replace(expiry=expiry)), DONE)
    if tenure.ending is not None or (state.pins and op.how == "released"):
        return Decision(state, DONE)  # pinned: it stays its holder's, and expires after the pins
    if state.guarded:
        return Decision(_mark(state, op.how), DONE)
    state, effects = _end(state, op.how, context.now, context)
    return Decision(state, DONE, effects)


def _check(state: LeaseState, op: Check, context: Context) -> Decision:
    tenure = state.tenure
    if tenure is not None and tenure.ending is None and tenure.holder == op.holder:
        return Decision(state, DONE)
    what = f"checked lease {op.key.lease!r}"
    return Decision(state, refusals.not_held(op.key, what, op.holder, state))


def _pin(state: LeaseState, op: Pin, context: Context) -> Decision:
    if op.entity in state.pins:
        return Decision(state, DONE)
    return Decision(state._replace(pins=(*state.pins, op.entity)), DONE)


def _unpin(state: LeaseState, op: Unpin, context: Context) -> Decision:
    if op.entity not in state.pins:
        return Decision(state, DONE)
    state = state._replace(pins=tuple(e for e in state.pins if e != op.entity))
    if not state.pins and state.tenure is not None and state.tenure.ending is None:
        state = _extend(state, state.tenure.duration, context.now)
    return Decision(state, DONE)


def _wait(state: LeaseState, op: Wait, context: Context) -> Decision:
    if state.tenure is None:
        return Decision(state, DONE)
    if not state.tenure.watched:  # written down, so that others tell of its end
        state = state._replace(tenure=state.tenure._replace(watched=True))
    assert state.tenure is not None
    return Decision(state, Standing(state.tenure))


def _cancel(state: LeaseState, op: Cancel, context: Context) -> Decision:
    if state.offer is None or state.offer.claim != op.claim:
        return Decision(state, DONE)
    state, effects = _hand_over(state._replace(offer=None), context)
    return Decision(state, DONE, effects)


def _expire(state: LeaseState, op: Expire, context: Context) -> Decision:
    return Decision(state, DONE)  # settling was all


# Each rule takes its own operation; the table is where the types meet.
_RULES: dict[type, Callable[[LeaseState, Any, Context], Decision]] = {
    Claim: _claim,
    Revoke: _revoke,
    Renew: _renew,
    Confirm: _confirm,
    Release: _release,
    Check: _check,
    Pin: _pin,
    Unpin: _unpin,
    Wait: _wait,
    Cancel: _cancel,
    Expire: _expire,
}

_MICROSECOND = timedelta(microseconds=1)
