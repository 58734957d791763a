"""What has been: tenures that have ended, as readers of the history see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lease_actors.clock import from_instant, to_instant
from lease_actors.core import model
from lease_actors.core.model import Ending, Key
from lease_actors.errors import NotValid
from lease_actors.stores.base import HistoryQuery

__all__ = ["PastTenure", "past_tenure_of", "query_of"]


@dataclass(frozen=True, slots=True)
class PastTenure:
    """A tenure that has ended: whose, under which term, from when to when, and how it ended.

    ``ended``: ``released``, ``expired``, ``revoked``, or ``handed over`` (its claim had been
    withdrawn before anybody was told of it). Instants are the store's, in UTC.
    """

    key: Key
    holder: str
    term: int
    granted_at: datetime
    ended_at: datetime
    ended: Ending


def past_tenure_of(past: model.PastTenure) -> PastTenure:
    """The record, with its instants as ``datetime``s."""
    granted_at, ended_at = from_instant(past.granted_at), from_instant(past.ended_at)
    return PastTenure(past.key, past.holder, past.term, granted_at, ended_at, past.ended)


def query_of(
    namespace: str, model_uuid: str, lease: str | None, limit: Any, since: Any, until: Any
) -> HistoryQuery:
    """The query in the store's terms. ``NotValid`` for a limit or a bound that is none."""
    what = "cannot read the history" + ("" if lease is None else f" of lease {lease!r}")
    key = Key(namespace, model_uuid, lease or "")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise NotValid(f"{what}: limit={limit!r} is not a whole number from 1", key=key)
    bounds = (_instant_of(moment, what, key) for moment in (since, until))
    # No store has more, and not every database takes a greater number.
    return HistoryQuery(namespace, model_uuid, lease, min(limit, 2**63 - 1), *bounds)


def _instant_of(moment: Any, what: str, key: Key) -> int | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise NotValid(f"{what}: {moment!r} is not a datetime with a time zone", key=key)
    return to_instant(moment)
