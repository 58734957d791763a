"""What follows from a committed batch: who is answered, who goes on waiting, what to do next.

Lives in the ManagerActor and is touched by its thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from lease_actors.actors.attributed import Attributed, Attribution
from lease_actors.actors.kept import trusted
from lease_actors.actors.reply import Reply
from lease_actors.actors.runtime import Runtime
from lease_actors.actors.watches import Watches
from lease_actors.actors.work import Verdict
from lease_actors.clock import micros
from lease_actors.core.decide import due
from lease_actors.core.decision import (
    Began,
    Decision,
    Effect,
    Ended,
    Granted,
    LookAgain,
    Pending,
    Queued,
    Renewed,
    Standing,
)
from lease_actors.core.model import ClaimId, Instant, Key, LeaseState, Micros, Notice, Tenure
from lease_actors.core.operations import Cancel, Claim, Confirm, Expire, Release, Renew
from lease_actors.errors import LeaseError
from lease_actors.observability.events import TenureBegan, TenureEnded
from lease_actors.stores.base import Peek

_LATER = 1_000_000
"""Microseconds after which a lease is looked at that could not be looked at now."""

Post: TypeAlias = Callable[[Reply[Any], bool], None]
"""Append a reply to the line of operations; True: in front of all that wait."""


class Answers:
    """Settles replies, and keeps those who wait."""

    def __init__(self, runtime: Runtime, post: Post) -> None:
        self.watches = Watches()
        self.attributed = Attributed()
        self._runtime = runtime
        self._post = post
        self._skew = 0
        """Steady time minus store time, as the last batch saw it."""
        self._asked_again: set[Reply[Any]] = set()
        self._looking: set[Key] = set()
        self._confirming: set[ClaimId] = set()
        """Answered with an offer, and not confirmed yet."""

    # -- a batch was committed -----------------------------------------------------------

    def give(self, verdict: Verdict, start: str) -> None:
        """Answer everybody the batch decided for."""
        self._skew = verdict.read_at - verdict.now
        for reply, decision in zip(verdict.replies, verdict.decided.decisions, strict=True):
            self._answer(reply, decision, verdict)
            for effect in decision.effects:
                self._effect(effect, reply, verdict, start)
        for key, state in verdict.decided.states.items():
            if key in self.watches:
                self.watches.saw(key, state.term, verdict.sent)
                self._follow(state, verdict.now)
            if state.offer is not None and state.offer.claim.start == start:
                self._confirm(state, state.offer.claim)

    def _answer(self, reply: Reply[Any], decision: Decision, verdict: Verdict) -> None:
        outcome = decision.outcome
        self._asked_again.discard(reply)
        if isinstance(reply.operation, Expire):
            self._looking.discard(reply.operation.key)
        elif isinstance(reply.operation, Confirm | Cancel):
            self._confirming.discard(reply.operation.claim)
        match outcome:
            case Granted(tenure, pinned, extended):
                self._grant(reply, tenure, pinned, verdict, new=not extended)
            case Queued():
                self._park(reply)
            case Standing() | Pending() if reply.is_settled:
                pass  # its caller left while it was on its way, and that was heard of before this
            case Standing(tenure):
                self.watches.add_end(reply, self._key(reply), tenure.term)
                reply.block()
            case Pending(term):
                reply.guarded = True
                self.watches.add_end(reply, self._key(reply), term)
            case Renewed():
                self._renewed(reply, verdict)
            case LeaseError():
                reply.fail(outcome)
            case _:
                reply.settle(None)

    def _grant(
        self, reply: Reply[Any], tenure: Tenure, pinned: bool, verdict: Verdict, *, new: bool
    ) -> None:
        op = reply.operation
        assert isinstance(op, Claim)
        # The time for which the lease is certain is counted from before it was asked for.
        since = verdict.sent if reply.blocked else reply.began
        if reply.blocked:
            self.watches.remove_claim(op)
            self._asked_again.discard(reply)  # it may be in the line, and is answered already
        until = since + tenure.expiry - verdict.now
        given = Attribution(op.key, tenure, pinned, since, until, new)
        if reply.settle(given):
            self._given(given, (verdict.read_at - reply.began) if reply.blocked else None)
        elif new:
            self._release(op.key, tenure)

    def _given(self, given: Attribution, waited: Micros | None) -> None:
        """It was answered, after a wait of so many microseconds if it was blocked."""
        self.attributed.add(given)
        if given.new and self._runtime.hooks.wants(TenureBegan):
            tenure, seconds = given.tenure, None if waited is None else waited / 1e6
            self._runtime.emit(TenureBegan(given.key, tenure.holder, tenure.term, seconds))

    def _renewed(self, reply: Reply[Any], verdict: Verdict) -> None:
        op = reply.operation
        assert isinstance(op, Renew | Confirm)
        self.attributed.renewed(op, verdict.sent)
        reply.settle(verdict.sent)

    def _park(self, reply: Reply[Any]) -> None:
        op = reply.operation
        assert isinstance(op, Claim) and op.claim is not None
        if reply.is_settled:  # its caller left while it was on its way
            self._post(Reply(Cancel(op.key, op.claim)), False)
            return
        # Parked first, blocked afterwards: whoever leaves from now on sends Withdrawn.
        self.watches.add_claim(reply, op)
        if not reply.blocked:
            reply.block()

    def _effect(self, effect: Effect, reply: Reply[Any], verdict: Verdict, start: str) -> None:
        match effect:
            case Began(key, tenure, pinned, claim) if claim is not None and claim.start == start:
                if getattr(reply.operation, "claim", None) != claim:
                    self._hand_to(key, tenure, pinned, claim, verdict)
            case Ended(key, tenure, how, _):
                self._runtime.ended(effect)
                self.attributed.ended(key)
                if self._runtime.hooks.wants(TenureEnded):
                    self._runtime.emit(TenureEnded(key, tenure.holder, tenure.term, how))
            case LookAgain(key):
                self.look(key)

    def _hand_to(
        self, key: Key, tenure: Tenure, pinned: bool, claim: ClaimId, verdict: Verdict
    ) -> None:
        reply = self.watches.claim(claim)
        if reply is None:  # a claim whose caller has left; its cancellation came too late
            self._release(key, tenure)
        else:
            self._grant(reply, tenure, pinned, verdict, new=True)

    # -- what was attributed to somebody who has left ------------------------------------

    def left(self, attribution: Attribution) -> None:
        """Its caller was answered, and left before it could see the lease."""
        self.attributed.left(attribution)
        if attribution.offer is None:
            self._release(attribution.key, attribution.tenure)
        else:
            self._decline(attribution.key, attribution.offer)

    def _release(self, key: Key, tenure: Tenure) -> None:
        # Before all that waits: a claim of that holder that came later begins a term of its own.
        release = Release(key, tenure.holder, tenure.term, "handed over", untouched=tenure.expiry)
        self._post(Reply(release), True)

    def _follow(self, state: LeaseState, now: Instant) -> None:
        """Somebody waits here for this lease: whom does its present state concern?"""
        standing = state.tenure.term if state.tenure else None
        for reply in self.watches.ended(state.key, lambda term: term != standing):
            reply.settle(None)
        self._meet(state)
        self.watches.look(state, now)

    def _meet(self, state: LeaseState) -> None:
        """The holder has it: so all its claims are met, those that wait here, too."""
        tenure = state.tenure
        if tenure is not None and tenure.ending is None:
            for reply in self.watches.of_holder(state.key, tenure.holder):
                self._ask_again(reply)

    def _confirm(self, state: LeaseState, claim: ClaimId) -> None:
        """The lease is offered to a claim of ours: confirm, or decline if nobody wants it."""
        reply = self.watches.claim(claim)
        if reply is not None:
            self._ask_again(reply)
        elif claim not in self._confirming:
            self._decline(state.key, claim)

    def _decline(self, key: Key, claim: ClaimId) -> None:
        self._confirming.discard(claim)
        self._post(Reply(Cancel(key, claim)), True)

    def _ask_again(self, reply: Reply[Any]) -> None:
        if reply not in self._asked_again:
            self._asked_again.add(reply)
            self._post(reply, False)

    # -- something was heard or seen of other managers ------------------------------------

    def called(self, notices: Sequence[Notice]) -> None:
        """These claims have their turn. It may be long over: asked again, they find out."""
        for notice in notices:
            key, claim = notice.key, notice.claim
            reply = None if claim is None else self.watches.claim(claim)
            if reply is not None:
                if not self._take_offer(reply, notice):
                    self._ask_again(reply)
            else:  # it has left, or is in the batch that is on its way: the next one tells
                self.look(key)

    def _take_offer(self, reply: Reply[Any], notice: Notice) -> bool:
        """The offer is enough for its caller, who confirms it; False: to be confirmed first."""
        op = reply.operation
        assert isinstance(op, Claim) and op.claim is not None
        since = self.watches.seen_before(op.key, notice.term)
        if since is None or not reply.takes_offers:
            return False
        # It was made after that, and is this claim's alone for its window; and for no longer than
        # its duration, once it is confirmed.
        duration = micros(op.duration)
        certain = min(notice.window, duration)
        now = self._runtime.clock.steady()
        if now - since > certain // 2:  # heard of too late: to confirm it may take a while, too
            return False
        tenure = Tenure(op.holder, notice.term, notice.made_at, duration, notice.made_at + duration)
        until = since + trusted(certain)
        self.watches.remove_claim(op)
        self._asked_again.discard(reply)
        given = Attribution(op.key, tenure, notice.pinned, since, until, new=True, offer=op.claim)
        if reply.settle(given):
            self._confirming.add(op.claim)
            self._given(given, now - reply.began)
        else:
            self._decline(op.key, op.claim)
        return True

    def seen(self, peek: Peek, sent: int, at: int) -> None:
        """A snapshot, perhaps older than the last batch: it tells what to look at, no more."""
        self._skew = at - peek.now
        self.called([Notice(key, offer.claim) for key, offer in peek.offers])
        for state in peek.states:
            if state.key in self.watches:
                self.watches.saw(state.key, state.term, sent)
                self._compare(state, peek.now)
        someone = self.watches.some()
        if peek.absent and someone is not None:
            self.look(someone)  # whatever is written shows that this manager lives

    def _compare(self, state: LeaseState, now: Instant) -> None:
        for reply in self.watches.ended(state.key, lambda term: term <= state.ended_term):
            reply.settle(None)
        if not state.queued:
            # Blocked, but not in the queue: a database that failed over has lost it, unless the
            # snapshot is only older. Asked again, it queues once more, or nothing changes.
            for reply in self.watches.claims_on(state.key):
                self._ask_again(reply)
        if state.tenure is not None and state.tenure.ending is not None:
            self.watches.look_soon(state.key, now)
            return
        instant = due(state)
        if (instant is None or now < instant) and (state.tenure or state.offer):
            self._meet(state)
            if instant is not None:
                self.watches.look_by(state.key, instant)
        elif state.key in self.watches:
            self.look(state.key)  # it is free, or over, and somebody waits for it

    def look(self, key: Key) -> None:
        """Bring the lease to the present."""
        if key not in self._looking:
            self._looking.add(key)
            self._post(Reply(Expire(key)), False)

    # -- a batch was given up ------------------------------------------------------------

    def give_back(self, verdict: Verdict) -> None:
        """It may have been committed, and nobody was told: undo that, as soon as can be."""
        for reply, decision in zip(verdict.replies, verdict.decided.decisions, strict=True):
            outcome = decision.outcome
            if isinstance(outcome, Granted) and not outcome.extended and not reply.blocked:
                self._release(self._key(reply), outcome.tenure)
            for effect in decision.effects:
                if isinstance(effect, Began) and effect.claim is not None:
                    parked = self.watches.claim(effect.claim)
                    if parked is not None:
                        self._ask_again(parked)
                    else:  # queued by this batch, too
                        self._release(effect.key, effect.tenure)

    def look_again(self, reply: Reply[Any]) -> None:
        """It could not be asked again: look at its lease a little later."""
        self._asked_again.discard(reply)
        self.watches.look_by(self._key(reply), self._store_now() + _LATER)

    # -- the manager asks ----------------------------------------------------------------

    def forget(self, reply: Reply[Any]) -> bool:
        """Its caller has left: nothing of it remains here. True: it was waiting."""
        op = reply.operation
        self._asked_again.discard(reply)
        if isinstance(op, Claim):
            return self.watches.remove_claim(op) is not None
        if isinstance(op, Expire):  # it could not be looked at: no waiter is left without an alarm
            self._looking.discard(op.key)
            self.watches.look_by(op.key, self._store_now() + _LATER)
        elif op is not None:
            self.watches.remove_end(reply, op.key)
        return False

    def due(self) -> list[Key]:
        """The leases that must be looked at now."""
        return self.watches.pop_due(self._store_now())

    def next_look(self) -> int | None:
        """The steady instant at which one must be looked at next."""
        instant = self.watches.next_due()
        self._runtime.figures.next_tick = instant
        return None if instant is None else instant + self._skew

    def _store_now(self) -> Instant:
        return self._runtime.clock.steady() - self._skew

    @staticmethod
    def _key(reply: Reply[Any]) -> Key:
        assert reply.key is not None
        return reply.key
