"""A million leases in our own tables, without a million claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    LargeBinary,
    Text,
    cast,
    create_engine,
    func,
    insert,
    select,
)
from sqlalchemy.sql import ColumnElement

from lease_actors.core.model import Key, LeaseState, Tenure
from lease_actors.stores.sql.rows import STATE_COLUMNS, digest, scope_of, to_row
from lease_actors.stores.sql.tables import Tables, make_tables

CLAIMABLE = 1000
"""So many rows really belong to their names; the database makes the others, which is quicker."""


def insert_leases(url: str, namespace: str, names: Sequence[str]) -> Sequence[str]:
    """Each was held once, and has run out long ago. Says which of them can be found."""
    tables, engine = make_tables(), create_engine(url)
    step = max(1, len(names) // CLAIMABLE)
    real = names[::step][:CLAIMABLE]
    with engine.begin() as connection:
        last = connection.execute(select(func.coalesce(func.max(tables.leases.c.id), 0)))
        before = last.scalar_one()
        rows = [_row(Key(namespace, "", name)) for name in real]
        connection.execute(insert(tables.leases), rows)
        _multiply(connection, tables, before, len(real), len(names))
        leases = tables.leases.c
        held = select(leases.id, leases.term).where(leases.id > before)
        connection.execute(insert(tables.tenure).from_select(["lease_id", "term"], held))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:  # what was written lies in the log still
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return real


def _row(key: Key) -> dict[str, Any]:
    held = Tenure("holder", term=1, granted_at=0, duration=60_000_000, expiry=1)
    state = LeaseState(key, term=1, tenure=held)
    return {
        "key_hash": digest(key),
        "scope": scope_of(key.namespace, key.model_uuid),
        "namespace": key.namespace,
        "model": key.model_uuid,
        "lease": key.lease,
        **dict(zip(STATE_COLUMNS, to_row(state), strict=True)),
    }


def _multiply(connection: Connection, tables: Tables, before: int, have: int, want: int) -> None:
    """As many rows behind ``before`` as are wanted, alike but for what makes a lease unique."""
    columns = [c for c in tables.leases.c if c.name != "id"]
    noise = _noise(connection.dialect.name)
    values = [noise if c.name == "key_hash" else c for c in columns]
    while have < want:
        more = select(*values).where(tables.leases.c.id > before).limit(want - have)
        connection.execute(insert(tables.leases).from_select(columns, more))
        have = min(2 * have, want)


def _noise(dialect: str) -> ColumnElement[bytes]:
    """32 bytes that no name has."""
    if dialect == "sqlite":
        return func.randomblob(32)
    if dialect == "postgresql":
        return func.sha256(cast(cast(func.random(), Text), LargeBinary))
    return func.random_bytes(32)
