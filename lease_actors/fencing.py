"""For resources in another database than the leases: a column that refuses a lower term.

Where ``Lease.guard`` cannot reach, the resource itself remembers the highest term that has
written, and whoever comes with a lower one is turned away. The pattern: Martin Kleppmann, "How
to do distributed locking" (2016), fencing tokens.
"""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

__all__ = ["fenced"]

S = TypeVar("S", sa.Update, sa.Delete)


def fenced(statement: S, column: sa.Column[int] | InstrumentedAttribute[int], term: int) -> S:
    """The statement touches only rows that nobody has written under a higher term.

    An UPDATE also leaves ``term`` in ``column`` (an integer, 0 or NULL where nothing was ever
    written). Look at the ``rowcount`` of its result: 0 says that there is no such row, or that a
    later holder was here; then stop, and roll back.
    """
    allowed = statement.where(sa.func.coalesce(column, 0) <= term)
    if isinstance(allowed, sa.Update):
        values: dict[Any, Any] = {column: term}  # by itself: its name need not be its key
        return allowed.values(values)
    return allowed
