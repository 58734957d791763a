"""Failures of the store, as the errors that callers meet."""

from __future__ import annotations

from typing import Any

from lease_actors.actors.reply import Reply
from lease_actors.errors import LeaseError, LeaseTimeout, ManagerStopped, StoreError


def timed_out(reply: Reply[Any], cause: BaseException) -> LeaseError:
    """All attempts failed in ways that may pass."""
    error = LeaseTimeout(
        f"cannot {reply.what}: the store could not be reached ({_root(cause)});"
        " it may or may not have been done (try again when the store is back)",
        key=reply.key,
    )
    error.__cause__ = cause
    return error


def start_unknown(reply: Reply[Any], cause: BaseException) -> LeaseError:
    """The row of this start has gone."""
    error = LeaseTimeout(
        f"cannot {reply.what}: the store has lost the record of this manager's start;"
        " it may or may not have been done (was the database replaced?)",
        key=reply.key,
    )
    error.__cause__ = cause
    return error


def store_failed(reply: Reply[Any], cause: BaseException) -> LeaseError:
    """The store failed in a way that will not pass."""
    error = StoreError(f"cannot {reply.what}: the store failed: {cause}", key=reply.key)
    error.__cause__ = cause
    return error


def stopped(reply: Reply[Any]) -> LeaseError:
    """The manager stopped first."""
    return ManagerStopped(
        f"cannot {reply.what}: the manager is stopping or has stopped (open a new one)",
        key=reply.key,
    )


def _root(error: BaseException) -> BaseException:
    return error.__cause__ or error
