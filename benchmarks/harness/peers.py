"""What the harness knows of a peer: its adapter, its server, what it can do, and why not.

Nothing of a peer is imported here: that is for the process that measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Group = Literal["ours", "raw", "peer"]


class Ability(StrEnum):
    """What some of the work needs, beyond claim and release."""

    RENEW = "renew"
    CHECK = "check"
    WAIT = "wait"
    """A claim can block until it has it."""
    PROCESSES = "processes"
    """Contenders may be in several processes."""
    CRASH = "crash"
    """A lease whose holder was killed comes free."""
    RECORD = "record"
    """Leases are records in a store, so many of them may cost something."""
    KEEP = "keep"
    """Many can be kept alive without a thread, or a connection, for each."""
    CLAIM = "claim"
    """A lease can be claimed with no partner in the game."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    name: str
    title: str
    group: Group
    module: str
    """Its adapter."""
    server: str | None = None
    scheme: str | None = None
    """What its URL begins with, where that is not what the server calls itself."""
    local: str | None = None
    """Its URL where there is no server; {folder} is a directory of its own."""
    packages: tuple[str, ...] = ()
    """The distributions whose versions go into the report."""
    durable: str
    """What has been written when a claim returns."""
    lacks: Mapping[Ability, str] = field(default_factory=dict)
    """Each ability that it has not, and why."""
    most_waiters: int = 10_000
    because: str = "each claim that waits takes a connection of its own"
    """Why not more of them."""
    options: Mapping[str, Any] = field(default_factory=dict)
    order: str = "no"
    """Whether it promises who is next."""
