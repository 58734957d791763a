"""Whom a decision concerns elsewhere, and nobody else."""

from __future__ import annotations

from core.desk import (
    HERE,
    KEY,
    NOW,
    SECOND,
    THERE,
    WINDOW,
    YONDER,
    ask,
    claim,
    lease,
    offer,
    tenure,
    us,
    waiter,
)

from lease_actors.core.model import ClaimId, LeaseState, Notice
from lease_actors.core.notices import notices
from lease_actors.core.operations import (
    Cancel,
    Expire,
    Operation,
    Pin,
    Release,
    Revoke,
    Unpin,
    Wait,
)

REVOKE = Revoke(KEY, "alice")


def told(before: LeaseState, *operations: Operation, now: int = NOW) -> list[Notice]:
    return notices(before, ask(before, *operations, now=now).state, HERE)


def to(start: str, number: int) -> Notice:
    return Notice(KEY, ClaimId(start, number))


def on_offer(start: str, number: int, term: int = 8, pinned: bool = False) -> Notice:
    """An offer that was made just now."""
    return Notice(KEY, ClaimId(start, number), term, NOW, WINDOW, pinned)


ALL = Notice(KEY)


def test_where_nobody_waits_nobody_is_told() -> None:
    held = lease(tenure=tenure("alice"))
    for operation in (REVOKE, claim("alice", 600), Pin(KEY, "unit"), claim("bob")):
        assert told(held, operation) == []
    assert told(lease(), claim("bob")) == []
    assert told(lease(tenure=tenure("alice", left=0)), Expire(KEY)) == []


def test_an_offer_is_told_to_the_claim_that_it_is_made_to_and_to_no_other() -> None:
    before = lease(waiter(1, THERE), waiter(2, YONDER), tenure=tenure("alice"))
    assert told(before, REVOKE) == [on_offer(THERE, 1)]
    pinned = before._replace(pins=("unit",), tenure=None)
    assert told(pinned, Expire(KEY)) == [on_offer(THERE, 1, pinned=True)]


def test_what_goes_to_a_claim_of_our_own_is_told_to_nobody() -> None:
    before = lease(waiter(1, HERE), waiter(2, THERE), tenure=tenure("alice"))
    assert told(before, REVOKE) == []


def test_a_claim_that_is_declined_passes_the_word_on() -> None:
    first, second = waiter(1, THERE), waiter(2, YONDER)
    before = lease(first, second, offer=offer(first))
    assert told(before, Cancel(KEY, first.claim)) == [on_offer(YONDER, 2, 9)]


def test_who_missed_an_offer_is_told_so_that_it_can_show_itself() -> None:
    first, second = waiter(1, THERE), waiter(2, YONDER)
    before = lease(first, second, offer=offer(first, made=NOW - WINDOW))
    assert told(before, Expire(KEY)) == [on_offer(YONDER, 2, 9), to(THERE, 1)]


def test_a_confirmation_is_told_to_nobody() -> None:
    mine = waiter(1, HERE)
    before = lease(mine, waiter(2, THERE), offer=offer(mine))
    assert told(before, claim(mine.holder, 60, mine.claim)) == []


def test_the_other_claims_of_a_new_holder_are_told() -> None:
    before = lease(waiter(1, HERE, "bob"), waiter(2, THERE, "bob"), tenure=tenure("alice"))
    assert to(THERE, 2) in told(before, REVOKE)


def test_whoever_waits_for_a_tenures_end_is_told_of_it() -> None:
    before = ask(lease(tenure=tenure("alice")), Wait(KEY)).state
    assert told(before, REVOKE) == [ALL]
    assert told(before, Release(KEY, "alice", 7)) == [ALL]
    assert told(before, Expire(KEY), now=NOW + us(60)) == [ALL]
    assert told(before, claim("alice", 600)) == []


def test_whoever_waits_is_told_that_the_end_has_moved_nearer() -> None:
    nearer = Release(KEY, "alice", 7, at=NOW + SECOND)
    for before in (
        lease(waiter(1, THERE), tenure=tenure("alice")),
        lease(tenure=tenure("alice")._replace(watched=True)),
    ):
        assert told(before, nearer) == [ALL]
        assert told(before, claim("alice", 600)) == []


def test_whoever_waits_behind_is_told_of_a_next_tenure_that_is_shorter() -> None:
    mine = waiter(1, HERE, seconds=5)
    before = lease(mine, waiter(2, THERE), tenure=tenure("alice", left=60))
    assert told(before, REVOKE) == [ALL]


def test_whoever_waits_is_told_when_the_last_pin_has_gone() -> None:
    before = lease(waiter(1, THERE), tenure=tenure("alice"), pins=("unit",))
    assert told(before, Unpin(KEY, "unit")) == [ALL]
    assert told(before._replace(pins=("unit", "other")), Unpin(KEY, "unit")) == []


def test_whoever_waits_is_told_that_only_a_guard_keeps_it() -> None:
    before = lease(waiter(1, THERE), tenure=tenure("alice"))._replace(guarded=True)
    assert told(before, REVOKE) == [ALL]
