"""Leases for threaded programs: exactly one of many threads, processes or machines at a time.

Start with :meth:`Manager.open`; what each call guarantees is said in ``docs/semantics.md``.
"""

from lease_actors._version import __version__
from lease_actors.capabilities import Checker, Claimer, Pinner, Reader, Revoker, Token
from lease_actors.clock import Clock, SystemClock
from lease_actors.config import MAX_SLEEP, ManagerConfig
from lease_actors.core.model import Key
from lease_actors.core.operations import Check, Claim, Pin, Revoke, Unpin
from lease_actors.errors import (
    ClaimDenied,
    LeaseError,
    LeaseLost,
    LeasePinned,
    LeaseTimeout,
    ManagerStopped,
    NotHeld,
    NotValid,
    StoreError,
    WaitCancelled,
    WaitTimeout,
)
from lease_actors.held import ClaimFuture, HeldLease
from lease_actors.lease import Lease, Waiter
from lease_actors.manager import Manager
from lease_actors.past import PastTenure
from lease_actors.secretaries import Secretary, SecretaryFinder
from lease_actors.stores import MemoryStore, SqlStore, Store

__all__ = [
    "MAX_SLEEP",
    "Check",
    "Checker",
    "Claim",
    "ClaimDenied",
    "ClaimFuture",
    "Claimer",
    "Clock",
    "HeldLease",
    "Key",
    "Lease",
    "LeaseError",
    "LeaseLost",
    "LeasePinned",
    "LeaseTimeout",
    "Manager",
    "ManagerConfig",
    "ManagerStopped",
    "MemoryStore",
    "NotHeld",
    "NotValid",
    "PastTenure",
    "Pin",
    "Pinner",
    "Reader",
    "Revoke",
    "Revoker",
    "Secretary",
    "SecretaryFinder",
    "SqlStore",
    "Store",
    "StoreError",
    "SystemClock",
    "Token",
    "Unpin",
    "WaitCancelled",
    "WaitTimeout",
    "Waiter",
    "__version__",
]
