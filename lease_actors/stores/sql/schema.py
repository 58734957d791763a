"""Is the schema there, and is it ours? And making it, once, however many want to at a time."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from lease_actors.errors import StoreError
from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.tables import SCHEMA_VERSION

__all__ = ["check_schema", "create_schema", "identity_of"]


def create_schema(connection: sa.Connection, dialect: Dialect) -> None:
    """Make the tables unless they are there. One transaction, which only one process has."""
    if _version(connection, dialect) is not None:
        return
    dialect.begin_schema(connection)
    if _version(connection, dialect) is None:  # nobody was quicker
        tables = dialect.tables
        tables.metadata.create_all(connection)
        connection.execute(tables.floor.insert().values(id=1, term=0))
        connection.execute(tables.meta.insert().values(name="schema", value=str(SCHEMA_VERSION)))
        connection.execute(tables.meta.insert().values(name="identity", value=uuid.uuid4().hex))
        dialect.commit(connection)
    else:
        dialect.rollback(connection)


def check_schema(connection: sa.Connection, dialect: Dialect) -> None:
    """Raise ``StoreError`` unless the schema is there and of a version that this program knows."""
    version = _version(connection, dialect)
    if version is None:
        raise StoreError(
            f"{dialect.place} has no lease tables named {dialect.tables.leases.name!r} and so on:"
            " create_schema=True makes them, and so does Manager.open"
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the lease tables in {dialect.place} are of version {version}, newer than this"
            f" program knows ({SCHEMA_VERSION}): upgrade lease-actors"
        )


def identity_of(connection: sa.Connection, dialect: Dialect) -> str:
    """What tells these tables from any others of the same names."""
    meta = dialect.tables.meta
    identity = connection.execute(sa.select(meta.c.value).where(meta.c.name == "identity")).scalar()
    return str(identity)


def _version(connection: sa.Connection, dialect: Dialect) -> int | None:
    meta = dialect.tables.meta
    if not sa.inspect(connection).has_table(meta.name, schema=meta.schema):
        return None
    value = connection.execute(sa.select(meta.c.value).where(meta.c.name == "schema")).scalar()
    return None if value is None else int(value)
