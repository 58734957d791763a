"""What this manager has attributed: to how many claims, and until when that is certain.

Touched by the ManagerActor's thread alone. An attribution itself goes to whoever asked.
"""

from __future__ import annotations

from typing import NamedTuple

from lease_actors.clock import micros
from lease_actors.core.model import ClaimId, Key, Tenure
from lease_actors.core.operations import Confirm, Release, Renew


class Attribution(NamedTuple):
    """A lease as it was attributed; ``until``: the steady instant up to which that is certain."""

    key: Key
    tenure: Tenure
    pinned: bool
    since: int
    """Steady: before the request was sent. The duration that was asked for counts from here."""
    until: int
    new: bool
    """Not an extension."""
    offer: ClaimId | None = None
    """It is on offer to that claim, which is yet to be confirmed."""


class _Tenure(NamedTuple):
    term: int
    until: int
    """Steady."""
    claims: int
    """So many were answered with it."""


class Attributed:
    """The tenures that have neither ended nor run out."""

    def __init__(self) -> None:
        self._tenures: dict[Key, _Tenure] = {}

    def __len__(self) -> int:
        return len(self._tenures)

    def add(self, given: Attribution) -> None:
        """One more claim was answered with it."""
        term, known = given.tenure.term, self._tenures.get(given.key)
        others = known.claims if known is not None and known.term == term else 0
        self._tenures[given.key] = _Tenure(term, given.until, others + 1)

    def left(self, given: Attribution) -> None:
        """A claim that was answered with it has left before it could see the lease."""
        known = self._tenures.get(given.key)
        if known is not None and known.term == given.tenure.term:
            self._tenures[given.key] = known._replace(claims=known.claims - 1)

    def renewed(self, op: Renew | Confirm, sent: int) -> None:
        """A renewal sent at that instant has succeeded."""
        known = self._tenures.get(op.key)
        if known is not None and known.term == op.term:
            self._tenures[op.key] = known._replace(until=sent + micros(op.duration))

    def ended(self, key: Key) -> None:
        """Its tenure is over."""
        self._tenures.pop(key, None)

    def is_wanted(self, operation: Release) -> bool:
        """A tenure is not given back that another claim has been answered with."""
        known = self._tenures.get(operation.key)
        answered = known is not None and known.term == operation.term and known.claims > 0
        return operation.untouched is None or not answered

    def drop_overdue(self, now: int) -> None:
        """Forget what has run out."""
        for key in [k for k, known in self._tenures.items() if known.until <= now]:
            del self._tenures[key]
