"""A claim: attributed, or denied, at once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import partial

import pytest
from acceptance.conftest import OpenManager, Run
from acceptance.support import NS, key

from lease_actors import ClaimDenied, Lease, Manager, NotHeld
from lease_actors.testing import FakeClock

START = datetime(2021, 3, 28, 1, 59, 59, 999_999, tzinfo=timezone.utc)


def test_free_lease_is_attributed(open_manager: OpenManager) -> None:
    manager = open_manager(clock=FakeClock(START))

    lease = manager.claimer(NS, "model").claim("db", "app-1", 90)

    assert lease.key == (NS, "model", "db")
    assert (lease.holder, lease.term, lease.pinned) == ("app-1", 1, False)
    assert lease.granted_at == START
    assert lease.duration == timedelta(seconds=90)
    assert lease.expiry == START + timedelta(seconds=90)


def test_lease_that_another_holds_is_denied(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    lease = claimer.claim("db", "app-1", 90)

    with pytest.raises(ClaimDenied, match=r"lease 'db' for holder 'app-2': 'app-1' holds it") as e:
        claimer.claim("db", "app-2", 90)

    assert e.value.key == key("db")
    assert manager.reader(NS).get("db") == lease
    with pytest.raises(NotHeld):
        manager.checker(NS).token("db", "app-2").check()


@pytest.mark.parametrize("wait", [0, 0.0, timedelta(0)])
def test_no_wait_in_any_notation_never_queues(manager: Manager, wait: float | timedelta) -> None:
    claimer = manager.claimer(NS)
    claimer.claim("db", "app-1", 90)

    with pytest.raises(ClaimDenied):
        claimer.claim("db", "app-2", 90, wait=wait)
    with pytest.raises(ClaimDenied):
        claimer.claim_future("db", "app-2", 90, wait=wait).get()

    assert manager.reader(NS).waiting("db") == []


@pytest.mark.parametrize(
    "duration", [0.25, 0.000_001, 1, 86_400 * 366, timedelta(seconds=1, microseconds=7)]
)
def test_duration_is_kept_to_the_microsecond(manager: Manager, duration: float | timedelta) -> None:
    lease = manager.claimer(NS).claim("db", "app-1", duration)

    asked = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
    assert lease.duration == lease.expiry - lease.granted_at == asked


def test_lease_lasts_to_its_expiry_and_is_free_from_that_instant_on(
    manager: Manager, clock: FakeClock
) -> None:
    claimer = manager.claimer(NS)
    first = claimer.claim("db", "app-1", 0.25)

    clock.advance(0.249_999)
    with pytest.raises(ClaimDenied):
        claimer.claim("db", "app-2", 10)

    clock.advance(0.000_001)
    second = claimer.claim("db", "app-2", 10)
    assert (second.granted_at, second.term) == (first.expiry, first.term + 1)


def test_term_is_higher_at_each_attribution_however_the_last_tenure_ended(
    open_manager: OpenManager, clock: FakeClock
) -> None:
    manager = open_manager()
    claimer = manager.claimer(NS)
    terms = [claimer.claim("db", "app-1", 10).term]
    manager.revoker(NS).revoke("db", "app-1")
    terms.append(claimer.claim("db", "app-1", 10).term)
    clock.advance(10)
    terms.append(claimer.claim("db", "app-1", 10).term)
    clock.advance(11)
    manager.kill()
    manager.wait()
    terms.append(open_manager().claimer(NS).claim("db", "app-1", 10).term)

    assert terms == [1, 2, 3, 4]


def test_what_was_claimed_outlives_a_manager_that_stops(open_manager: OpenManager) -> None:
    with open_manager() as manager:
        lease = manager.claimer(NS).claim("db", "app-1", 3600)

    after = open_manager()
    assert after.reader(NS).get("db") == lease
    with pytest.raises(ClaimDenied):
        after.claimer(NS).claim("db", "app-2", 1)


def test_same_name_elsewhere_is_another_lease(manager: Manager) -> None:
    places = [("ns", ""), ("ns", "m1"), ("ns", "m2"), ("other", ""), ("other", "m1")]
    for i, place in enumerate(places):
        assert manager.claimer(*place).claim("db", f"app-{i}", 60).term == 1
    for i, place in enumerate(places):
        assert manager.reader(*place).leases() == {"db": f"app-{i}"}


def test_names_compare_code_point_by_code_point(manager: Manager) -> None:
    claimer = manager.claimer(NS)
    names = ["a", "A", "\u00e9", "e\u0301", "\u00df", "ss", "\ufb01", "fi", "\u0130", "\U0001f600"]
    for name in names:
        assert claimer.claim(name, name, 60).holder == name
    assert manager.reader(NS).leases() == {name: name for name in names}
    with pytest.raises(ClaimDenied):
        claimer.claim("a", "A", 60)


def test_of_many_claims_at_once_exactly_one_succeeds(real_manager: Manager, run: Run) -> None:
    claimer = real_manager.claimer(NS)

    def claim(holder: str) -> Lease | None:
        try:
            return claimer.claim("db", holder, 60)
        except ClaimDenied:
            return None

    for round_ in range(5):
        calls = [run(partial(claim, f"app-{i}")) for i in range(16)]
        winners = [lease for call in calls if (lease := call.outcome()) is not None]
        assert [w.holder for w in winners] == list(real_manager.reader(NS).leases().values())
        assert winners[0].term == round_ + 1
        real_manager.revoker(NS).revoke("db", winners[0].holder)
