"""The checker itself: it takes what keeps the promises, and refuses what does not."""

from __future__ import annotations

from typing import Any

import pytest
from processes.history import BrokenPromise, Event, prove


def event(what: str, who: str, **fields: Any) -> Event:
    return {"what": what, "who": who, **fields}


def turn(who: str, term: int, granted_at: int, expiry: int, *, ask: int = 1) -> list[Event]:
    """Somebody asks, and has the lease."""
    return [
        event("asked", who, ask=ask, at=0),
        event("granted", who, ask=ask, term=term, granted_at=granted_at, expiry=expiry),
    ]


def test_one_after_the_other() -> None:
    tenures = prove([turn("a", 1, 100, 200), turn("b", 2, 200, 300)])
    assert [(t.who, t.term, t.stood_until) for t in tenures] == [("a", 1, 200), ("b", 2, 300)]


def test_the_next_may_begin_when_the_end_of_the_one_before_has_been_asked_for() -> None:
    released = [*turn("a", 1, 100, 200), event("releasing", "a", term=1, at=150)]
    assert len(prove([released, turn("b", 2, 150, 300)])) == 2
    revoked = [event("revoked", "a", at=120, by=125)]
    assert len(prove([turn("a", 1, 100, 200), revoked, turn("b", 2, 130, 300)])) == 2


@pytest.mark.parametrize("by", [105, None])
def test_a_request_from_before_the_grant_may_end_it(by: int | None) -> None:
    revoked = [event("revoked", "a", at=50, by=by)]
    assert len(prove([turn("a", 1, 100, 200), revoked, turn("b", 2, 110, 300)])) == 2


def test_an_extension_counts() -> None:
    extended = [*turn("a", 1, 100, 200), *turn("a", 1, 100, 400, ask=2)]
    assert prove([extended, turn("b", 2, 400, 500)])[0].stood_until == 400


def test_terms_may_be_left_out() -> None:
    """By an offer that was missed, or by a grant that its process did not live to write down."""
    assert len(prove([turn("a", 1, 100, 200), turn("b", 9, 200, 300)])) == 2


def refused(*histories: list[Event], in_order: bool = False) -> str:
    with pytest.raises(BrokenPromise) as broken:
        prove(histories, in_order=in_order)
    return str(broken.value)


def test_two_tenures_that_overlap() -> None:
    assert "1 µs before the end" in refused(turn("a", 1, 100, 200), turn("b", 2, 199, 300))


def test_two_tenures_that_overlap_before_the_release() -> None:
    released = [*turn("a", 1, 100, 200), event("releasing", "a", term=1, at=150)]
    assert "1 µs before" in refused(released, turn("b", 2, 149, 300))


def test_a_release_of_another_term_does_not_end_it() -> None:
    released = [*turn("a", 1, 100, 200), event("releasing", "a", term=7, at=150)]
    assert "50 µs before" in refused(released, turn("b", 2, 150, 300))


def test_a_revocation_of_somebody_else_does_not_end_it() -> None:
    revoked = [event("revoked", "c", at=120, by=125)]
    assert "before the end" in refused(turn("a", 1, 100, 200), revoked, turn("b", 2, 130, 300))


def test_a_revocation_that_was_done_before_it_began_does_not_end_it() -> None:
    revoked = [event("revoked", "a", at=50, by=99)]
    assert "before the end" in refused(turn("a", 1, 100, 200), revoked, turn("b", 2, 130, 300))


def test_a_tenure_that_was_seen_to_stand_though_the_next_had_begun() -> None:
    stood = [
        *turn("a", 1, 100, 200),
        event("stood", "a", term=1, at=180),
        event("releasing", "a", term=1, at=150),
    ]
    assert "20 µs before" in refused(stood, turn("b", 2, 160, 300))


def test_an_extension_that_the_next_did_not_heed() -> None:
    extended = [*turn("a", 1, 100, 200), *turn("a", 1, 100, 400, ask=2)]
    assert "200 µs before" in refused(extended, turn("b", 2, 200, 500))


def test_terms_that_do_not_rise() -> None:
    assert "before the end" in refused(turn("a", 2, 100, 200), turn("b", 1, 200, 300))


def test_one_term_for_two() -> None:
    assert "given twice" in refused(turn("a", 1, 100, 200), turn("b", 1, 200, 300))
    twice = [*turn("a", 1, 100, 200), *turn("a", 1, 250, 350, ask=2)]
    assert "given twice" in refused(twice)


def test_a_tenure_that_was_shortened() -> None:
    assert "shortened" in refused([*turn("a", 1, 100, 200), *turn("a", 1, 100, 150, ask=2)])


def test_a_grant_that_nobody_asked_for() -> None:
    assert "nobody had asked" in refused(turn("a", 1, 100, 200)[1:])


def test_a_grant_that_was_answered_twice() -> None:
    twice = [*turn("a", 1, 100, 200), turn("a", 2, 200, 300)[1]]
    assert "answered before" in refused(twice)


def test_a_grant_after_it_was_refused() -> None:
    asked, granted = turn("a", 1, 100, 200)
    assert "answered before" in refused([asked, event("failed", "a", ask=1), granted])


def test_work_under_a_term_that_is_somebody_elses() -> None:
    stolen = [event("counted", "b", term=1, to=5)]
    assert "not granted" in refused(turn("a", 1, 100, 200), stolen)


QUEUED = [
    [event("asked", "a", ask=1, at=10), event("blocked", "a", ask=1, at=20)],
    [event("asked", "b", ask=1, at=30), event("blocked", "b", ask=1, at=40)],
]


def grants(first: int, second: int) -> list[list[Event]]:
    terms = zip(QUEUED, "ab", (first, second), strict=True)
    return [
        [*asked, event("granted", who, ask=1, term=t, granted_at=100 * t, expiry=100 * t + 50)]
        for asked, who, t in terms
    ]


def test_first_in_first_out() -> None:
    assert len(prove(grants(1, 2), in_order=True)) == 2


def test_who_was_overtaken() -> None:
    assert "had its turn first" in refused(*grants(2, 1), in_order=True)
    assert len(prove(grants(2, 1))) == 2  # where order is not to be proved


def test_of_two_who_asked_at_once_either_may_be_first() -> None:
    histories = grants(2, 1)
    histories[1][0] = event("asked", "b", ask=1, at=15)
    assert len(prove(histories, in_order=True)) == 2
