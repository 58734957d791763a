"""The schema in an administrator's hands: make it, upgrade it, look at it, print it.

Each takes a database URL or an SQLAlchemy engine, and the names that the store is opened with.
Raises ``NotValid`` for what is no such thing, ``StoreError`` if it cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from lease_actors.errors import StoreError
from lease_actors.stores.base import StorePassing
from lease_actors.stores.sql.ddl import ddl
from lease_actors.stores.sql.dialects import Dialect
from lease_actors.stores.sql.schema import (
    check_columns,
    check_schema,
    create_schema,
    upgrade_schema,
)
from lease_actors.stores.sql.store import SqlStore

__all__ = ["check", "ddl", "init", "upgrade"]

T = TypeVar("T")


def init(
    url_or_engine: str | sa.URL | sa.Engine,
    *,
    table_prefix: str = "lease_",
    schema: str | None = None,
) -> str:
    """The schema is there afterwards, whoever made it; its version.

    Several may do so at once. ``StoreError`` if it was there in another version.
    """

    def work(connection: sa.Connection, dialect: Dialect) -> str:
        create_schema(connection, dialect)
        return check_schema(connection, dialect)

    return _on(SqlStore(url_or_engine, table_prefix=table_prefix, schema=schema), work, create=True)


def upgrade(
    url_or_engine: str | sa.URL | sa.Engine,
    *,
    table_prefix: str = "lease_",
    schema: str | None = None,
) -> tuple[str, str]:
    """The schema is of the newest version afterwards; the version that it was, and is.

    By Alembic (the extra ``migrations``), in one transaction where the database can make tables
    within one. ``StoreError`` if there is none yet, or one newer than this program.
    """

    def work(connection: sa.Connection, dialect: Dialect) -> tuple[str, str]:
        before = upgrade_schema(connection, dialect)
        return before, check_schema(connection, dialect)

    return _on(SqlStore(url_or_engine, table_prefix=table_prefix, schema=schema), work)


def check(
    url_or_engine: str | sa.URL | sa.Engine,
    *,
    table_prefix: str = "lease_",
    schema: str | None = None,
) -> str:
    """The schema is there, whole, and of the version that this program needs; that version.

    ``StoreError`` says what is not so, and what to do. Changes nothing.
    """

    def work(connection: sa.Connection, dialect: Dialect) -> str:
        version = check_schema(connection, dialect)
        check_columns(connection, dialect)
        return version

    return _on(SqlStore(url_or_engine, table_prefix=table_prefix, schema=schema), work)


def _on(store: SqlStore, work: Callable[[sa.Connection, Dialect], T], *, create: bool = False) -> T:
    try:
        return store.administer(work, create=create)
    except StorePassing as error:  # nobody tries again here
        raise StoreError(str(error)) from error
    finally:
        store.close()
