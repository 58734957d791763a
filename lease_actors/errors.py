"""Every error a caller can meet, under one root.

Each message says what was tried, on which lease, for whom, why not, and what to do.
Each can be pickled, so that it survives a process pool, and carries the ``key`` where
there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lease_actors.core.model import Key

__all__ = [
    "ClaimDenied",
    "LeaseError",
    "LeaseLost",
    "LeasePinned",
    "LeaseTimeout",
    "ManagerStopped",
    "NotHeld",
    "NotValid",
    "StoreError",
    "WaitCancelled",
    "WaitTimeout",
]


class LeaseError(Exception):
    """Something about a lease could not be done; ``key`` names the lease, if one was meant."""

    def __init__(self, message: str, *, key: Key | None = None) -> None:
        # One positional argument and the rest in __dict__: so the default pickling works.
        super().__init__(message)
        self.key = key


class NotValid(LeaseError, ValueError):
    """A configuration, a name or a duration was refused before anything was tried."""


class ClaimDenied(LeaseError):
    """The claimant certainly does not have the lease: another holds it, or others wait in front."""


class NotHeld(LeaseError):
    """That holder does not hold the lease."""


class LeasePinned(LeaseError):
    """The lease is pinned: it cannot be revoked before the last pin is gone."""


class WaitTimeout(LeaseError, TimeoutError):
    """The wait was over before the lease was."""


class WaitCancelled(LeaseError):
    """The wait, or the blocked claim, was cancelled by its own caller."""


class LeaseLost(LeaseError):
    """The lease that a holder was keeping is no longer its own.

    ``reason`` is one of ``expired``, ``revoked``, ``taken``, ``stopped``, ``unknown``.
    """

    def __init__(self, message: str, *, key: Key | None = None, reason: str = "unknown") -> None:
        super().__init__(message, key=key)
        self.reason = reason


class LeaseTimeout(LeaseError, TimeoutError):
    """The store did not answer in time: infer nothing, neither that it was done nor that it was not.

    Of a ``revoke`` that waited for a guard it says so: the tenure is ending then.
    """


class StoreError(LeaseError):
    """The store failed in a way that will not pass; what it raised is the ``__cause__``.

    Of a read it says so, too, if the failure may pass: "(try again)".
    """


class ManagerStopped(LeaseError):
    """The manager is stopping, has stopped, or belongs to the parent of this forked process."""
