"""Leases in this process's memory: for tests, and for programs of one process.

Several managers may share one ``MemoryStore``; between processes it shares nothing, and in a
forked child it is empty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from lease_actors.clock import Clock
from lease_actors.core.model import (
    Instant,
    Key,
    LeaseState,
    Micros,
    Need,
    Offer,
    PastTenure,
    Waiter,
)
from lease_actors.errors import StoreError
from lease_actors.stores.base import Batch, Heard, HistoryQuery, Listener, Peek, StartUnknown
from lease_actors.stores.idle import idle_since
from lease_actors.stores.past import MemoryHistory, overdue
from lease_actors.stores.waiters import MemoryQueue, presence

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store in memory. One lock makes every batch a transaction; nothing is durable.

    Its time is the clock's steady time on top of the wall time at the first ``open`` in a boot:
    steps of the wall clock do not reach it, also when it is opened anew, and it never goes back,
    also when that is with another clock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clock: Clock | None = None
        self._closed = True
        self._offset = 0
        self._latest: Instant = 0
        self._floor = 0
        self._starts: dict[str, int] = {}  # start -> its last batch
        self._absences: dict[str, int] = {}  # start -> its last batch when it was found absent
        self._leases: dict[Key, _Lease] = {}
        self._places: dict[tuple[str, str], dict[Key, _Lease]] = {}
        self._offers: dict[str, dict[Key, Offer]] = {}  # start -> what is offered to it
        self._history = MemoryHistory()
        self._listeners: list[_Listener] = []
        self._version = 0
        self._hand: Iterator[Key] = iter(())

    def open(self, clock: Clock) -> None:
        """Take the time from ``clock`` from now on, unless the store is open already."""
        with self._lock:
            if not self._closed:
                return
            if not self._goes_on(clock):
                self._offset = max(clock.wall(), self._latest) - clock.steady()
            self._clock, self._closed = clock, False

    def begin(self, start: str) -> None:
        """Record a start; asked twice, its batches stay counted."""
        with self._lock:
            self._starts.setdefault(start, 0)

    def apply(self, batch: Batch) -> bool:
        """Apply the batch once. If ``decide`` raises, nothing has happened."""
        with self._lock:
            last = self._starts.get(batch.start)
            if last is None:
                raise StartUnknown(f"start {batch.start!r} is not recorded in this store")
            if batch.number <= last:
                return False
            present = presence(self._starts, self._absences, batch.start)
            states = {key: self._load(key, need, present) for key, need in batch.needs.items()}
            changes = batch.decide(states, self._now())
            self._starts[batch.start] = batch.number
            for state in changes.states:
                before = states[state.key]
                if state is not before:
                    self._write(before, state)
            for start in changes.absent:
                if start in self._starts:
                    self._absences[start] = self._starts[start]
            self._history.record(changes.ended)
            self._version += 1
            listeners = [x for x in self._listeners if x.start != batch.start]
        for listener in listeners:
            mine = listener.start
            concerned = [n for n in changes.notices if not n.claim or n.claim.start == mine]
            if concerned:
                listener.heard(concerned)
        return True

    def now(self) -> Instant:
        """The store's time; never less than it has been."""
        with self._lock:
            return self._now()

    def get(self, key: Key) -> tuple[LeaseState, Instant]:
        """A snapshot of one lease, and the time."""
        with self._lock:
            lease = self._leases.get(key)
            state = LeaseState(key, term=self._floor) if lease is None else lease.state
            return state, self._now()

    def leases(
        self, namespace: str | None, model_uuid: str | None
    ) -> tuple[list[LeaseState], Instant]:
        """The leases there, or everywhere, that have a tenure, an offer or pins."""
        with self._lock:
            if namespace is None or model_uuid is None:
                there = self._leases
            else:
                there = self._places.get((namespace, model_uuid), {})
            states = [x.state for x in there.values()]
            return [s for s in states if s.tenure or s.offer or s.pins], self._now()

    def waiting(self, key: Key) -> list[Waiter]:
        """The whole queue of one lease, in order."""
        with self._lock:
            lease = self._leases.get(key)
            if lease is None:
                return []
            present = presence(self._starts, self._absences)
            waiters = lease.queue.all()
            return [w if present(w.claim.start) else replace(w, absent=True) for w in waiters]

    def peek(self, start: str, keys: Sequence[Key]) -> Peek:
        """What concerns that start."""
        with self._lock:
            states = [self._leases[k].state if k in self._leases else LeaseState(k) for k in keys]
            absent = not presence(self._starts, self._absences)(start)
            return Peek(list(self._offers.get(start, {}).items()), states, absent, self._now())

    def offered(self, start: str) -> bool:
        """Is anything on offer to that start?"""
        return bool(self._offers.get(start))

    def version(self) -> int:
        """How many batches have been applied."""
        return self._version

    def listen(self, start: str, heard: Heard) -> Listener:
        """Hear the notices of other starts, on the threads that apply their batches."""
        listener = _Listener(self, start, heard)
        with self._lock:
            self._listeners.append(listener)
        return listener

    def unlisten(self, listener: Listener) -> None:
        """Forget the listener."""
        with self._lock:
            self._listeners = [x for x in self._listeners if x is not listener]

    def history(self, query: HistoryQuery) -> list[PastTenure]:
        """The tenures asked for that have ended, the last to end first."""
        with self._lock:
            return self._history.read(query, (x.state for x in self._leases.values()), self._now())

    def set_history(self, retention: Micros | None) -> None:
        """On for every manager on this store, or off."""
        with self._lock:
            self._history.set(retention)

    def history_setting(self) -> Micros | None:
        """For how long ended tenures are kept; None: the history is off."""
        with self._lock:
            return self._history.retention

    def prune(self, idle_for: Micros, limit: int = 1000) -> int:
        """Forget leases on which nothing hangs, their terms going into the floor."""
        with self._lock:
            before = self._now() - idle_for
            self._history.prune(self._now())
            hand = list(islice(self._hand, limit))
            if len(hand) < limit:
                self._hand = iter(list(self._leases))
            return sum(self._forget(key, before) for key in hand or islice(self._hand, limit))

    def close(self) -> None:
        """Keep everything; the next ``open`` may bring another clock."""
        with self._lock:
            self._closed = True

    def abandon(self) -> None:
        """In a forked child: be empty, like one that was just made.

        Another thread may have been in the midst of a batch at the fork: its lock is held for ever
        then, and half of it is written. The child shares nothing with the parent's store anyway.
        """
        vars(self).update(vars(MemoryStore()))

    # -- under the lock ------------------------------------------------------------------

    def _goes_on(self, clock: Clock) -> bool:
        """Whether its steady time is the one that the offset is for. Other managers may be at work:
        one that stops closes the store for the next ``open`` only."""
        same_boot = self._clock is not None and clock.boot_id == self._clock.boot_id
        return same_boot and clock.steady() + self._offset >= self._latest

    def _now(self) -> Instant:
        if self._clock is None:
            raise StoreError("cannot tell the store's time: open(clock) the MemoryStore first")
        self._latest = max(self._latest, self._clock.steady() + self._offset)
        return self._latest

    def _load(self, key: Key, need: Need, present: Callable[[str], bool]) -> LeaseState:
        lease = self._leases.get(key)
        if lease is None:
            return LeaseState(key, term=self._floor)
        if not lease.state.queued:
            return lease.state
        window, horizon = lease.queue.window(need, present)
        return lease.state._replace(queue=window, horizon=horizon)

    def _write(self, before: LeaseState, state: LeaseState) -> None:
        lease = self._leases.get(state.key)
        if lease is None:
            if state == before:
                return
            lease = self._leases[state.key] = _Lease()
            self._places.setdefault(state.key[:2], {})[state.key] = lease
        if state.queue is not before.queue:
            lease.queue.change(before.queue, state.queue)
        self._note_offer(before.offer, state)
        if state.queue or state.guarded or state.horizon is not None:
            state = state._replace(queue=(), horizon=None, guarded=False)
        lease.state = state

    def _note_offer(self, before: Offer | None, state: LeaseState) -> None:
        if state.offer is before:
            return
        if before is not None:
            self._offers[before.claim.start].pop(state.key, None)
        if state.offer is not None:
            self._offers.setdefault(state.offer.claim.start, {})[state.key] = state.offer

    def _forget(self, key: Key, before: Instant) -> bool:
        lease = self._leases.get(key)
        since = None if lease is None else idle_since(lease.state)
        if lease is None or since is None or since > before:
            return False
        self._floor = max(self._floor, lease.state.term)
        self._history.record([overdue(lease.state, before)])
        del self._leases[key], self._places[key[:2]][key]
        if not self._places[key[:2]]:
            del self._places[key[:2]]
        return True


class _Listener:
    """Somebody who hears; always works, since nothing can fail on the way."""

    working = True

    def __init__(self, store: MemoryStore, start: str, heard: Heard) -> None:
        self._store = store
        self.start = start
        self.heard = heard

    def close(self) -> None:
        self._store.unlisten(self)


class _Lease:
    """One lease: its state without the queue, and the queue."""

    __slots__ = ("queue", "state")
    state: LeaseState

    def __init__(self) -> None:
        self.queue = MemoryQueue()
