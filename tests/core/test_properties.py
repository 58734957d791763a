"""Whatever is asked, in whatever order, by whomever: the promises hold.

Several managers (starts) ask at random, on a store in memory, through windows of the queue as
small as a batch needs. Beside it runs a naive model: whole lists, no windows, no cleverness.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lease_actors.core.batch import Decided, decide_batch, needs
from lease_actors.core.decision import (
    Began,
    Context,
    Effect,
    Ended,
    Granted,
    LookAgain,
    Missed,
    Offered,
    Queued,
)
from lease_actors.core.model import ClaimId, Key, LeaseState, Offer, Tenure
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
)
from lease_actors.errors import ClaimDenied, LeaseLost, LeasePinned, NotHeld
from lease_actors.stores import Batch, Changes, MemoryStore
from lease_actors.testing.clock import FakeClock

STARTS = ["a", "b", "c"]
HOLDERS = ["ann", "bob", "cyd", "dan"]
KEYS = [Key("ns", "", "one"), Key("ns", "", "two")]
WINDOW = 5_000_000

starts, holders, keys = map(st.sampled_from, (STARTS, HOLDERS, KEYS))
seconds = st.sampled_from([0.25, 1, 5, 60])


class Leases(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.clock, self.store = FakeClock(), MemoryStore()
        self.store.open(self.clock)
        self.numbers = dict.fromkeys(STARTS, 0)
        for start in STARTS:
            self.store.begin(start)
        self.claims = 0
        self.queue: dict[Key, list[tuple[ClaimId, str]]] = {key: [] for key in KEYS}
        self.absent: set[str] = set()
        self.came_back: set[str] = set()
        self.terms = dict.fromkeys(KEYS, 0)
        self.asked: dict[ClaimId, tuple[str, float]] = {}
        self.offers: dict[Key, Offer] = {}

    # -- how it is asked -----------------------------------------------------------------

    def apply(self, start: str, *operations: Operation, lose: bool = False) -> Decided:
        """A batch; with ``lose`` its reply is lost, others ask meanwhile, and it is retried."""
        self.numbers[start] += 1
        found: list[Decided] = []

        def decide(states: Any, now: int) -> Changes:
            self.before, self.now = dict(states), now
            decided = decide_batch(states, operations, Context(now, start, WINDOW))
            found.append(decided)
            return Changes(decided.changed, decided.absent)

        batch = Batch(start, self.numbers[start], needs(operations), decide)
        assert self.store.apply(batch)
        if start in self.absent:
            self.absent.discard(start)
            self.came_back.add(start)
        [decided] = found
        before, now = self.before, self.now
        for operation in operations:
            if isinstance(operation, Cancel | Confirm):
                self.leave(operation.key, operation.claim)
        state = dict(before)
        for operation, decision in zip(operations, decided.decisions, strict=True):
            self.hold(start, operation, state[operation.key], decision)
            state[operation.key] = decision.state
        if lose:
            assert not self.store.apply(batch)
            assert len(found) == 1
        for key in sorted({e.key for e in effects_of(decided) if isinstance(e, LookAgain)}):
            self.apply(start, Expire(key))  # as the manager does
        self.before, self.now = before, now
        return decided

    def hold(self, start: str, op: Operation, was: LeaseState, decision: Any) -> None:
        """Hold one decision against the model."""
        on_offer = was.offer is not None or any(isinstance(e, Offered) for e in decision.effects)
        for effect in decision.effects:
            match effect:
                case Began(key, tenure, _, claim):
                    self.nobody_elses(key, tenure.holder, op)
                    self.attributed(key, tenure.term, claim, offered=on_offer)
                    if key in self.offers and self.offers[key].claim == claim:
                        del self.offers[key]  # it is confirmed: its own duration counts now
                case Offered(key, offer):
                    self.nobody_elses(key, offer.holder, op)
                    self.offered(key, offer.term, offer.claim)
                    self.offers[key] = offer
                case Missed(missed):
                    self.absent.add(missed)
                case Ended(_, tenure, _, _):
                    self.ended(op, was, tenure)
        offer, tenure = self.offers.get(op.key), decision.state.tenure
        if offer is not None and isinstance(op, Revoke | Release | Cancel | Confirm):
            taken = tenure is None or tenure.holder != offer.holder
            if decision.state.offer is None and taken:
                del self.offers[op.key]
        self.kept(op, was, decision)
        if isinstance(decision.outcome, Queued) and isinstance(op, Claim) and op.claim is not None:  # noqa: SIM102
            if op.claim not in [claim for claim, _ in self.queue[op.key]]:
                self.queue[op.key].append((op.claim, op.holder))
        if isinstance(decision.outcome, Granted) and isinstance(op, Claim):
            self.leave(op.key, op.claim)

    def nobody_elses(self, key: Key, holder: str, op: Operation) -> None:
        """What is on offer is one claim's alone until that lapses, whoever confirms it, unless it
        is revoked, released or declined."""
        offer = self.offers.get(key)
        if offer is not None and self.now < offer.lapses_at and holder != offer.holder:
            assert isinstance(op, Revoke | Release | Cancel | Confirm)

    def attributed(self, key: Key, term: int, claim: ClaimId | None, *, offered: bool) -> None:
        assert term == self.terms[key] + 1 or (offered and term == self.terms[key])
        self.terms[key] = term
        if claim is not None:
            self.leave(key, claim)

    def offered(self, key: Key, term: int, claim: ClaimId) -> None:
        assert term == self.terms[key] + 1
        self.terms[key] = term
        self.live_offer = claim

    def ended(self, op: Operation, was: LeaseState, tenure: Tenure) -> None:
        over = tenure.expiry <= self.now and not was.pins
        asked = isinstance(op, Revoke | Release) and op.holder == tenure.holder and not was.pins
        assert over or asked, "a standing tenure ended and nobody had asked for it"

    def kept(self, op: Operation, was: LeaseState, decision: Any) -> None:
        """What stands goes on standing, and nothing shortens it."""
        tenure, now = was.tenure, decision.state.tenure
        if tenure is None or (tenure.expiry <= self.now and not was.pins):
            return
        if any(isinstance(e, Ended) for e in decision.effects):
            return
        assert now is not None
        assert (now.holder, now.term) == (tenure.holder, tenure.term)
        assert now.expiry >= tenure.expiry

    def leave(self, key: Key, claim: ClaimId | None) -> None:
        self.queue[key] = [entry for entry in self.queue[key] if entry[0] != claim]

    # -- what is asked -------------------------------------------------------------------

    @rule(start=starts, key=keys, holder=holders, length=seconds, lose=st.booleans())
    def claim(self, start: str, key: Key, holder: str, length: float, lose: bool) -> None:
        live = [c for c, _ in self.queue[key] if c.start not in self.absent or c.start == start]
        op = Claim(key, holder, timedelta(seconds=length))
        [decision] = self.apply(start, op, lose=lose).decisions
        tenure = decision.state.tenure
        if isinstance(decision.outcome, Granted):
            assert tenure is not None
            assert tenure.holder == holder
            assert tenure.expiry >= self.now + length * 1e6
        else:
            assert isinstance(decision.outcome, ClaimDenied)
            assert tenure is None or tenure.holder != holder
            assert tenure is not None or decision.state.offer is not None or live

    @rule(start=starts, key=keys, holder=holders, length=seconds)
    def queue_up(self, start: str, key: Key, holder: str, length: float) -> None:
        self.claims += 1
        claim = ClaimId(start, self.claims)
        self.asked[claim] = (holder, length)
        self.apply(start, Claim(key, holder, timedelta(seconds=length), claim))

    @rule(key=keys, data=st.data())
    def look_for_an_offer(self, key: Key, data: st.DataObject) -> None:
        offer = self.store.get(key)[0].offer
        if offer is None:
            return
        holder, length = self.asked[offer.claim]
        op = Claim(key, holder, timedelta(seconds=length), offer.claim)
        [decision] = self.apply(offer.claim.start, op).decisions
        if self.now < offer.lapses_at:
            assert isinstance(decision.outcome, Granted)
            assert decision.outcome.tenure.term == offer.term
        else:
            assert not isinstance(decision.outcome, Granted) or (
                decision.outcome.tenure.term > offer.term
            )

    @rule(key=keys, data=st.data(), lose=st.booleans())
    def rely_on_an_offer(self, key: Key, data: st.DataObject, lose: bool) -> None:
        offer = self.store.get(key)[0].offer
        if offer is None:
            return
        holder, length = self.asked[offer.claim]
        if data.draw(st.booleans()):
            self.clock.advance(data.draw(st.sampled_from([1, 5])))
        term = offer.term - data.draw(st.sampled_from([0, 0, 1]))
        op = Confirm(key, holder, term, timedelta(seconds=length), offer.claim)
        [decision] = self.apply(offer.claim.start, op, lose=lose).decisions
        if isinstance(decision.outcome, LeaseLost):
            assert term != offer.term or self.now >= offer.lapses_at
            return
        tenure = decision.state.tenure
        assert tenure is not None
        assert self.now < offer.lapses_at, "an offer was confirmed that had lapsed"
        assert (tenure.holder, tenure.term) == (holder, offer.term)
        assert tenure.expiry >= self.now + round(length * 1e6)

    @rule(start=starts, key=keys, data=st.data())
    def cancel(self, start: str, key: Key, data: st.DataObject) -> None:
        mine = [c for c, _ in self.queue[key] if c.start == start]
        if mine:
            self.apply(start, Cancel(key, data.draw(st.sampled_from(mine))))

    @rule(start=starts, key=keys, holder=holders, lose=st.booleans())
    def revoke(self, start: str, key: Key, holder: str, lose: bool) -> None:
        [decision] = self.apply(start, Revoke(key, holder), lose=lose).decisions
        if isinstance(decision.outcome, NotHeld | LeasePinned):
            return
        tenure = decision.state.tenure
        assert tenure is None or tenure.granted_at == self.now or tenure.holder != holder

    @rule(start=starts, key=keys, holder=holders, term=st.integers(0, 8))
    def release(self, start: str, key: Key, holder: str, term: int) -> None:
        self.apply(start, Release(key, holder, term))

    @rule(start=starts, key=keys, term=st.integers(0, 8), length=seconds, lose=st.booleans())
    def renew(self, start: str, key: Key, term: int, length: float, lose: bool) -> None:
        op = Renew(key, "whoever", term, timedelta(seconds=length))
        was = self.terms[key]
        [decision] = self.apply(start, op, lose=lose).decisions
        before, tenure = self.before[key].tenure, decision.state.tenure
        if isinstance(decision.outcome, LeaseLost):
            assert tenure is None or tenure.term != term
            return
        assert tenure is not None
        if any(isinstance(e, Began) and e.tenure.term == term for e in decision.effects):
            return  # a guess: its turn has come in this very operation
        assert before is not None
        assert (before.term, tenure.term) == (term, term), "a renewal began or revived a tenure"
        assert before.expiry > self.now or decision.state.pins
        assert tenure.expiry >= max(before.expiry, self.now + round(length * 1e6))
        assert self.terms[key] == was

    @rule(start=starts, key=keys, holder=holders)
    def check(self, start: str, key: Key, holder: str) -> None:
        [decision] = self.apply(start, Check(key, holder)).decisions
        tenure = decision.state.tenure
        assert isinstance(decision.outcome, NotHeld) == (tenure is None or tenure.holder != holder)

    @rule(start=starts, key=keys, entity=st.sampled_from(["x", "y"]))
    def pin(self, start: str, key: Key, entity: str) -> None:
        self.apply(start, Pin(key, entity))

    @rule(start=starts, key=keys, entity=st.sampled_from(["x", "y"]))
    def unpin(self, start: str, key: Key, entity: str) -> None:
        [decision] = self.apply(start, Unpin(key, entity)).decisions
        was, tenure = self.before[key], decision.state.tenure
        if was.pins == (entity,) and was.tenure is not None:
            assert tenure is not None
            assert tenure.expiry >= self.now + tenure.duration

    @rule(start=starts, data=st.data())
    def many_at_once(self, start: str, data: st.DataObject) -> None:
        operations: list[Operation] = []
        for _ in range(data.draw(st.integers(2, 6))):
            key, holder = data.draw(keys), data.draw(holders)
            self.claims += 1
            claim = ClaimId(start, self.claims)
            self.asked[claim] = (holder, 5)
            operations.append(
                data.draw(
                    st.sampled_from(
                        [Claim(key, holder, timedelta(5), claim), Revoke(key, holder), Expire(key)]
                    )
                )
            )
        self.apply(start, *operations)

    @rule(start=starts, key=keys)
    def look(self, start: str, key: Key) -> None:
        self.apply(start, Expire(key))

    @rule(length=st.sampled_from([0.1, 0.25, 1, 4.9, 5, 61]))
    def pass_time(self, length: float) -> None:
        self.clock.advance(length)

    @rule()
    def prune(self) -> None:
        self.store.prune(0)

    # -- what always holds ---------------------------------------------------------------

    @invariant()
    def the_store_is_as_the_model_is(self) -> None:
        for key in KEYS:
            state, now = self.store.get(key)
            assert state.term >= self.terms[key], "a term has gone back"
            self.terms[key] = state.term
            waiting = self.store.waiting(key)
            assert [w.claim for w in waiting] == [claim for claim, _ in self.queue[key]]
            assert state.queued == len(waiting)
            assert state.tenure is None or state.offer is None
            if state.offer is not None and now < state.offer.lapses_at:
                # First in, first out: only absent ones, or one revoked or late, stand in front.
                assert state.offer.claim in [w.claim for w in waiting]

    @invariant()
    def what_somebody_waits_for_is_never_seen_free(self) -> None:
        """A process that was absent and has come back is served when its lease is looked at."""
        for key in KEYS:
            state, _ = self.store.get(key)
            if state.tenure is None and state.offer is None:
                live = [c for c, _ in self.queue[key] if c.start not in self.absent]
                assert all(claim.start in self.came_back for claim in live)


def effects_of(decided: Decided) -> list[Effect]:
    return [effect for decision in decided.decisions for effect in decision.effects]


TestLeases = Leases.TestCase
TestLeases.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_first_in_first_out_within_one_process() -> None:
    clock, store = FakeClock(), MemoryStore()
    store.open(clock)
    store.begin("a")
    key, number, served = KEYS[0], 0, []

    def apply(operation: Operation) -> Decided:
        nonlocal number
        number += 1
        found: list[Decided] = []

        def decide(states: Any, now: int) -> Changes:
            found.append(decide_batch(states, [operation], Context(now, "a", WINDOW)))
            return Changes(found[0].changed)

        store.apply(Batch("a", number, needs([operation]), decide))
        return found[0]

    apply(Claim(key, "first", timedelta(hours=1)))
    for n in range(50):
        apply(Claim(key, f"w{n}", timedelta(hours=1), ClaimId("a", n)))
    holder = "first"
    for _ in range(50):
        [decision] = apply(Revoke(key, holder)).decisions
        assert decision.state.tenure is not None
        holder = decision.state.tenure.holder
        served.append(holder)
    assert served == [f"w{n}" for n in range(50)]


def test_a_revocation_whose_reply_was_lost_does_not_end_the_next_tenure() -> None:
    clock, store = FakeClock(), MemoryStore()
    store.open(clock)
    key, numbers = KEYS[0], {"a": 0, "b": 0}
    for start in numbers:
        store.begin(start)

    def batch(start: str, operation: Operation) -> Batch:
        numbers[start] += 1

        def decide(states: Any, now: int) -> Changes:
            decided = decide_batch(states, [operation], Context(now, start, WINDOW))
            return Changes(decided.changed)

        return Batch(start, numbers[start], needs([operation]), decide)

    store.apply(batch("b", Claim(key, "me", timedelta(60))))
    revoke = batch("a", Revoke(key, "me"))
    assert store.apply(revoke)  # and its reply is lost
    store.apply(batch("b", Claim(key, "me", timedelta(60))))
    assert not store.apply(revoke)  # so it is tried again
    state, _ = store.get(key)
    assert state.tenure is not None
    assert state.tenure.term == 2
