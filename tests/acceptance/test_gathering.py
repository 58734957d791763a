"""What goes into a batch: all that has gathered; under load also those who were just answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pykka
import pytest
from support.faults import FaultyStore, Hang
from support.managers import managing, until

from lease_actors import Manager
from lease_actors.actors import line
from lease_actors.actors.manager import ManagerActor

NS = "ns"


def claim(manager: Manager, lease: str) -> Any:
    return manager.claimer(NS).claim_future(lease, "me", 60, wait=0)


@contextmanager
def one_in_the_line(
    monkeypatch: pytest.MonkeyPatch,
    giving_way: Callable[[Manager, FaultyStore], object],
    *,
    before: int,
) -> Iterator[FaultyStore]:
    """A batch of ``before`` operations has just been answered, and one more is in the line."""
    store, first, second = FaultyStore(), Hang(), Hang()
    store.then(first, second)
    with managing(store) as manager, first, second:
        monkeypatch.setattr(line, "give_way", lambda: giving_way(manager, store))
        futures = [claim(manager, "first")]
        assert first.began.wait(20)
        futures += [claim(manager, f"second-{n}") for n in range(before)]
        until(lambda: in_line() == before, "they are in the line")
        first.release()
        assert second.began.wait(20)
        futures.append(claim(manager, "third"))
        until(lambda: in_line() == 1, "it is in the line")
        second.release()
        for future in futures:
            assert future.get(timeout=20).term == 1
        yield store


def actor() -> Any:
    [found] = pykka.ActorRegistry.get_by_class(ManagerActor)
    return found._actor_weakref()


def in_line() -> int:
    return len(actor()._line._pending)


def test_who_was_answered_together_comes_back_into_one_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came_back: list[Any] = []

    def come_back(manager: Manager, store: FaultyStore) -> None:
        if not came_back:
            came_back.append(claim(manager, "again"))
            until(lambda: not actor().actor_inbox.empty(), "it is in the inbox")

    with one_in_the_line(monkeypatch, come_back, before=2) as store:
        assert came_back[0].get(timeout=20).term == 1
        assert store.attempts == 3


def test_after_a_batch_of_one_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gave_way: list[int] = []

    def note(manager: Manager, store: FaultyStore) -> None:
        gave_way.append(store.attempts)

    with one_in_the_line(monkeypatch, note, before=1) as store:
        assert store.attempts == 3
        assert not gave_way


def test_a_batch_gives_way_a_few_times_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    made_before: list[int] = []

    def one_more(manager: Manager, store: FaultyStore) -> None:
        made_before.append(store.attempts)
        sent.append(claim(manager, f"more-{len(sent)}"))
        until(lambda: not actor().actor_inbox.empty(), "it is in the inbox")

    with one_in_the_line(monkeypatch, one_more, before=2):
        assert made_before.count(2) == line._TURNS
