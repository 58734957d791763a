"""Where leases are kept: in memory, or in a SQL database."""

from __future__ import annotations

from lease_actors.stores.base import Batch, Changes, StartUnknown, Store, StorePassing
from lease_actors.stores.memory import MemoryStore
from lease_actors.stores.sql import SqlStore

__all__ = [
    "Batch",
    "Changes",
    "MemoryStore",
    "SqlStore",
    "StartUnknown",
    "Store",
    "StorePassing",
]
