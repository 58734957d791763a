"""What can be asked of a manager, as values.

``Claim``, ``Revoke``, ``Check``, ``Pin`` and ``Unpin`` are public: ``Manager.ask`` takes
them. The others are said by the manager itself or by its capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, TypeAlias

from lease_actors.core.model import ClaimId, Ending, Instant, Key


@dataclass(frozen=True, slots=True)
class Claim:
    """Attribute the lease to ``holder``, or extend it; with a ``claim`` id, queue until then.

    Asked again under the same id it is the same claim: it keeps its place.
    """

    kind: ClassVar[str] = "claim"
    key: Key
    holder: str
    duration: timedelta
    claim: ClaimId | None = None


@dataclass(frozen=True, slots=True)
class Revoke:
    """End whatever tenure that holder has."""

    kind: ClassVar[str] = "revoke"
    key: Key
    holder: str


@dataclass(frozen=True, slots=True)
class Check:
    """Does that holder's lease stand?"""

    kind: ClassVar[str] = "check"
    key: Key
    holder: str


@dataclass(frozen=True, slots=True)
class Pin:
    """Keep the lease from expiry and revocation, in the name of ``entity``."""

    kind: ClassVar[str] = "pin"
    key: Key
    entity: str


@dataclass(frozen=True, slots=True)
class Unpin:
    """Take ``entity``'s pin away; the last one gone, the full duration begins anew."""

    kind: ClassVar[str] = "unpin"
    key: Key
    entity: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Which tenure stands now, if any? (Its end is then waited for.)"""

    kind: ClassVar[str] = "wait"
    key: Key


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a blocked claim out of the queue; if the lease is offered to it, decline."""

    kind: ClassVar[str] = "cancel"
    key: Key
    claim: ClaimId


@dataclass(frozen=True, slots=True)
class Renew:
    """Keep the tenure of that term for at least ``duration`` from now, if it stands.

    It never begins a tenure and never revives one. With no duration it only asks.
    """

    kind: ClassVar[str] = "renew"
    key: Key
    holder: str
    term: int
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Confirm:
    """The offer of that term to that claim becomes a tenure, which is relied on already.

    It extends one that stands under that term, and begins none if the offer has lapsed or has
    gone on to others. Either way the claim is queued no more.
    """

    kind: ClassVar[str] = "confirm"
    key: Key
    holder: str
    term: int
    duration: timedelta
    claim: ClaimId


@dataclass(frozen=True, slots=True)
class Release:
    """End the tenure of that term, or none; ``at`` an instant to come, end it there.

    ``untouched``: only if its expiry is still that instant, so that nobody has extended it.
    """

    kind: ClassVar[str] = "release"
    key: Key
    holder: str
    term: int
    how: Ending = "released"
    at: Instant | None = None
    untouched: Instant | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """Look at the lease: end what is over, hand on what is free."""

    kind: ClassVar[str] = "expire"
    key: Key


@dataclass(frozen=True, slots=True)
class Read:
    """A snapshot, past the line of operations; ``key.lease`` is "" where it is of many leases."""

    kind: ClassVar[str] = "read"
    key: Key


Operation: TypeAlias = (
    Claim | Revoke | Check | Pin | Unpin | Wait | Cancel | Renew | Confirm | Release | Expire | Read
)
PublicOperation: TypeAlias = Claim | Revoke | Check | Pin | Unpin
