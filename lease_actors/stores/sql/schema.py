"""Is the schema there, and is it ours? And making it, once, however many want to at a time.

What is in the database is told by Alembic's own table, ``<prefix>alembic_version``. A new schema
is made without Alembic, straight from the tables, and signed there with the newest revision: a
test holds that the revisions lead to the very same.
"""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema

from lease_actors.errors import StoreError
from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.tables import REVISIONS, Tables, seeds

__all__ = [
    "check_columns",
    "check_schema",
    "create_schema",
    "identity_of",
    "identity_query",
    "upgrade_schema",
]


def create_schema(connection: sa.Connection, dialect: Dialect) -> None:
    """Make the tables unless they are there. One transaction, which only one process has."""
    if _version(connection, dialect) is not None:
        return
    try:
        dialect.begin_schema(connection)
        if _version(connection, dialect) is not None:  # somebody was quicker
            dialect.rollback(connection)
            return
        _create(connection, dialect.tables)
    except Exception as error:
        failure = dialect.failure(error)
        if not isinstance(failure, StoreError):
            raise
        raise StoreError(
            f"cannot make the lease tables in {dialect.place}: {failure}; if this user may not"
            " make tables, give an administrator what 'lease-actors db ddl' prints"
        ) from error
    dialect.commit(connection)


def check_schema(connection: sa.Connection, dialect: Dialect) -> str:
    """The version of the schema; ``StoreError`` unless it is the one that this program needs."""
    version, needed = _version(connection, dialect), REVISIONS[-1]
    if version is None:
        raise _missing(dialect)
    if version not in REVISIONS:
        raise _newer(dialect, version)
    if version != needed:
        raise StoreError(
            f"the lease tables in {dialect.place} are of version {version}, older than this"
            f" program needs ({needed}): stop the programs that use them, then run"
            " 'lease-actors db upgrade' (it needs pip install 'lease-actors[migrations]')"
        )
    return version


def upgrade_schema(connection: sa.Connection, dialect: Dialect) -> str:
    """Bring the schema to the newest version, by Alembic, in the transaction of ``create_schema``;
    the version that it was."""
    dialect.begin_schema(connection)
    version = _version(connection, dialect)
    if version is None:
        raise _missing(dialect)
    if version not in REVISIONS:
        raise _newer(dialect, version)
    if version == REVISIONS[-1]:
        dialect.rollback(connection)
        return version
    # Alembic is an extra: imported only where a migration runs.
    from lease_actors.stores.sql.migrations.run import migrate

    migrate(connection, dialect.tables, REVISIONS[-1])
    dialect.commit(connection)
    return version


def identity_query(dialect: Dialect) -> sa.Select[Any]:
    """Asks what tells these tables from any others: the identity, which a copy has too, and the
    name of the database."""
    meta = dialect.tables.meta
    return sa.select(meta.c.value, dialect.database_expression()).where(meta.c.name == "identity")


def identity_of(connection: sa.Connection, dialect: Dialect) -> tuple[Any, ...]:
    """The answer to ``identity_query``; the identity is drawn now, if it was not yet."""
    meta, ask = dialect.tables.meta, identity_query(dialect)
    if not connection.execute(ask).scalar():
        draw = meta.update().values(value=uuid.uuid4().hex)
        dialect.begin(connection)
        connection.execute(draw.where(meta.c.name == "identity", meta.c.value == ""))
        dialect.commit(connection)
    return tuple(connection.execute(ask).first() or ())


def check_columns(connection: sa.Connection, dialect: Dialect) -> None:
    """Raise ``StoreError`` unless every table has every column; what else they have is their own."""
    inspector = sa.inspect(connection)
    for table in dialect.tables.metadata.sorted_tables:
        there: set[str] = set()
        if inspector.has_table(table.name, schema=table.schema):
            there = {c["name"] for c in inspector.get_columns(table.name, schema=table.schema)}
        lacking = [c.name for c in table.columns if c.name not in there]
        if lacking:
            what = f"the columns {', '.join(lacking)}" if there else "the table itself"
            raise StoreError(
                f"the lease tables in {dialect.place} are not whole: of {table.name!r}, {what} is"
                " missing; compare them with what 'lease-actors db ddl' prints"
            )


def _create(connection: sa.Connection, tables: Tables) -> None:
    schema = tables.metadata.schema
    if schema is not None and not sa.inspect(connection).has_schema(schema):
        connection.execute(CreateSchema(schema, if_not_exists=True))
    tables.metadata.create_all(connection)
    # Where making a table commits, an earlier attempt may have come this far.
    for table in (tables.floor, tables.meta):
        connection.execute(table.delete())
    for seed in seeds(tables):
        connection.execute(seed)


def _version(connection: sa.Connection, dialect: Dialect) -> str | None:
    table = dialect.tables.version
    if not sa.inspect(connection).has_table(table.name, schema=table.schema):
        return None
    return connection.execute(sa.select(table.c.version_num)).scalar()


def _missing(dialect: Dialect) -> StoreError:
    return StoreError(
        f"{dialect.place} has no lease tables named {dialect.tables.leases.name!r} and so on:"
        " 'lease-actors db init' or create_schema=True makes them, and so does Manager.open"
    )


def _newer(dialect: Dialect, version: str) -> StoreError:
    return StoreError(
        f"the lease tables in {dialect.place} are of version {version}, newer than this"
        f" program knows ({REVISIONS[-1]}): upgrade lease-actors"
    )
