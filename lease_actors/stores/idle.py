"""Since when nothing has hung on a lease: what every store asks before it prunes."""

from __future__ import annotations

from lease_actors.core.model import Instant, LeaseState

__all__ = ["idle_since"]


def idle_since(state: LeaseState) -> Instant | None:
    """The instant since which nothing hangs on the lease, or None if something may.

    A tenure whose expiry has come hangs on nothing either, once nobody waits for its end:
    it is over, whether or not anybody has tidied it away. One that is *ending* may still have
    a guard, so it is left alone.
    """
    if state.offer is not None or state.queued or state.pins:
        return None
    if state.tenure is None:
        return state.ended_at
    return None if state.tenure.ending is not None else state.tenure.expiry
