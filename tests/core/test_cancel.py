"""A blocked claim leaves the queue."""

from __future__ import annotations

from core.desk import (
    HERE,
    KEY,
    THERE,
    YONDER,
    ask,
    began,
    holders,
    lease,
    offer,
    tenure,
    waiter,
)

from lease_actors.core.decision import DONE
from lease_actors.core.model import ClaimId
from lease_actors.core.operations import Cancel, Revoke


def test_it_leaves_and_the_others_keep_their_order() -> None:
    queue = [waiter(1, HERE), waiter(2, HERE), waiter(3, THERE)]
    decision = ask(lease(*queue, tenure=tenure()), Cancel(KEY, ClaimId(HERE, 2)))
    assert decision.outcome == DONE
    assert holders(decision.state) == ["here/1", "there/3"]
    assert decision.state.queued == 2


def test_a_claim_that_has_left_is_never_attributed() -> None:
    queue = [waiter(1, HERE), waiter(2, HERE)]
    state = ask(
        lease(*queue, tenure=tenure("alice")), Cancel(KEY, queue[0].claim), Revoke(KEY, "alice")
    ).state
    assert state.tenure is not None
    assert state.tenure.holder == "here/2"


def test_a_claim_that_leaves_just_as_its_turn_comes_does_not_get_the_lease() -> None:
    mine, next_one = waiter(1, HERE), waiter(2, HERE)
    decision = ask(lease(mine, tenure=tenure("alice", left=0)), Cancel(KEY, mine.claim))
    assert (decision.state.tenure, began(decision)) == (None, [])
    before = lease(mine, next_one, tenure=tenure("alice", left=0))
    decision = ask(before, Cancel(KEY, mine.claim))
    assert [e.claim for e in began(decision)] == [next_one.claim]


def test_leaving_twice_is_leaving_once() -> None:
    before = lease(waiter(1, HERE), tenure=tenure())
    gone = ask(before, Cancel(KEY, ClaimId(HERE, 1))).state
    again = ask(gone, Cancel(KEY, ClaimId(HERE, 1)))
    assert again.outcome == DONE
    assert again.state is gone
    assert again.state.queued == 0


def test_a_claim_that_is_not_known_leaves_nothing_behind() -> None:
    before = lease(waiter(1, HERE), tenure=tenure())
    decision = ask(before, Cancel(KEY, ClaimId(THERE, 1)))  # one number, another start
    assert decision.outcome == DONE
    assert decision.state is before


def test_one_in_the_middle_of_a_queue_that_is_not_all_seen_leaves() -> None:
    state = lease(
        waiter(1, THERE), waiter(70, HERE), tenure=tenure(), horizon=1, queued=99, last_place=99
    )
    after = ask(state, Cancel(KEY, ClaimId(HERE, 70))).state
    assert holders(after) == ["there/1"]
    assert (after.queued, after.horizon) == (98, 1)


def test_an_absent_claim_leaves_too() -> None:
    state = ask(lease(waiter(1, HERE, absent=True)), Cancel(KEY, ClaimId(HERE, 1))).state
    assert (state.queue, state.queued, state.idle) == ((), 0, True)


def test_one_who_leaves_does_not_end_the_tenure_that_stands() -> None:
    before = tenure("alice")
    state = ask(lease(waiter(1, HERE), tenure=before), Cancel(KEY, ClaimId(HERE, 1))).state
    assert state.tenure == before


def test_one_who_leaves_does_not_touch_an_offer_to_another() -> None:
    first, second = waiter(1, THERE), waiter(2, YONDER)
    state = ask(lease(first, second, offer=offer(first)), Cancel(KEY, second.claim)).state
    assert state.offer == offer(first)


def test_an_offer_declined_by_the_last_one_leaves_the_lease_free() -> None:
    first = waiter(1, THERE)
    decision = ask(lease(first, offer=offer(first)), Cancel(KEY, first.claim), start=THERE)
    assert (decision.state.offer, decision.state.tenure) == (None, None)
    assert decision.effects == ()
    assert decision.state.idle


def test_an_offer_to_a_claim_that_is_in_no_queue_is_declined_all_the_same() -> None:
    first, second = waiter(1, THERE), waiter(2, THERE)
    decision = ask(lease(second, offer=offer(first)), Cancel(KEY, first.claim), start=THERE)
    assert [b.tenure.holder for b in began(decision)] == ["there/2"]
