"""With which status a command ends. These numbers are promised: ``docs/command-line.md``."""

from __future__ import annotations

from lease_actors import errors

__all__ = [
    "LOST",
    "NO",
    "NOT_DONE",
    "NOT_EXECUTABLE",
    "NOT_FOUND",
    "NOT_TO_BE_HAD",
    "PIPE_CLOSED",
    "SIGNALLED",
    "STORE",
    "USAGE",
    "StoreFailed",
    "status_of",
]

NO = 1
"""The answer is no: nobody holds it, somebody else does, it is pinned, a check failed."""
USAGE = 2
STORE = 70
"""A store or its URL failed."""
NOT_DONE = 71
"""The operating system refused something: to write the output, say, because the disk is full."""
LOST = 74
"""The lease was lost while the command ran."""
NOT_TO_BE_HAD = 75
NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNALLED = 128
"""Plus the signal's number: as a shell says it."""
PIPE_CLOSED = SIGNALLED + 13


class StoreFailed(errors.LeaseError):
    """The database could not be opened, for whatever reason."""


_STATUS: dict[type[BaseException], int] = {
    StoreFailed: STORE,
    errors.NotValid: USAGE,
    errors.ClaimDenied: NOT_TO_BE_HAD,
    errors.WaitTimeout: NOT_TO_BE_HAD,
    errors.WaitCancelled: NOT_TO_BE_HAD,
    errors.NotHeld: NO,
    errors.LeasePinned: NO,
    errors.LeaseLost: LOST,
    errors.LeaseError: STORE,
}


def status_of(error: errors.LeaseError) -> int:
    """The status that stands for the error: that of its own kind, or of the nearest above."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
