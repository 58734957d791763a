"""Mutual exclusion: an unguarded counter under a lease, while its holders and waiters are revoked,
left to expire, killed and stopped. What was counted is there, and the history proves the rest."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from processes.conftest import Open, Place
from processes.helpers import Helper, nobody_writes
from processes.history import Tenure, prove, read
from processes.work import LEASE, Record, locked, read_counter
from support.managers import until

from lease_actors import LeaseError

PROCESSES, THREADS = 3, 2
DURATION, WINDOW = 1.0, 1.0


class Site:
    """Processes that work under one lease, and the folder in which they write it all down."""

    def __init__(
        self, open_one: Open, place: Place, folder: Path, seed: int, *, hold: bool = False
    ) -> None:
        self._open, self._url, self.folder = open_one, place.url, folder
        self._hold = hold
        self._names = itertools.count(1)
        self.random = random.Random(seed)
        self.workers: dict[Helper, list[str]] = {}
        self.overseer = open_one(offer_window=WINDOW)
        self._record = Record(folder / "overseer.history", "overseer")
        for _ in range(PROCESSES):
            self.add()

    def add(self) -> None:
        """One process more."""
        helper = self._open(offer_window=WINDOW)
        self.workers[helper] = [f"w{next(self._names)}" for _ in range(THREADS)]
        for name in self.workers[helper]:
            seed = self.random.random()
            work = {"folder": str(self.folder), "name": name, "seed": seed, "hold": self._hold}
            helper.do("work", **work, duration=DURATION, steps=4)

    def any(self) -> Helper:
        return self.random.choice(list(self.workers))

    @contextmanager
    def between_steps(self, names: list[str]) -> Iterator[None]:
        """None of these is between its last look at the deadline and its write."""
        with ExitStack() as locks:
            for name in names:
                locks.enter_context(locked(self.folder / f"{name}.lock"))
            yield

    def count_on(self, steps: int = 5) -> None:
        """Return when they have counted so much further."""
        goal = read_counter(self.folder) + steps
        until(lambda: read_counter(self.folder) >= goal, f"the count of {goal}")

    # -- what happens to them ------------------------------------------------------------

    def kill_one(self) -> None:
        victim = self.any()
        with self.between_steps(self.workers[victim]):
            victim.kill()
        del self.workers[victim]
        self.count_on(2)
        self.add()

    def stop_one(self) -> None:
        self.stop(self.any())

    def stop(self, victim: Helper) -> None:
        """Whatever it is at, it stands still until others have counted on."""
        with self.between_steps(self.workers[victim]), nobody_writes(self._url):
            victim.freeze()
        self.count_on(2)
        victim.thaw()

    def revoke_one(self) -> None:
        holder = (self.overseer.do("get", lease=LEASE) or {}).get("holder")
        names = [name for names in self.workers.values() for name in names]
        if holder not in names:  # it is on its way, or that of one who was killed
            return
        with self.between_steps([holder]):
            at, by = self.overseer.do("now"), None
            try:
                self.overseer.do("revoke", lease=LEASE, holder=holder)
                by = self.overseer.do("now")
            except LeaseError:
                pass  # it has passed on meanwhile
            self._record("revoked", who=holder, at=at, by=by)

    def live_through(self, happenings: list[Callable[[], None]]) -> None:
        """All of that happens, in some order, while they count; everybody has had a turn."""
        self.random.shuffle(happenings)
        for happening in happenings:
            self.count_on()
            happening()
        self.count_on()
        tenures = self.close()
        assert len({tenure.who for tenure in tenures}) >= PROCESSES * THREADS

    # -- and in the end ------------------------------------------------------------------

    def close(self) -> list[Tenure]:
        """Let them come to an end; what they counted, and what they wrote down, is right."""
        resting = [helper.ask("rest") for helper in self.workers]
        for asked in resting:
            asked.value()
        self._record.close()
        histories = read(self.folder)
        events = [event for history in histories for event in history]
        counted = [event["to"] for event in events if event["what"] == "counted"]
        assert sorted(counted) == list(range(1, read_counter(self.folder) + 1))
        tenures = prove(histories)
        _in_one_order(events, tenures)
        return tenures


def _in_one_order(events: list[dict[str, Any]], tenures: list[Tenure]) -> None:
    """What was counted under a later term is more."""
    steps: dict[int, list[int]] = {tenure.term: [] for tenure in tenures}
    for event in events:
        if event["what"] == "counted":
            steps[event["term"]].append(event["to"])
    in_order = [to for tenure in tenures for to in steps[tenure.term]]
    assert in_order == sorted(in_order)


def test_nobody_counts_while_another_does(open_one: Open, place: Place, tmp_path: Path) -> None:
    site = Site(open_one, place, tmp_path, seed=3)
    site.live_through(
        [
            site.kill_one,
            *(site.stop_one for _ in range(2)),
            *(site.revoke_one for _ in range(5)),
        ]
    )


def test_nobody_counts_while_another_holds(open_one: Open, place: Place, tmp_path: Path) -> None:
    """Nobody revokes here: of that a block of hold() learns with its next renewal only."""
    site = Site(open_one, place, tmp_path, seed=5, hold=True)
    site.live_through([site.kill_one, site.kill_one, *(site.stop_one for _ in range(3))])


def test_whoever_is_stopped_while_it_holds_heeds_its_deadline(
    open_one: Open, place: Place, tmp_path: Path
) -> None:
    """Not one that happens to hold: the very one that does, each time."""
    site = Site(open_one, place, tmp_path, seed=4)
    stopped = 0
    while stopped < 2:
        site.count_on(1)
        holder = (site.overseer.do("get", lease=LEASE) or {}).get("holder")
        victim = next((h for h, names in site.workers.items() if holder in names), None)
        if victim is None:
            continue
        site.stop(victim)
        stopped += 1
    site.close()
