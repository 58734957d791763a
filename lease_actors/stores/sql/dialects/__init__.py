"""The databases that a store can be kept in, by the names that SQLAlchemy has for them."""

from __future__ import annotations

from lease_actors.stores.sql.dialects.base import Dialect, LockedElsewhere, Options, Taken
from lease_actors.stores.sql.dialects.mysql import MysqlDialect
from lease_actors.stores.sql.dialects.postgresql import PostgresqlDialect
from lease_actors.stores.sql.dialects.sqlite import SqliteDialect

__all__ = [
    "Dialect",
    "LockedElsewhere",
    "MysqlDialect",
    "Options",
    "PostgresqlDialect",
    "SqliteDialect",
    "Taken",
]
