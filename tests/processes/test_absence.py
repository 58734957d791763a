"""Processes that die, stand still, or leave: what that costs those who wait behind them."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from processes.conftest import Open, Place
from processes.test_queue import LONG, queue

from lease_actors import ClaimDenied

WINDOW = 1.0


def test_a_dead_process_costs_one_offer_window_however_many_it_had_queued(open_one: Open) -> None:
    one, dead, other = (open_one(offer_window=WINDOW) for _ in range(3))
    one.do("claim", lease="db", holder="h0", duration=LONG)
    dead.do("claim_many", lease="db", count=50, duration=LONG)
    claim = queue(other, "h1")
    dead.kill()
    one.do("revoke", lease="db", holder="h0")
    # An offer takes a term: one was missed, and the next was for the first behind all fifty.
    assert claim.value()["term"] == 3
    assert len(one.do("waiting", lease="db")) == 50


def test_once_it_is_missed_it_costs_nothing_any_more(open_one: Open) -> None:
    one, dead, other = (open_one(offer_window=WINDOW) for _ in range(3))
    for lease in ("db", "db-2"):
        one.do("claim", lease=lease, holder="h0", duration=LONG)
        dead.do("claim_many", lease=lease, count=3, duration=LONG)
    dead.kill()
    claim = queue(other, "h1")
    one.do("revoke", lease="db", holder="h0")
    assert claim.value()["term"] == 3
    one.do("revoke", lease="db-2", holder="h0")
    assert one.do("claim", lease="db-2", holder="h2", duration=LONG)["term"] == 2


def test_a_process_that_dies_holding_costs_its_duration_at_most(open_one: Open) -> None:
    dead, other = open_one(), open_one()
    held = dead.do("claim", lease="db", holder="h0", duration=1.0)
    claim = queue(other, "h1")
    dead.kill()
    lease = claim.value()
    assert lease["term"] == 2
    assert held["expiry"] <= lease["granted_at"] < held["expiry"] + 5_000_000


def test_a_process_that_dies_between_offer_and_confirmation_costs_one_window(
    open_one: Open,
) -> None:
    one, dead, other = (open_one(offer_window=WINDOW) for _ in range(3))
    one.do("claim", lease="db", holder="h0", duration=LONG)
    queue(dead, "h1")
    claim = queue(other, "h2")
    dead.freeze()  # so that it cannot confirm what it is offered
    one.do("revoke", lease="db", holder="h0")
    dead.kill()
    assert claim.value()["term"] == 3


def test_a_process_that_stands_still_keeps_its_places_and_is_served_again(open_one: Open) -> None:
    one, still, other = (open_one(offer_window=WINDOW) for _ in range(3))
    one.do("claim", lease="db", holder="h0", duration=LONG)
    places = [queue(still, "s1"), queue(still, "s2")]
    claim = queue(other, "h1")
    still.freeze()
    one.do("revoke", lease="db", holder="h0")
    assert claim.value()["term"] == 3
    behind = queue(one, "h2")
    assert one.do("waiting", lease="db") == ["s1", "s2", "h2"]
    still.thaw()
    still.do("claim", lease="beside", holder="s0", duration=LONG)  # so it has shown itself
    other.do("revoke", lease="db", holder="h1")
    assert places[0].value()["term"] == 4
    still.do("revoke", lease="db", holder="s1")
    assert places[1].value()["term"] == 5
    one.do("revoke", lease="db", holder="s2")
    assert behind.value()["term"] == 6


def test_who_was_missed_shows_itself_without_being_asked_for_anything(open_one: Open) -> None:
    one, still = open_one(offer_window=WINDOW), open_one(offer_window=WINDOW)
    one.do("claim", lease="db", holder="h0", duration=LONG)
    claim = queue(still, "s1")
    still.freeze()
    one.do("revoke", lease="db", holder="h0")
    behind = queue(one, "h1")
    assert behind.value()["term"] == 3
    still.thaw()
    one.do("revoke", lease="db", holder="h1")
    assert claim.value()["holder"] == "s1"


def test_a_process_that_closes_its_manager_leaves_the_queue(open_one: Open) -> None:
    one, leaver = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    queue(leaver, "gone")
    claim = queue(one, "h1")
    leaver.do("close")
    assert one.do("waiting", lease="db") == ["h1"]
    one.do("revoke", lease="db", holder="h0")
    assert claim.value()["term"] == 2
    leaver.leave()


def test_a_process_that_ends_without_closing_it_leaves_the_queue_too(open_one: Open) -> None:
    one, leaver = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    queue(leaver, "gone")
    leaver.leave()
    assert one.do("waiting", lease="db") == []


def test_what_a_process_claimed_stays_to_its_expiry_when_it_has_ended(open_one: Open) -> None:
    one, leaver = open_one(), open_one()
    lease = leaver.do("claim", lease="db", holder="h0", duration=LONG)
    leaver.leave()
    assert one.do("get", lease="db")["expiry"] == lease["expiry"]
    one.do("check", lease="db", holder="h0")
    with pytest.raises(ClaimDenied):
        one.do("claim", lease="db", holder="h1", duration=LONG)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the rule is the same for all
def test_short_lived_processes_get_past_a_dead_one(open_one: Open, place: Place) -> None:
    """Each judges for the first time; together they must not keep an offer alive for ever."""
    window = 0.2
    job, dead, timer = (open_one(offer_window=window) for _ in range(3))
    job.do("claim", lease="db", holder="h0", duration=0.1)
    dead.do("claim_many", lease="db", count=3, duration=LONG)
    dead.kill()
    for turn in range(5):
        timer.do("claim", lease="time", holder="timer", duration=1.5 * window)
        timer.do("wait_until_expired", lease="time")
        job.do("close")
        job.do("open", **asdict(place), offer_window=window)
        try:
            lease = job.do("claim", lease="db", holder="job", duration=LONG)
        except ClaimDenied:
            assert turn < 3
        else:
            assert lease["term"] == 3
            return
