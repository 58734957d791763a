"""The tables as they were first released. Spelled out: a revision never changes any more."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(op: Operations, prefix: str, schema: str | None) -> None:
    """From nothing. What the tables and columns mean is said in ``tables.py``."""

    def create(name: str, *columns: Any, **options: Any) -> sa.Table:
        options |= {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}
        return op.create_table(prefix + name, *columns, schema=schema, **options)

    def index(table: str, name: str, *columns: str, **options: Any) -> None:
        op.create_index(
            f"{prefix}{table}_{name}", prefix + table, [*columns], schema=schema, **options
        )

    create("starts", sa.Column("id", sa.String(32), primary_key=True), *_numbers("batch seen"))
    create("absences", sa.Column("start_id", sa.String(32), primary_key=True), *_numbers("batch"))
    create("leases", *_lease_columns(), sqlite_autoincrement=True)
    offered = sa.text("offer_start IS NOT NULL")
    index("leases", "scope", "scope")
    index("leases", "offer", "offer_start", sqlite_where=offered, postgresql_where=offered)
    create("queue", *_queue_columns(), sa.UniqueConstraint("start_id", "number"), **_CLUSTERED)
    create("pins", _lease_id(), sa.Column("entity", _name(), primary_key=True))
    create("tenure", _lease_id(), *_numbers("term"))
    floor = create("floor", _sole("id"), *_numbers("term"))
    create("clock", sa.Column("boot_id", sa.String(64), primary_key=True), *_numbers("ahead began"))
    create("history", *_history_columns())
    index("history", "lease", "key_hash", "ended_at")
    index("history", "scope", "scope", "ended_at")
    meta = create(
        "meta",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.String(255), nullable=False),
    )
    op.bulk_insert(floor, [{"id": 1, "term": 0}])
    op.bulk_insert(
        meta,
        [
            {"name": "history", "value": "off 0"},
            {"name": "identity", "value": ""},
        ],
    )


_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


def _lease_columns() -> list[sa.Column[Any]]:
    return [
        *_named(unique=True),
        *_numbers("term"),
        sa.Column("holder", _name()),
        sa.Column("granted_at", sa.BigInteger),
        sa.Column("duration", sa.BigInteger),
        sa.Column("expiry", sa.BigInteger),
        sa.Column("ending", sa.String(16)),
        sa.Column("watched", sa.SmallInteger, nullable=False),
        sa.Column("offer_start", sa.String(32)),
        sa.Column("offer_number", sa.BigInteger),
        *_numbers("queued last_place pins"),
        sa.Column("ended", sa.String(16)),
        *_numbers("ended_term ended_at"),
    ]


def _queue_columns() -> list[sa.Column[Any]]:
    return [
        _lease_id(),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start_id", sa.String(32), nullable=False),
        *_numbers("number"),
        sa.Column("holder", _name(), nullable=False),
        *_numbers("duration since"),
    ]


def _history_columns() -> list[sa.Column[Any]]:
    return [
        *_named(unique=False),
        sa.Column("holder", _name(), nullable=False),
        *_numbers("term granted_at ended_at"),
        sa.Column("ended", sa.String(16), nullable=False),
    ]


def _named(*, unique: bool) -> list[sa.Column[Any]]:
    binary = sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql", "mariadb")
    return [
        sa.Column("id", _id(), primary_key=True, autoincrement=True),
        sa.Column("key_hash", binary, nullable=False, unique=unique or None),
        sa.Column("scope", sa.BigInteger, nullable=False),
        *(sa.Column(name, _name(), nullable=False) for name in ("namespace", "model", "lease")),
    ]


def _numbers(names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names.split()]


def _lease_id() -> sa.Column[Any]:
    return sa.Column("lease_id", _id(), primary_key=True, autoincrement=False)


def _sole(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name() -> sa.types.TypeEngine[str]:
    return (
        sa.String(255)
        .with_variant(sa.String(255, collation="BINARY"), "sqlite")
        .with_variant(sa.String(255, collation="C"), "postgresql")
        .with_variant(_ExactName(255), "mysql", "mariadb")
    )


class _ExactName(mysql.VARCHAR):
    """Compared by code point, trailing spaces included."""


@compiles(_ExactName, "mysql", "mariadb")
def _exact_name(kind: _ExactName, compiler: Any, **_: Any) -> str:
    nopad = "utf8mb4_nopad_bin" if compiler.dialect.is_mariadb else "utf8mb4_0900_bin"
    return f"VARCHAR({kind.length}) CHARACTER SET utf8mb4 COLLATE {nopad}"
