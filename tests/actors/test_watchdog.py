"""The watchdog tells of what takes longer than its limit, exactly then, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.watchdog import Watchdog
from lease_actors.testing.clock import FakeClock

LIMIT = 5_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class CountingAlarm(Alarm):
    """Counts how often it was set."""

    count = 0

    def at(self, *args, **fields):  # type: ignore[no-untyped-def]
        self.count += 1
        return super().at(*args, **fields)


@pytest.fixture
def alarm(clock: FakeClock) -> Iterator[CountingAlarm]:
    alarm = CountingAlarm(clock, "alarm under test")
    yield alarm
    alarm.close()
    alarm.join(10)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def dog(clock: FakeClock, alarm: CountingAlarm) -> Watchdog:
    return Watchdog(clock, alarm, LIMIT)


def test_what_is_over_in_time_is_not_told(dog: Watchdog, clock: FakeClock, told: list[str]) -> None:
    dog.begin(lambda: told.append("first")).over = True
    clock.advance(60)

    assert told == []


def test_what_is_not_over_is_told_at_its_limit_and_once(
    dog: Watchdog, clock: FakeClock, told: list[str]
) -> None:
    dog.begin(lambda: told.append("first"))
    clock.advance(4.999999)
    assert told == []
    clock.advance(0.000001)
    assert told == ["first"]
    clock.advance(60)
    assert told == ["first"]


def test_the_limit_of_each_counts_from_its_own_beginning(
    dog: Watchdog, clock: FakeClock, told: list[str]
) -> None:
    dog.begin(lambda: told.append("first")).over = True
    clock.advance(3)
    dog.begin(lambda: told.append("second"))
    clock.advance(4.999999)
    assert told == []
    clock.advance(0.000001)
    assert told == ["second"]


def test_what_begins_after_one_was_overdue_is_watched_too(
    dog: Watchdog, clock: FakeClock, told: list[str]
) -> None:
    dog.begin(lambda: told.append("first"))
    clock.advance(5)
    dog.begin(lambda: told.append("second"))
    clock.advance(5)

    assert told == ["first", "second"]


def test_what_begins_after_a_long_rest_is_watched_too(
    dog: Watchdog, clock: FakeClock, told: list[str]
) -> None:
    dog.begin(lambda: told.append("first")).over = True
    clock.advance(3600)
    dog.begin(lambda: told.append("second"))
    clock.advance(5)

    assert told == ["second"]


def test_the_alarm_is_set_once_for_all_that_begin_before_it_rings(
    dog: Watchdog, clock: FakeClock, alarm: CountingAlarm
) -> None:
    for _ in range(1000):
        dog.begin(lambda: None).over = True
    assert alarm.count == 1
    clock.advance(3600)

    assert alarm.count == 1, "nothing is under way: it is not set anew"
