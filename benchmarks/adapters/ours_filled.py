"""A million leases in our own tables, without a million claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import create_engine, insert

from lease_actors.core.model import Key, LeaseState, Tenure
from lease_actors.stores.sql.rows import STATE_COLUMNS, digest, scope_of, to_row
from lease_actors.stores.sql.tables import make_tables

AT_ONCE = 5000


def insert_leases(url: str, namespace: str, names: Sequence[str]) -> None:
    """Each was held once, and has run out long ago."""
    statement, engine = insert(make_tables().leases), create_engine(url)
    for start in range(0, len(names), AT_ONCE):
        rows = [_row(Key(namespace, "", name)) for name in names[start : start + AT_ONCE]]
        with engine.begin() as connection:
            connection.execute(statement, rows)
    engine.dispose()


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
