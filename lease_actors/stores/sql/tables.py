"""The tables of a store, for one prefix and one schema of the database.

Instants and durations are whole microseconds in BIGINTs: they compare and subtract alike on
every engine, and nothing is rounded. Integer ids tie the tables together, since names of 255
characters are too long for keys on some engines; a lease is found by the SHA-256 of its names.

No foreign keys: rows are deleted only when nothing hangs on them, in the transaction that
has seen so, and the checks a foreign key makes would look like a guard on ``tenure``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles

from lease_actors.errors import NotValid

__all__ = ["REVISIONS", "Tables", "make_tables", "seeds"]

REVISIONS = ("0001",)
"""The versions of the schema, oldest first; the last is the one made here. Each is a revision
in ``migrations/versions``, where Alembic finds the way from one to the next."""


@dataclass(frozen=True)
class Tables:
    """The tables, by what they keep."""

    metadata: sa.MetaData
    starts: sa.Table
    absences: sa.Table
    leases: sa.Table
    queue: sa.Table
    pins: sa.Table
    tenure: sa.Table
    floor: sa.Table
    clock: sa.Table
    history: sa.Table
    meta: sa.Table
    version: sa.Table


def make_tables(prefix: str = "lease_", schema: str | None = None) -> Tables:
    """The tables for that prefix and database schema, independent of any made before.

    Raises ``NotValid`` for a prefix that is not 1 to 30 ASCII letters, digits and underscores.
    """
    # Never empty: the application's own Alembic may well have a table ``alembic_version``.
    if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,29}", prefix):
        raise NotValid(
            f"table_prefix={prefix!r} is not 1 to 30 ASCII letters, digits and underscores,"
            " the first of them no digit"
        )
    metadata = sa.MetaData(schema=schema)

    def table(name: str, *columns: Any, **options: Any) -> sa.Table:
        options.setdefault("mysql_engine", "InnoDB")
        options.setdefault("mariadb_engine", "InnoDB")
        return sa.Table(prefix + name, metadata, *columns, **options)

    return Tables(
        metadata=metadata,
        leases=_leases(table, prefix),
        queue=_queue(table),
        history=_history(table, prefix),
        version=_version(table, prefix),
        **{name: table(name, *columns) for name, columns in _small().items()},
    )


def _leases(table: Any, prefix: str) -> sa.Table:
    """One row a lease. What its columns hold together:

    * held: ``holder``, ``granted_at``, ``duration``, ``expiry`` (and ``ending``) are the
      tenure's, ``term`` is its term;
    * offered: ``offer_start`` and ``offer_number`` name the claim; ``holder``, ``granted_at``
      and ``expiry`` say to whom, since when, and when the offer lapses; ``watched``, that it
      was made once more;
    * free: all of these are NULL.
    """
    columns = [
        # AUTOINCREMENT, so that an id never names another lease after pruning.
        sa.Column("id", _id(), primary_key=True, autoincrement=True),
        sa.Column("key_hash", _hash(), nullable=False, unique=True),
        # The leases of one model are found by eight bytes that stand for its names: an index
        # over the names themselves could take two kilobytes a row.
        sa.Column("scope", sa.BigInteger, nullable=False),
        sa.Column("namespace", _name(), nullable=False),
        sa.Column("model", _name(), nullable=False),
        sa.Column("lease", _name(), nullable=False),
        _number("term"),
        sa.Column("holder", _name()),
        sa.Column("granted_at", sa.BigInteger),
        sa.Column("duration", sa.BigInteger),
        sa.Column("expiry", sa.BigInteger),
        sa.Column("ending", sa.String(16)),
        sa.Column("watched", sa.SmallInteger, nullable=False),
        sa.Column("offer_start", sa.String(32)),
        sa.Column("offer_number", sa.BigInteger),
        _number("queued"),
        _number("last_place"),
        _number("pins"),
        sa.Column("ended", sa.String(16)),
        _number("ended_term"),
        _number("ended_at"),
    ]
    indexes = [
        sa.Index(f"{prefix}leases_scope", "scope"),
        # A start looks for what is offered to it: few rows ever are, and only these are indexed.
        sa.Index(
            f"{prefix}leases_offer",
            "offer_start",
            sqlite_where=sa.text("offer_start IS NOT NULL"),
            postgresql_where=sa.text("offer_start IS NOT NULL"),
        ),
    ]
    made: sa.Table = table("leases", *columns, *indexes, sqlite_autoincrement=True)
    return made


def _queue(table: Any) -> sa.Table:
    """The blocked claims, in order of place within their lease."""
    made: sa.Table = table(
        "queue",
        sa.Column("lease_id", _id(), primary_key=True, autoincrement=False),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("start_id", sa.String(32), nullable=False),
        _number("number"),
        sa.Column("holder", _name(), nullable=False),
        _number("duration"),
        _number("since"),
        sa.UniqueConstraint("start_id", "number"),
        sqlite_with_rowid=False,
    )
    return made


def _history(table: Any, prefix: str) -> sa.Table:
    """Tenures that have ended, in the order in which their ends were written down.

    An id of its own, and no key over lease and term: a lease must be able to end whatever a
    restored backup has left here.
    """
    made: sa.Table = table(
        "history",
        sa.Column("id", _id(), primary_key=True, autoincrement=True),
        sa.Column("key_hash", _hash(), nullable=False),
        sa.Column("scope", sa.BigInteger, nullable=False),
        sa.Column("namespace", _name(), nullable=False),
        sa.Column("model", _name(), nullable=False),
        sa.Column("lease", _name(), nullable=False),
        sa.Column("holder", _name(), nullable=False),
        _number("term"),
        _number("granted_at"),
        _number("ended_at"),
        sa.Column("ended", sa.String(16), nullable=False),
        sa.Index(f"{prefix}history_lease", "key_hash", "ended_at"),
        sa.Index(f"{prefix}history_scope", "scope", "ended_at"),
    )
    return made


def _version(table: Any, prefix: str) -> sa.Table:
    """Alembic's own table, as it would make it: which of ``REVISIONS`` the schema is."""
    name = "alembic_version"
    made: sa.Table = table(
        name,
        sa.Column("version_num", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("version_num", name=f"{prefix}{name}_pkc"),
    )
    return made


def seeds(tables: Tables) -> list[sa.Insert]:
    """The rows that there are from the beginning, the version last: with it, it is all there.

    The identity, which tells these tables from any others, is drawn by the first who opens them.
    """
    return [
        tables.floor.insert().values(id=1, term=0),
        tables.meta.insert().values(name="history", value="off 0"),
        tables.meta.insert().values(name="identity", value=""),
        tables.version.insert().values(version_num=REVISIONS[-1]),
    ]


def _small() -> dict[str, list[sa.Column[Any]]]:
    return {
        # ``batch``: the last that was applied. ``seen``: when.
        "starts": [
            sa.Column("id", sa.String(32), primary_key=True),
            _number("batch"),
            _number("seen"),
        ],
        # A start is absent while it has applied nothing since ``batch``, its last when it
        # missed an offer. A table of its own: the row in ``starts`` may be locked by the very
        # process that is missed.
        "absences": [sa.Column("start_id", sa.String(32), primary_key=True), _number("batch")],
        "pins": [
            sa.Column("lease_id", _id(), primary_key=True, autoincrement=False),
            sa.Column("entity", _name(), primary_key=True),
        ],
        # What a guard locks where rows can be locked: the standing term, 0 when there is none.
        "tenure": [
            sa.Column("lease_id", _id(), primary_key=True, autoincrement=False),
            _number("term"),
        ],
        # One row: no row of ``leases`` that was pruned had a higher term.
        "floor": [
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            _number("term"),
        ],
        # Where the machine's clock is used: what its steady time of one boot lacks to the
        # store's time, and the store's time when that was fixed.
        "clock": [
            sa.Column("boot_id", sa.String(64), primary_key=True),
            _number("ahead"),
            _number("began"),
        ],
        # Settings of the database. ``history``: ``on`` or ``off``, and for how many microseconds
        # ended tenures are kept.
        "meta": [
            sa.Column("name", sa.String(32), primary_key=True),
            sa.Column("value", sa.String(255), nullable=False),
        ],
    }


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _id() -> sa.types.TypeEngine[int]:
    # SQLite numbers rows by itself only in a column whose type is spelled INTEGER.
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _hash() -> sa.types.TypeEngine[bytes]:
    return sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql", "mariadb")


def _name() -> sa.types.TypeEngine[str]:
    """A name, compared code point by code point on every engine."""
    return (
        sa.String(255)
        .with_variant(sa.String(255, collation="BINARY"), "sqlite")
        .with_variant(sa.String(255, collation="C"), "postgresql")
        .with_variant(_ExactName(255), "mysql", "mariadb")
    )


class _ExactName(mysql.VARCHAR):
    """Of MariaDB's and MySQL's collations by code point the one that heeds trailing spaces."""


@compiles(_ExactName, "mysql", "mariadb")
def _exact_name(kind: _ExactName, compiler: Any, **_: Any) -> str:
    nopad = "utf8mb4_nopad_bin" if compiler.dialect.is_mariadb else "utf8mb4_0900_bin"
    return f"VARCHAR({kind.length}) CHARACTER SET utf8mb4 COLLATE {nopad}"
