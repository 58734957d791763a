"""The history of a store in memory, and what every store's history has in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from lease_actors.core.model import Instant, LeaseState, Micros, PastTenure
from lease_actors.errors import NotValid
from lease_actors.stores.base import HistoryQuery

__all__ = ["MemoryHistory", "check_retention", "latest", "overdue"]


def overdue(state: LeaseState, now: Instant) -> PastTenure | None:
    """The tenure whose expiry has come, though nobody has tidied it away yet; or None."""
    tenure = state.tenure
    if tenure is None or tenure.ending is not None or state.pins or tenure.expiry > now:
        return None
    key, expiry = state.key, tenure.expiry
    return PastTenure(key, tenure.holder, tenure.term, tenure.granted_at, expiry, "expired")


def latest(found: Iterable[PastTenure], limit: int) -> list[PastTenure]:
    """The last to end first; those of one instant as they are given. One that was tidied away
    between two reads is in both, and is one."""
    once = {(past.key, past.term): past for past in found}
    return sorted(once.values(), key=lambda past: past.ended_at, reverse=True)[:limit]


def check_retention(retention: Micros | None) -> None:
    """Refuse (``NotValid``) what cannot be how long records are kept, before all stumble over it."""
    if retention is None:
        return
    if not isinstance(retention, int) or isinstance(retention, bool) or not 0 <= retention < 2**62:
        raise NotValid(
            f"cannot switch the history on: retention={retention!r} is not a number of"
            " microseconds (None switches it off)"
        )


class MemoryHistory:
    """What has ended, in the order in which it was written down. Its owner has the lock."""

    def __init__(self) -> None:
        self.retention: Micros | None = None
        self._kept: Micros = 0
        self._records: deque[PastTenure] = deque()

    def set(self, retention: Micros | None) -> None:
        """On, for so long; or off."""
        check_retention(retention)
        self.retention = retention
        if retention is not None:
            self._kept = retention

    def record(self, ended: Sequence[PastTenure | None]) -> None:
        """Write it down, if the history is on."""
        if self.retention is not None:
            self._records.extend(past for past in ended if past is not None)

    def read(
        self, query: HistoryQuery, states: Iterable[LeaseState], now: Instant
    ) -> list[PastTenure]:
        """What is asked for of what is recorded, and would be of these states."""
        unrecorded = [overdue(state, now) for state in states] if self.retention is not None else []
        found = (*unrecorded, *reversed(self._records))
        return latest((past for past in found if past and _is_in(past, query)), query.limit)

    def prune(self, now: Instant) -> None:
        """Forget what is too old."""
        while self._records and self._records[0].ended_at <= now - self._kept:
            self._records.popleft()


def _is_in(past: PastTenure, query: HistoryQuery) -> bool:
    return (
        (query.namespace is None or past.key[:2] == (query.namespace, query.model_uuid))
        and query.lease in (None, past.key.lease)
        and (query.since is None or query.since <= past.ended_at)
        and (query.until is None or past.ended_at < query.until)
    )
