"""One queue for all processes: first in, first out, and only the winner's caller wakes."""

from __future__ import annotations

import pytest
from processes.conftest import Open
from processes.helpers import Asked, Helper
from support.managers import until

from lease_actors import ClaimDenied, LeasePinned, NotHeld, WaitTimeout

LONG = 3600


def queue(helper: Helper, holder: str, duration: float = LONG, **fields: object) -> Asked:
    """Ask for a claim, and return when it is in its place."""
    fields.setdefault("wait", None)
    asked = helper.ask("claim", lease="db", holder=holder, duration=duration, **fields)
    return asked.blocked()


def test_first_in_first_out_whichever_process_they_ask(open_one: Open) -> None:
    helpers = [open_one() for _ in range(3)]
    helpers[0].do("claim", lease="db", holder="h0", duration=LONG)
    asked = {}
    for number in range(1, 13):
        helper = helpers[number * number % 3]
        asked[number] = helper, queue(helper, f"h{number}")
    assert helpers[1].do("waiting", lease="db") == [f"h{n}" for n in range(1, 13)]
    for number, (helper, claim) in asked.items():
        assert not any(a.is_answered for n, (_, a) in asked.items() if n >= number)
        helper.do("revoke", lease="db", holder=f"h{number - 1}")
        assert claim.value()["term"] == number + 1
    assert all(h.do("report")["blocked-claims"] == 0 for h in helpers)


def test_the_lease_is_never_free_in_between(open_one: Open) -> None:
    one, other, third = open_one(), open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    for number in range(1, 6):
        claim = queue(other, f"h{number}")
        one.do("revoke", lease="db", holder=f"h{number - 1}")
        with pytest.raises(ClaimDenied):
            third.do("claim", lease="db", holder="thief", duration=LONG)
        assert claim.value()["term"] == number + 1


def test_an_expiry_is_served_whichever_process_granted(open_one: Open) -> None:
    one, other = open_one(), open_one()
    first = one.do("claim", lease="db", holder="h0", duration=1.0)
    claim = queue(other, "h1").value()
    assert claim["term"] == 2
    assert claim["granted_at"] >= first["expiry"]


def test_an_expiry_is_served_soon(open_one: Open) -> None:
    """Within 50 ms on an idle machine. This one is not; but far sooner than by a tick."""
    one, other = open_one(), open_one()
    late = []
    for number in range(3):
        first = one.do("claim", lease="db", holder=f"a{number}", duration=0.5)
        claim = queue(other, f"b{number}", 0.5).value()
        late.append(claim["granted_at"] - first["expiry"])
        other.do("revoke", lease="db", holder=f"b{number}")
    assert 0 <= min(late) < 500_000


def test_a_claim_that_times_out_leaves_its_place(open_one: Open) -> None:
    one, other = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    hasty = queue(other, "hasty", wait=0.3)
    patient = queue(one, "patient")
    with pytest.raises(WaitTimeout):
        hasty.value()
    until(lambda: one.do("waiting", lease="db") == ["patient"], "its leaving")
    one.do("revoke", lease="db", holder="h0")
    assert patient.value()["term"] == 2


def test_one_holder_in_two_processes_is_one_contender(open_one: Open) -> None:
    one, other = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    claims = [queue(helper, "twin") for helper in (one, other, one)]
    other.do("revoke", lease="db", holder="h0")
    assert {claim.value()["term"] for claim in claims} == {2}
    assert one.do("waiting", lease="db") == []


# -- what other processes see and do -----------------------------------------------------


def test_a_check_and_a_revocation_reach_across(open_one: Open) -> None:
    one, other = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    other.do("check", lease="db", holder="h0")
    other.do("revoke", lease="db", holder="h0")
    with pytest.raises(NotHeld):
        one.do("check", lease="db", holder="h0")
    with pytest.raises(NotHeld):
        other.do("check", lease="db", holder="h0")


def test_a_pin_holds_across_and_the_last_unpin_hands_over_in_time(open_one: Open) -> None:
    one, other = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=0.5)
    other.do("pin", lease="db", entity="unit")
    with pytest.raises(LeasePinned):
        one.do("revoke", lease="db", holder="h0")
    claim = queue(other, "h1")
    with pytest.raises(WaitTimeout):  # as long again as the lease, and it stands still
        one.do("wait_until_expired", lease="db", timeout=0.6)
    assert not claim.is_answered
    one.do("unpin", lease="db", entity="unit")
    refreshed = one.do("get", lease="db")
    assert claim.value()["term"] == 2
    assert refreshed["holder"] in ("h0", "h1")


def test_a_wait_ends_with_the_tenure_though_the_next_holder_has_it_at_once(
    open_one: Open,
) -> None:
    one, other = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=LONG)
    queue(one, "h1")
    wait = other.ask("wait_until_expired", lease="db").blocked()
    one.do("revoke", lease="db", holder="h0")
    wait.value()


def test_a_wait_ends_with_an_expiry(open_one: Open) -> None:
    one, other = open_one(), open_one()
    one.do("claim", lease="db", holder="h0", duration=0.5)
    other.ask("wait_until_expired", lease="db").blocked().value()
    assert one.do("get", lease="db") is None
