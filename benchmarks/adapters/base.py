"""What the work asks of a peer. An adapter does it the way that peer's own documentation does."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable


class Grip(Protocol):
    """Something that is held."""

    def release(self) -> None: ...


@runtime_checkable
class Renewable(Protocol):
    def renew(self) -> None:
        """Hold it for the full duration from now; raise if it is held no more."""


@runtime_checkable
class Checkable(Protocol):
    def check(self) -> None:
        """Ask the server whether it is still held; raise if not."""


class Client(Protocol):
    """One process' way to the server; used by many threads at once."""

    def claim(self, name: str, holder: str, *, block: bool) -> Grip | None:
        """Held; or None if it is taken and ``block`` is false."""

    def close(self) -> None: ...


@runtime_checkable
class Queueing(Protocol):
    def queue(self, name: str, holders: Sequence[str]) -> Callable[[], int]:
        """Claim for all these holders, without a thread each; says how many are blocked."""


@runtime_checkable
class Fillable(Protocol):
    def fill(self, names: Sequence[str]) -> Sequence[str]:
        """So many leases more are in the store; says which of these names may be claimed now."""


@runtime_checkable
class Keeping(Protocol):
    def keep(self, names: Sequence[str]) -> Callable[[], int]:
        """Hold all these and keep them alive; says how many of them are held still."""


class Lost(Exception):
    """What was held is held no more."""


def connect(module: str, url: str, duration: float, options: dict[str, Any]) -> Client:
    """The client of an adapter's module."""
    client: Client = importlib.import_module(module).connect(url, duration, **options)
    return client
