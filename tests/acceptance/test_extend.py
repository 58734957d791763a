"""A claim by the one who holds the lease extends it, and never shortens it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from acceptance.support import NS, is_pending, pass_time, settle

from lease_actors import ClaimDenied, Manager
from lease_actors.testing import FakeClock


def test_extension_keeps_the_term_and_moves_the_expiry(manager: Manager, clock: FakeClock) -> None:
    claimer = manager.claimer(NS)
    first = claimer.claim("db", "app-1", 60)
    clock.advance(40)

    second = claimer.claim("db", "app-1", 60)

    assert (second.term, second.granted_at) == (first.term, first.granted_at)
    assert second.expiry == first.expiry + timedelta(seconds=40)


def test_extension_never_shortens(manager: Manager, clock: FakeClock) -> None:
    claimer = manager.claimer(NS)
    first = claimer.claim("db", "app-1", 60)
    clock.advance(10)

    for count, seconds in ((1, 5), (2, 50)):  # the second to the same instant
        trace = count * timedelta.resolution
        again = claimer.claim("db", "app-1", seconds)
        assert again == replace(first, expiry=first.expiry + trace)
        assert manager.reader(NS).get("db") == again


def test_only_an_extension_that_moves_the_expiry_changes_the_duration(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 60)
    clock.advance(30)

    assert claimer.claim("db", "app-1", 20).duration == timedelta(seconds=60)
    assert claimer.claim("db", "app-1", 31).duration == timedelta(seconds=31)
    assert claimer.claim("db", "app-1", 90).duration == timedelta(seconds=90)


def test_lease_past_its_expiry_is_not_revived_but_attributed_anew(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    first = claimer.claim("db", "app-1", 60)
    clock.advance(60)

    second = claimer.claim("db", "app-1", 60)

    assert second.term == first.term + 1
    assert second.granted_at == first.expiry


def test_extension_goes_before_those_who_queue(manager: Manager, clock: FakeClock) -> None:
    claimer = manager.claimer(NS)
    first = claimer.claim("db", "app-1", 60)
    queued = claimer.claim_future("db", "app-2", 60)
    pass_time(manager, clock, 59)

    assert claimer.claim("db", "app-1", 60).term == first.term
    assert claimer.claim("db", "app-1", 60, wait=None).term == first.term
    pass_time(manager, clock, 59)

    assert is_pending(queued)
    with pytest.raises(ClaimDenied):
        claimer.claim("db", "app-3", 60)
    pass_time(manager, clock, 1.001)
    assert queued.get().term == first.term + 1


def test_extension_is_no_second_tenure(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    for _ in range(3):
        claimer.claim("db", "app-1", 60)
    manager.revoker(NS).revoke("db", "app-1")
    settle(manager)
    assert manager.reader(NS).get("db") is None
