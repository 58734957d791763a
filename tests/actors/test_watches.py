"""When a lease that somebody waits for is looked at next."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from core.desk import KEY, NOW, SECOND, tenure

from lease_actors.actors.watches import Watches
from lease_actors.core.model import LeaseState, Tenure

OVER = tenure(left=0)


@pytest.fixture
def watches() -> Watches:
    watches = Watches()
    somebody: Any = "somebody"
    watches.add_end(somebody, KEY, OVER.term)
    return watches


def look(watches: Watches, tenure: Tenure, now: int) -> int:
    """The lease is looked at, and this is how it stands: the instant of the next look."""
    watches.look(LeaseState(KEY, tenure.term, tenure), now)
    instant = watches.next_due()
    assert instant is not None
    assert watches.pop_due(instant - 1) == []
    assert watches.pop_due(instant) == [KEY]
    return instant


def test_what_stands_is_looked_at_when_it_expires(watches: Watches) -> None:
    assert look(watches, tenure(left=60), NOW) == NOW + 60 * SECOND


@pytest.mark.parametrize("kept", [OVER, tenure(ending="revoked")])
def test_what_only_a_guard_keeps_is_looked_at_after_50_ms_doubling_to_1_s(
    watches: Watches, kept: Tenure
) -> None:
    instants = [NOW]
    for _ in range(7):
        instants.append(look(watches, kept, instants[-1]))
    pauses = [(next - last) // 1000 for last, next in pairwise(instants)]
    assert pauses == [50, 100, 200, 400, 800, 1000, 1000]


def test_the_next_guard_is_looked_at_after_50_ms_again(watches: Watches) -> None:
    now = NOW
    for _ in range(3):
        now = look(watches, OVER, now)
    now = look(watches, tenure(left=60), now)
    assert look(watches, tenure(left=60), now) == now + 50_000
