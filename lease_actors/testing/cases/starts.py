"""One start of a manager as a store sees it: batches of real operations under its number."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta

from lease_actors.core.batch import Decided, decide_batch, needs
from lease_actors.core.decision import Context, Granted, Outcome
from lease_actors.core.model import ClaimId, Instant, Key, LeaseState, Need, Tenure
from lease_actors.core.operations import Claim, Operation, Release
from lease_actors.stores.base import Batch, Changes, Store, StorePassing

__all__ = ["DURATION", "KEY", "Start", "named"]

KEY = Key("ns", "model", "lease")
DURATION = timedelta(seconds=30, microseconds=1)

_ATTEMPTS = 1000


def named(lease: str) -> Key:
    """Another lease beside ``KEY``."""
    return KEY._replace(lease=lease)


class Start:
    """Applies operations to a store, each call one batch."""

    def __init__(self, store: Store, name: str | None = None) -> None:
        self.store = store
        self.name = name or uuid.uuid4().hex
        self.number = 0
        self.seen: Mapping[Key, LeaseState] = {}
        """The states that the last batch was given."""
        self.now: Instant = 0
        """The instant that it was given."""
        store.begin(self.name)

    def claim_id(self, number: int) -> ClaimId:
        """The name of a blocked claim of this start."""
        return ClaimId(self.name, number)

    def ask(self, *operations: Operation) -> list[Outcome]:
        """The outcomes of these operations, applied in one batch."""
        decided: list[Decided] = []

        def decide(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            done = decide_batch(states, operations, Context(now, self.name, 5_000_000))
            decided.append(done)
            return Changes(done.changed, done.absent, ended=done.ended)

        self.run_whole(needs(operations), decide)
        return [decision.outcome for decision in decided[-1].decisions]

    def run(
        self,
        wanted: Mapping[Key, Need],
        decide: Callable[[Mapping[Key, LeaseState], Instant], Changes],
    ) -> bool:
        """Apply the next batch; what may pass is tried again under the same number."""
        self.number += 1
        batch = self.batch(wanted, decide)
        for _ in range(_ATTEMPTS):
            try:
                return self.store.apply(batch)
            except StorePassing:
                continue
        raise AssertionError(f"the store failed {_ATTEMPTS} times in ways that may pass")

    def batch(
        self,
        wanted: Mapping[Key, Need],
        decide: Callable[[Mapping[Key, LeaseState], Instant], Changes],
    ) -> Batch:
        """The batch of the current number, which notes what it is given."""

        def note(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            self.seen, self.now = states, now
            return decide(states, now)

        return Batch(self.name, self.number, wanted, note)

    def run_whole(
        self,
        wanted: Mapping[Key, Need],
        decide: Callable[[Mapping[Key, LeaseState], Instant], Changes],
    ) -> bool:
        """The same; a batch that is not shown all its leases, since somebody keeps one locked for
        longer than the store waits, decides nothing and is tried again."""

        def decide_all(states: Mapping[Key, LeaseState], now: Instant) -> Changes:
            if len(states) < len(wanted):
                raise StorePassing("not all leases were shown")
            return decide(states, now)

        return self.run(wanted, decide_all)

    # -- shorthands ----------------------------------------------------------------------

    def look(self, key: Key = KEY, need: Need | None = None) -> LeaseState:
        """The state as a batch with that need is given it; nothing changes."""
        self.run_whole({key: need or Need()}, lambda states, now: Changes([]))
        return self.seen[key]

    def write(self, *states: LeaseState, absent: frozenset[str] = frozenset()) -> None:
        """Have the states written as they are, whatever they were."""
        self.run_whole({s.key: Need() for s in states}, lambda old, now: Changes(states, absent))

    def edit(self, key: Key, change: Callable[[LeaseState], LeaseState], need: Need) -> None:
        """Change one state."""
        self.run_whole({key: need}, lambda states, now: Changes([change(states[key])]))

    def claim(self, key: Key = KEY, holder: str = "holder") -> Tenure:
        """A tenure of ``holder``, which must be to be had."""
        [outcome] = self.ask(Claim(key, holder, DURATION))
        assert isinstance(outcome, Granted), outcome
        return outcome.tenure

    def release(self, tenure: Tenure, key: Key = KEY) -> None:
        """End that tenure."""
        self.ask(Release(key, tenure.holder, tenure.term))

    def queue(self, *numbers: int, key: Key = KEY) -> None:
        """Queue a claim under each of these numbers, in that order; the lease must be held."""
        self.ask(*(Claim(key, f"w{n}", DURATION, self.claim_id(n)) for n in numbers))
