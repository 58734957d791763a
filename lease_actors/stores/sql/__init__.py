"""Leases in a SQL database."""

from __future__ import annotations

from lease_actors.stores.sql.store import SqlStore

__all__ = ["SqlStore"]
