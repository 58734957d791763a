"""What happened, as the processes wrote it down, and the proof that it keeps the promises.

Instants are the store's. Of each tenure it is known from when it stood (``granted_at``, exactly),
when its holder last saw it stand, and until when it stood if nobody ended it: to its expiry, or to
the first request that can have ended it. Nobody's clock but the store's is compared.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BrokenPromise", "Event", "Tenure", "prove", "read"]

Event = dict[str, Any]
"""``what`` happened to ``who``: asked, blocked, granted, failed, stood, counted, releasing;
``revoked`` names as ``who`` the one whose tenure was to end: asked for ``at``, done ``by`` then,
if that is known."""


class BrokenPromise(AssertionError):
    """The history shows what must not be."""


@dataclass
class Tenure:
    """What the events tell of one term."""

    who: str
    term: int
    granted_at: int
    expiry: int
    stood_at: int
    """Its holder saw it stand at that instant or later."""
    end_asked_at: int | None = None
    """Before that nobody asked for its end."""

    @property
    def stood_until(self) -> int:
        """It certainly had not ended before."""
        asked = self.expiry if self.end_asked_at is None else self.end_asked_at
        return max(self.stood_at, min(self.expiry, asked))


def read(folder: Path) -> list[list[Event]]:
    """The events of each writer, in the order in which it wrote them."""
    files = sorted(folder.glob("*.history"))
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def prove(histories: Sequence[Sequence[Event]], *, in_order: bool = False) -> list[Tenure]:
    """The tenures of one lease in order of their terms; raises ``BrokenPromise``.

    Every grant was asked for, once; a term has one holder; terms rise with time; no two tenures
    overlap. ``in_order``: whoever was blocked before another asked was served first.
    """
    for history in histories:
        _every_grant_was_asked_for(history)
    tenures = _tenures(histories)
    _ends(tenures, histories)
    ordered = sorted(tenures.values(), key=lambda t: t.term)
    _none_overlap(ordered)
    if in_order:
        _first_in_first_out(histories)
    return ordered


def _every_grant_was_asked_for(history: Iterable[Event]) -> None:
    open_asks: set[tuple[str, int]] = set()
    for event in history:
        who = event["who"]
        if event["what"] == "asked":
            open_asks.add((who, event["ask"]))
        elif event["what"] in ("granted", "failed"):
            if (who, event["ask"]) not in open_asks:
                raise BrokenPromise(f"nobody had asked for it, or it was answered before: {event}")
            open_asks.remove((who, event["ask"]))


def _tenures(histories: Iterable[Iterable[Event]]) -> dict[int, Tenure]:
    tenures: dict[int, Tenure] = {}
    for history in histories:
        for event in history:
            if event["what"] == "granted":
                _grant(tenures, event)
            elif event["what"] in ("stood", "counted"):
                tenure = tenures.get(event["term"])
                if tenure is None or tenure.who != event["who"]:
                    raise BrokenPromise(f"under a term that was not granted to it: {event}")
                tenure.stood_at = max(tenure.stood_at, event.get("at", 0))
    return tenures


def _grant(tenures: dict[int, Tenure], event: Event) -> None:
    who, term, expiry = event["who"], event["term"], event["expiry"]
    known = tenures.get(term)
    if known is None:
        granted_at = event["granted_at"]
        tenures[term] = Tenure(who, term, granted_at, expiry, granted_at)
    elif known.who != who or known.granted_at != event["granted_at"]:
        raise BrokenPromise(f"term {term} was given twice: to {known.who}, and {event}")
    elif expiry < known.expiry:
        raise BrokenPromise(f"it was shortened from {known.expiry}: {event}")
    else:
        known.expiry = expiry


def _ends(tenures: dict[int, Tenure], histories: Iterable[Iterable[Event]]) -> None:
    """When somebody first asked for the end of each: of its term, or of what that holder has."""
    for history in histories:
        for event in history:
            for tenure in tenures.values():
                if _may_have_ended(event, tenure):
                    at = max(event["at"], tenure.granted_at)
                    asked = tenure.end_asked_at
                    tenure.end_asked_at = at if asked is None else min(at, asked)


def _may_have_ended(event: Event, tenure: Tenure) -> bool:
    if event["who"] != tenure.who:
        return False
    if event["what"] == "revoked":  # asked for before the grant, it may have been done after it
        by = event["by"]
        return by is None or by >= tenure.granted_at
    return event["what"] == "releasing" and bool(event["term"] == tenure.term)


def _none_overlap(ordered: Sequence[Tenure]) -> None:
    for before, after in itertools.pairwise(ordered):
        if after.granted_at < before.stood_until:
            raise BrokenPromise(
                f"term {after.term} of {after.who} began {before.stood_until - after.granted_at} µs"
                f" before the end of term {before.term} of {before.who}: {before} {after}"
            )


def _first_in_first_out(histories: Iterable[Iterable[Event]]) -> None:
    asked: dict[tuple[str, int], int] = {}
    blocked: dict[tuple[str, int], int] = {}
    served: dict[tuple[str, int], int] = {}
    for history in histories:
        for event in history:
            if "ask" not in event:
                continue
            ask = event["who"], event["ask"]
            if event["what"] == "asked":
                asked[ask] = event["at"]
            elif event["what"] == "blocked":
                blocked[ask] = event["at"]
            elif event["what"] == "granted":
                served[ask] = event["term"]
    for first, since in blocked.items():
        for second, at in asked.items():
            late = since < at and first in served and served.get(second, 1 << 62) < served[first]
            if late:
                raise BrokenPromise(
                    f"{first} was in the queue at {since}, {second} asked at {at}, and had its"
                    f" turn first: term {served[second]}, not {served[first]}"
                )
