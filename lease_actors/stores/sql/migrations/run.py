"""Alembic, run on a connection handed in.

No ``alembic.ini``, no ``env.py``, nothing said to the logging configuration. Nor any of Alembic's
module-wide proxies (``alembic.op``, ``alembic.context``): an application may be in the midst of
a migration of its own, or run ours from within it. A revision is handed its ``op`` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import sqlalchemy as sa

from lease_actors.errors import StoreError
from lease_actors.stores.sql.tables import Tables

try:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
except ModuleNotFoundError as error:
    raise StoreError(
        "cannot bring the lease tables to another version: Alembic is not installed;"
        " pip install 'lease-actors[migrations]' brings it"
    ) from error

__all__ = ["Step", "migrate", "scripts", "versions"]

_HERE = Path(__file__).parent


class Step(Protocol):
    """``upgrade`` of a revision."""

    def __call__(self, op: Operations, prefix: str, schema: str | None) -> None:
        """Make this revision of the one before it, in the tables of that prefix and schema."""
        ...


def versions() -> list[Path]:
    """Where the revisions are."""
    return [_HERE / "versions"]


def scripts() -> ScriptDirectory:
    """The revisions, as Alembic sees them."""
    return ScriptDirectory(str(_HERE), version_locations=[str(path) for path in versions()])


def migrate(connection: sa.Connection, tables: Tables, revision: str) -> None:
    """Bring the schema to that revision. The transaction is the caller's, and so is its end."""
    directory, version = scripts(), tables.version

    def steps(current: Sequence[str], context: MigrationContext) -> Any:
        # By its private name: so Alembic's documentation says how to run it from a program.
        return directory._upgrade_revs(revision, cast(Any, current))  # noqa: SLF001

    context = MigrationContext.configure(
        connection,
        opts={"fn": steps, "version_table": version.name, "version_table_schema": version.schema},
    )
    context.run_migrations(
        op=Operations(context),
        prefix=version.name.removesuffix("alembic_version"),
        schema=version.schema,
    )
