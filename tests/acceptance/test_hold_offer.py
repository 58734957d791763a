"""A hold() that waits begins as soon as its lease is on offer; the confirmation comes after that.

Two managers on one store and one clock: the first revokes, the other's hold is next in the queue.
Its transactions can be held up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from acceptance.conftest import Run
from acceptance.support import (
    NS,
    PATIENCE,
    Turnstile,
    WatchedStore,
    key,
    settle,
    wait_for_queue,
)
from support.cutting import cut
from support.managers import Calling, managing, until

from lease_actors import LeaseLost, Manager, MemoryStore, NotHeld, StoreError
from lease_actors.actors.attributed import Attribution
from lease_actors.actors.kept import Entry, Share
from lease_actors.core.model import Key, Notice
from lease_actors.held import HeldLease, Hold
from lease_actors.stores.base import Batch, Heard, Listener, Peek, StorePassing
from lease_actors.testing import FakeClock

LONG = 3600
WINDOW = 5
WHOLE = timedelta(seconds=59.94)
"""For so long a lease of a minute is certain just after its renewal."""


class Overheard(WatchedStore):
    """What its listeners hear can be kept from them, and be told them later."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.kept: list[Notice] | None = None
        self.heard: Heard = lambda notices: None
        self.listening = False
        self.looking = threading.Lock()
        """Whoever has it keeps the manager from seeing what it is to hear of."""
        self.peeks = 0
        self.claims: list[int] = []
        """How many claims each transaction was about."""

    def apply(self, batch: Batch) -> bool:
        self.claims.append(sum(len(need.claims) for need in batch.needs.values()))
        return super().apply(batch)

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        with self.looking:
            found = self.store.peek(start, keys)
        self.peeks += 1
        return found

    def listen(self, start: str, heard: Heard) -> Listener | None:
        def overhear(notices: Sequence[Notice]) -> None:
            if self.kept is None:
                heard(notices)
            else:
                self.kept += notices

        self.heard = heard
        listener = self.store.listen(start, overhear)
        self.listening = True
        return listener


class Two:
    """The managers, and who waits for the lease."""

    def __init__(self, one: Manager, other: Manager, store: Overheard, run: Run) -> None:
        self.one, self.other, self.store, self.run = one, other, store, run
        self._queued = 0
        one.claimer(NS).claim("app", "first", LONG)

    def waits(self, duration: float = 60, **fields: Any) -> tuple[Hold, Calling[HeldLease]]:
        """A hold of the other manager's that has its place in the queue."""
        hold = self.other.claimer(NS).hold("app", "me", duration, **fields)
        entering = self.run(hold.__enter__)
        self._queued += 1
        wait_for_queue(self.other, self._queued)
        until(lambda: self.store.listening, "it listens")
        return hold, entering

    def hand_over(self) -> None:
        """The other manager has been told of an offer, and has not seen it, when this returns."""
        with self.store.looking:
            self.one.revoker(NS).revoke("app", "first")

    def on_offer(self, **fields: Any) -> tuple[Hold, HeldLease]:
        """A hold that has begun, while the other manager cannot write."""
        hold, entering = self.waits(**fields)
        self.store.way_in.close()
        self.hand_over()
        return hold, entering.outcome()

    def confirmed(self) -> None:
        """The other manager can write again, and has."""
        self.store.way_in.open()
        settle(self.other)

    @property
    def leases(self) -> dict[str, str]:
        return self.one.reader(NS).leases()

    @property
    def waiting(self) -> list[str]:
        return [waiter.holder for waiter in self.one.reader(NS).waiting("app")]


def leave(hold: Hold) -> None:
    hold.__exit__(None, None, None)


@pytest.fixture
def two(clock: FakeClock, run: Run) -> Iterator[Two]:
    store = MemoryStore()
    overheard = Overheard(store)
    with managing(store, clock) as one, managing(overheard, clock) as other:
        yield Two(one, other, overheard, run)
        overheard.way_in.open()


# -- it begins -----------------------------------------------------------------------------


def test_its_block_begins_before_the_confirmation_is_written(two: Two) -> None:
    hold, lease = two.on_offer()
    lease.check()
    assert (lease.holder, lease.term, two.leases) == ("me", 2, {"app": "me"})
    with pytest.raises(NotHeld, match="has not confirmed"):
        two.one.checker(NS).token("app", "me").check()
    two.confirmed()
    two.one.checker(NS).token("app", "me").check()
    assert lease.remaining() == WHOLE
    assert two.waiting == []
    leave(hold)
    assert two.leases == {}


def test_it_is_kept_like_any_other(two: Two, clock: FakeClock) -> None:
    hold, lease = two.on_offer()
    two.confirmed()
    two.store.claims.clear()
    clock.advance(LONG)
    lease.check()
    leave(hold)
    assert two.leases == {}
    assert set(two.store.claims) == {0}  # nothing but renewals


def test_it_begins_at_once_however_long_it_has_waited(two: Two, clock: FakeClock) -> None:
    hold, entering = two.waits()
    clock.advance(LONG / 2)
    before = two.store.peeks
    two.store.heard([Notice(key("app"))])  # look, whatever the reason
    until(lambda: two.store.peeks > before, "a look")
    settle(two.other)
    two.store.way_in.close()
    two.hand_over()
    entering.outcome().check()
    two.confirmed()
    leave(hold)


@pytest.mark.usefixtures("hanging")
def test_it_relies_on_it_for_no_longer_than_its_own_duration(two: Two, clock: FakeClock) -> None:
    hold, entering = two.waits(duration=2)
    two.store.way_in.close()
    two.hand_over()
    lease = entering.outcome()
    clock.advance(1.997)
    lease.check()
    clock.advance(0.001)
    assert lease.lost.is_set()
    two.confirmed()
    with pytest.raises(LeaseLost):
        leave(hold)


def test_a_claim_waits_for_its_confirmation(two: Two, run: Run) -> None:
    claim = run(lambda: two.other.claimer(NS).claim("app", "me", 60, wait=None))
    wait_for_queue(two.other, 1)
    two.store.way_in.close()
    two.hand_over()
    two.store.way_in.await_one()
    assert not claim.is_over
    two.confirmed()
    assert claim.outcome().term == 2


def test_what_is_asked_in_the_block_is_asked_after_the_confirmation(two: Two, run: Run) -> None:
    hold, lease = two.on_offer()
    check = run(two.other.checker(NS).token("app", "me").check)
    longer = run(lambda: two.other.claimer(NS).claim("app", "me", LONG))
    two.confirmed()
    check.outcome()
    assert longer.outcome().term == lease.term
    leave(hold)


def test_whoever_asks_for_how_long_it_is_certain_waits_for_the_confirmation(
    two: Two, run: Run
) -> None:
    hold, lease = two.on_offer()
    remaining, deadline = run(lease.remaining), run(lambda: lease.deadline)
    settled = lease._share.kept.settled
    assert settled is not None
    until(lambda: len(settled._cond._waiters) == 2, "both wait")  # type: ignore[attr-defined]
    two.confirmed()
    assert remaining.outcome() == WHOLE
    assert deadline.outcome() > lease.granted_at + WHOLE / 2
    leave(hold)
    assert not lease.remaining()


def test_it_says_when_the_lease_was_granted_as_everybody_else_does(two: Two) -> None:
    hold, lease = two.on_offer()
    two.confirmed()
    seen = two.one.reader(NS).get("app")
    assert seen is not None
    assert (seen.term, seen.granted_at, seen.duration) == (
        lease.term,
        lease.granted_at,
        lease.duration,
    )
    assert seen.expiry >= lease.expiry
    leave(hold)


# -- it ends -------------------------------------------------------------------------------


def test_a_block_that_ends_before_the_confirmation_leaves_nothing(two: Two, run: Run) -> None:
    hold, lease = two.on_offer()
    after = two.one.claimer(NS).claim_future("app", "next", LONG)
    settle(two.one)
    leaving = run(lambda: leave(hold))
    until(lambda: not lease.remaining(), "the end of the block")
    two.confirmed()
    leaving.outcome()
    assert after.get(timeout=PATIENCE).term == 3
    assert (two.leases, two.waiting) == ({"app": "next"}, [])


def test_a_block_that_ends_after_the_confirmation_has_failed_leaves_nothing(two: Two) -> None:
    hold, _ = two.on_offer()
    after = two.one.claimer(NS).claim_future("app", "next", LONG)
    settle(two.one)
    two.store.failure = StoreError("broken")
    with pytest.raises(StoreError):
        two.confirmed()  # nothing is
    two.store.failure = None
    leave(hold)
    assert after.get(timeout=PATIENCE).term == 3
    assert two.waiting == []


def test_it_may_name_the_instant_at_which_it_ends_before_it_is_confirmed(
    two: Two, clock: FakeClock
) -> None:
    hold, lease = two.on_offer()
    lease.release(at=lease.granted_at + timedelta(seconds=30))
    two.confirmed()
    leave(hold)
    clock.advance(29)
    assert two.leases == {"app": "me"}
    clock.advance(1)
    assert two.leases == {}


@pytest.mark.usefixtures("hanging")
def test_without_a_confirmation_it_is_lost_before_the_offer_lapses(
    two: Two, clock: FakeClock
) -> None:
    reasons: list[str] = []
    hold, lease = two.on_offer(on_lost=reasons.append)
    after = two.one.claimer(NS).claim_future("app", "next", LONG)
    settle(two.one)
    clock.advance(WINDOW - 0.005)
    assert not after.is_settled
    assert lease.lost.is_set()
    with pytest.raises(LeaseLost) as caught:
        lease.check()
    assert caught.value.reason == "expired"
    clock.advance(0.005)
    assert after.get(timeout=PATIENCE).term == 3
    two.confirmed()
    with pytest.raises(LeaseLost):
        leave(hold)
    until(lambda: bool(reasons), "the callback")
    assert (reasons, two.leases, two.waiting) == (["expired"], {"app": "next"}, [])


@pytest.mark.parametrize("somebody_waits", [False, True])
def test_a_revocation_of_the_offer_is_a_loss(two: Two, somebody_waits: bool) -> None:
    hold, lease = two.on_offer()
    if somebody_waits:
        two.one.claimer(NS).claim_future("app", "next", LONG)
        settle(two.one)
    two.one.revoker(NS).revoke("app", "me")
    two.confirmed()
    assert lease.lost.wait(PATIENCE)
    with pytest.raises(LeaseLost, match="term 2"):
        leave(hold)
    settle(two.other)
    assert two.waiting == []
    assert two.leases == ({"app": "next"} if somebody_waits else {})


def test_a_caller_that_is_cut_short_just_then_declines(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, entering = two.waits()

    def cut(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(two.other._crew.keeping, "keep", cut)
    after = two.one.claimer(NS).claim_future("app", "next", LONG)
    settle(two.one)
    two.hand_over()
    with pytest.raises(KeyboardInterrupt):
        entering.outcome()
    assert after.get(timeout=PATIENCE).holder == "next"
    assert two.waiting == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["keep", "_confirm", "entered", "_releases.send", "_mailbox.put"])
def test_one_that_is_cut_short_as_it_begins_or_ends_leaves_nothing(
    two: Two, run: Run, step: str, after: bool
) -> None:
    def hand_over() -> None:
        wait_for_queue(two.other, 1)
        until(lambda: two.store.listening, "it listens")
        two.hand_over()

    handing_over = run(hand_over)
    with (
        cut(two.other._crew.keeping, step, after=after),
        two.other.claimer(NS).hold("app", "me", 60),
    ):
        pass
    handing_over.outcome()
    settle(two.other)
    assert (two.leases, two.waiting) == ({}, [])
    assert two.other.report()["kept-leases"] == 0


def test_a_manager_that_stops_meanwhile_releases_it_when_the_block_ends(two: Two) -> None:
    hold, lease = two.on_offer()
    two.other.kill()
    assert lease.lost.wait(PATIENCE)
    two.store.way_in.open()
    with pytest.raises(LeaseLost):
        leave(hold)
    two.other.wait(PATIENCE)
    assert (two.leases, two.waiting) == ({}, [])


# -- it is confirmed, whatever happens meanwhile -------------------------------------------


@pytest.mark.parametrize("failure", [StorePassing("busy"), StoreError("broken")])
def test_a_store_that_fails_is_asked_again(two: Two, clock: FakeClock, failure: Exception) -> None:
    hold, lease = two.on_offer()
    two.store.failure = failure
    two.store.way_in.open()
    clock.advance(0.01)
    two.store.failure = None
    for _ in range(10):
        clock.advance(0.05)
    settle(two.other)
    assert lease.remaining() > timedelta(seconds=WINDOW)
    leave(hold)
    assert two.leases == {}


def test_two_holds_of_one_holder_share_it(two: Two) -> None:
    first, entering = two.waits()
    second, also = two.waits()
    two.store.way_in.close()
    two.hand_over()
    lease = entering.outcome()
    assert not also.is_over
    two.confirmed()
    assert also.outcome().term == lease.term == 2
    leave(first)
    assert two.leases == {"app": "me"}
    also.outcome().check()
    leave(second)
    assert (two.leases, two.waiting) == ({}, [])


def test_the_holders_other_claim_may_confirm_it_first(two: Two) -> None:
    """And the news of the offer come only then."""
    hold, entering = two.waits()
    two.store.kept = []
    two.hand_over()
    assert two.one.claimer(NS).claim("app", "me", LONG).term == 2
    two.store.heard(two.store.kept)
    lease = entering.outcome()
    assert lease.term == 2
    settle(two.other)
    lease.check()
    assert two.waiting == []
    leave(hold)
    assert two.leases == {}


def test_the_holders_other_hold_may_have_it_first(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hears of the offer, and is slow; meanwhile the other is answered with the tenure."""
    keeping, slow = two.other._crew.keeping, Turnstile()
    keep = keeping.keep

    def keep_slowly(entry: Entry, given: Attribution, duration: int) -> Share | None:
        if given.offer is not None:
            slow.go_through()
        return keep(entry, given, duration)

    monkeypatch.setattr(keeping, "keep", keep_slowly)
    slow.close()
    first, entering = two.waits()
    second, also = two.waits()
    two.hand_over()
    slow.await_one()
    two.one.claimer(NS).claim("app", "me", 60)
    assert also.outcome().term == 2
    slow.open()
    assert entering.outcome().term == 2
    settle(two.other)
    assert two.waiting == []
    leave(first)
    also.outcome().check()
    leave(second)
    assert two.leases == {}


# -- what is heard is late, doubled, or long untrue ----------------------------------------


def test_news_that_come_twice_are_news_once(two: Two) -> None:
    hold, entering = two.waits()
    two.store.way_in.close()
    two.store.kept = []
    with two.store.looking:
        two.one.revoker(NS).revoke("app", "first")
        for _ in range(3):
            two.store.heard(two.store.kept)
    lease = entering.outcome()
    two.confirmed()
    two.store.heard(two.store.kept)
    settle(two.other)
    lease.check()
    assert lease.remaining() == WHOLE
    leave(hold)


def test_an_offer_of_which_it_hears_late_is_confirmed_first(two: Two, clock: FakeClock) -> None:
    hold, entering = two.waits()
    two.store.way_in.close()
    two.store.kept = []
    two.hand_over()
    clock.advance(WINDOW * 0.6)
    two.store.heard(two.store.kept)
    two.store.way_in.await_one()
    assert not entering.is_over
    two.confirmed()
    assert entering.outcome().remaining() == WHOLE
    leave(hold)


def test_an_offer_that_has_lapsed_by_then_is_not_relied_on(two: Two, clock: FakeClock) -> None:
    _, entering = two.waits(wait=LONG)
    after = two.one.claimer(NS).claim_future("app", "next", 60)
    settle(two.one)
    two.store.way_in.close()
    two.store.kept = []
    two.hand_over()
    clock.advance(WINDOW)
    assert after.get(timeout=PATIENCE).term == 3
    two.confirmed()  # it has asked again meanwhile, and has seen a later term
    two.store.heard([notice for notice in two.store.kept if notice.term == 2])
    settle(two.other)
    assert not entering.is_over
    two.other.kill()


def test_one_of_whose_offer_little_is_said_waits_for_its_confirmation(two: Two) -> None:
    """By a version of this library, or a store, that does not say it."""
    hold, entering = two.waits()
    two.store.way_in.close()
    two.store.kept = []
    two.hand_over()
    two.store.heard([Notice(notice.key, notice.claim) for notice in two.store.kept])
    two.store.way_in.await_one()
    assert not entering.is_over
    two.confirmed()
    leave_after = entering.outcome()
    assert leave_after.term == 2
    leave(hold)
