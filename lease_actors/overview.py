"""What operators look at: whole leases as plain values, of one namespace or of all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lease_actors.actors.reads import Reads
from lease_actors.clock import from_instant
from lease_actors.core.decide import standing_offer, stands
from lease_actors.core.model import Ending, Instant, Key, LeaseState
from lease_actors.core.operations import Read
from lease_actors.lease import Waiter
from lease_actors.past import PastTenure, past_tenure_of, query_of
from lease_actors.secretaries import Secretaries, validate

__all__ = ["LeaseView", "Overview", "past_dict", "recognised", "waiter_dict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """One lease at one moment.

    ``state``: ``held``, ``offered`` (on its way to the holder, who has yet to confirm),
    ``ending`` (over as soon as the last guard is), or ``free``: also past an expiry, or the lapse
    of an offer, that nobody has looked at yet. Of a free lease ``holder``, ``granted_at``,
    ``expiry``, ``duration`` and ``remaining`` are None. ``remaining`` is counted by the store's
    clock at the moment of the read, never negative; of an offer, to its lapse.
    ``ended``, ``ended_term``, ``ended_at`` tell of the last tenure that is over, also if nobody
    has looked at its expiry yet.
    """

    key: Key
    state: str
    holder: str | None
    term: int
    granted_at: datetime | None
    expiry: datetime | None
    duration: timedelta | None
    remaining: timedelta | None
    pins: tuple[str, ...]
    waiting: int
    ended: Ending | None
    ended_term: int
    ended_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: instants in ISO 8601, durations in seconds. These names do not change."""
        return {
            "namespace": self.key.namespace,
            "model": self.key.model_uuid,
            "lease": self.key.lease,
            "state": self.state,
            "holder": self.holder,
            "term": self.term,
            "granted_at": _iso(self.granted_at),
            "expiry": _iso(self.expiry),
            "duration": _seconds(self.duration),
            "remaining": _seconds(self.remaining),
            "pins": list(self.pins),
            "waiting": self.waiting,
            "ended": self.ended,
            "ended_term": self.ended_term or None,
            "ended_at": _iso(self.ended_at),
        }


class Overview:
    """Reads snapshots of whole leases; never delays a claim.

    Raises ``NotValid`` for a name that is no text, ``StoreError``, ``LeaseTimeout`` and
    ``ManagerStopped``, as a reader does.
    """

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def leases(self, namespace: str | None = None, model_uuid: str = "") -> list[LeaseView]:
        """The leases there that have a holder, an offer, pins or a queue, in the order of their
        names; no namespace: those of every namespace and model."""
        key = Key(namespace or "", model_uuid, "")
        model = None if namespace is None else model_uuid
        states, now = self._reads.read(key, lambda store: store.leases(namespace, model))
        views = [_view(state, now) for state in sorted(states, key=lambda state: state.key)]
        # One that has expired is in the store until somebody tidies it away.
        return [view for view in views if view.state != "free" or view.pins or view.waiting]

    def lease(self, key: Key) -> LeaseView:
        """One lease, whatever its state; one that was never claimed is free, under term 0."""
        state, now = self._reads.read(key, lambda store: store.get(key))
        return _view(state, now)

    def waiting(self, key: Key) -> list[Waiter]:
        """Its blocked claims, in the order of the queue."""
        waiters = self._reads.read(key, lambda store: store.waiting(key))
        return [Waiter(w.holder, i, from_instant(w.since)) for i, w in enumerate(waiters, 1)]

    def history(
        self,
        namespace: str | None = None,
        model_uuid: str = "",
        lease: str | None = None,
        *,
        limit: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[PastTenure]:
        """The tenures that ended while the store's history was on, the last to end first; no
        namespace: those of every namespace and model."""
        query = query_of(namespace or "", model_uuid, lease, limit, since, until)
        if namespace is None:
            query = replace(query, namespace=None, model_uuid=None)
        key = Key(namespace or "", model_uuid, lease or "")
        past = self._reads.read(key, lambda store: store.history(query))
        return [past_tenure_of(tenure) for tenure in past]

    def retention(self) -> timedelta | None:
        """For how long the store keeps ended tenures; None: its history is off."""
        kept = self._reads.read(Key("", "", ""), lambda store: store.history_setting())
        return None if kept is None else timedelta(microseconds=kept)


def recognised(overview: Overview, key: Key) -> LeaseView:
    """The lease, if it is one or could be: ``NotValid`` for what the default rules take for no
    name, unless somebody has a lease of that name, under rules of his own."""
    view = overview.lease(key)
    if not (view.term or view.pins or view.waiting):
        validate(Secretaries().secretary_for(key.namespace), Read(key))
    return view


def past_dict(past: PastTenure) -> dict[str, Any]:
    """A tenure that has ended, for JSON."""
    return {
        "namespace": past.key.namespace,
        "model": past.key.model_uuid,
        "lease": past.key.lease,
        "holder": past.holder,
        "term": past.term,
        "granted_at": _iso(past.granted_at),
        "ended_at": _iso(past.ended_at),
        "ended": past.ended,
    }


def waiter_dict(waiter: Waiter) -> dict[str, Any]:
    """A waiter for JSON."""
    return {
        "position": waiter.position,
        "holder": waiter.holder,
        "since": _iso(waiter.since),
    }


def _view(state: LeaseState, now: Instant) -> LeaseView:
    granted = expiry = duration = None
    name, holder = "free", None
    tenure, offer = state.tenure, standing_offer(state, now)
    ended, ended_term, ended_at = state.ended, state.ended_term, state.ended_at
    if tenure is not None and (stands(state, now) or tenure.ending is not None):
        name = "held" if tenure.ending is None else "ending"
        holder, granted, expiry = tenure.holder, tenure.granted_at, tenure.expiry
        duration = timedelta(microseconds=tenure.duration)
    elif tenure is not None:  # it has expired, and nobody has recorded it yet
        ended, ended_term, ended_at = "expired", tenure.term, tenure.expiry
    elif offer is not None:
        name, holder, granted, expiry = "offered", offer.holder, offer.made_at, offer.lapses_at
    left = None if expiry is None else timedelta(microseconds=max(0, expiry - now))
    return LeaseView(
        key=state.key,
        state=name,
        holder=holder,
        term=state.term,
        granted_at=_moment(granted),
        expiry=_moment(expiry),
        duration=duration,
        remaining=left,
        pins=tuple(sorted(state.pins)),
        waiting=state.queued,
        ended=ended,
        ended_term=ended_term,
        ended_at=None if ended is None else from_instant(ended_at),
    )


def _moment(instant: Instant | None) -> datetime | None:
    return None if instant is None else from_instant(instant)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
