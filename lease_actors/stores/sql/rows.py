"""Between a row of ``leases`` and a ``LeaseState``: what the columns mean, both ways."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lease_actors.core.model import ClaimId, Key, LeaseState, Offer, Tenure, Waiter

__all__ = [
    "ENDING",
    "EXPIRY",
    "HOLDER",
    "OFFER",
    "PINS",
    "QUEUED",
    "STATE_COLUMNS",
    "digest",
    "scope_of",
    "to_row",
    "to_state",
    "to_waiter",
]

STATE_COLUMNS = (
    "term",
    "holder",
    "granted_at",
    "duration",
    "expiry",
    "ending",
    "watched",
    "offer_start",
    "offer_number",
    "queued",
    "last_place",
    "pins",
    "ended",
    "ended_term",
    "ended_at",
)
"""The columns that change, in the order in which every statement has them."""

HOLDER, EXPIRY, ENDING, OFFER, QUEUED, PINS = map(
    STATE_COLUMNS.index, ("holder", "expiry", "ending", "offer_start", "queued", "pins")
)
"""Where some of them are."""


@lru_cache(maxsize=65536)
def digest(key: Key) -> bytes:
    """What a lease is found by. Each name's length goes in too, so no two keys run together."""
    return _sha(key)


@lru_cache(maxsize=4096)
def scope_of(namespace: str, model_uuid: str) -> int:
    """Eight bytes that stand for a namespace and model; others may share them."""
    return int.from_bytes(_sha((namespace, model_uuid))[:8], "big", signed=True)


def _sha(names: Sequence[str]) -> bytes:
    encoded = [name.encode() for name in names]
    return hashlib.sha256(b"".join(len(e).to_bytes(4, "big") + e for e in encoded)).digest()


def to_state(
    key: Key,
    row: Sequence[Any],
    pins: tuple[str, ...] = (),
    queue: tuple[Waiter, ...] = (),
    horizon: int | None = None,
) -> LeaseState:
    """The state that the columns, in the order of ``STATE_COLUMNS``, tell of."""
    (
        term,
        holder,
        granted_at,
        duration,
        expiry,
        ending,
        watched,
        offer_start,
        offer_number,
        queued,
        last_place,
        _,
        ended,
        ended_term,
        ended_at,
    ) = row
    tenure = offer = None
    if offer_start is not None:
        claim = ClaimId(offer_start, offer_number)
        offer = Offer(claim, holder, term, granted_at, expiry, bool(watched))
    elif holder is not None:
        tenure = Tenure(holder, term, granted_at, duration, expiry, ending, bool(watched))
    return LeaseState(
        key,
        term,
        tenure,
        offer,
        queue,
        queued,
        last_place,
        horizon,
        pins,
        ended,
        ended_term,
        ended_at,
    )


def to_row(state: LeaseState) -> tuple[Any, ...]:
    """The columns that tell of the state, in the order of ``STATE_COLUMNS``."""
    tenure, offer = state.tenure, state.offer
    who: tuple[Any, ...] = _NOBODY
    if tenure is not None:
        _check_term(state, tenure.term)
        who = (
            tenure.holder,
            tenure.granted_at,
            tenure.duration,
            tenure.expiry,
            tenure.ending,
            int(tenure.watched),
            None,
            None,
        )
    elif offer is not None:
        _check_term(state, offer.term)
        renewed = int(offer.renewed)
        who = (offer.holder, offer.made_at, None, offer.lapses_at, None, renewed, *offer.claim)
    return (
        state.term,
        *who,
        state.queued,
        state.last_place,
        len(state.pins),
        state.ended,
        state.ended_term,
        state.ended_at,
    )


_NOBODY = (None, None, None, None, None, 0, None, None)


def _check_term(state: LeaseState, term: int) -> None:
    # One column holds both: whoever has the lease has it under the highest term given.
    if term != state.term:
        raise ValueError(f"{state.key}: a standing term {term} is not the highest, {state.term}")


def to_waiter(row: Sequence[Any]) -> Waiter:
    """From place, start_id, number, holder, duration, since, absent."""
    place, start, number, holder, duration, since, absent = row
    return Waiter(place, ClaimId(start, number), holder, duration, since, bool(absent))
