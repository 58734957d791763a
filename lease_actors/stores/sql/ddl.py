"""The schema as a script, for whoever may make tables where the program's user may not."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable

from lease_actors.errors import NotValid
from lease_actors.stores.sql.address import DIALECTS
from lease_actors.stores.sql.tables import REVISIONS, Tables, make_tables, seeds

__all__ = ["ddl"]

_KNOWN = sorted(DIALECTS)


def ddl(
    target: str | sa.URL | sa.Engine, *, table_prefix: str = "lease_", schema: str | None = None
) -> str:
    """A script that makes the schema, as ``init`` would; nothing is connected to.

    ``target``: the name of a database system (``postgresql``, ``mysql``, ``mariadb``,
    ``sqlite``), a URL, or an engine. Raises ``NotValid`` for any other.
    """
    dialect = _dialect_of(target)
    tables = make_tables(table_prefix, schema)
    parts = [
        f"-- The tables of lease-actors, version {REVISIONS[-1]}, for {dialect.name}.",
        *_privileges(tables, dialect),
        *(f"{str(s).strip()};" for s in _statements(tables, dialect)),
    ]
    script = "\n\n".join(parts) + "\n"
    # A driver would make one of the two again; no driver reads this.
    return script.replace("%%", "%") if "format" in dialect.paramstyle else script


def _dialect_of(target: str | sa.URL | sa.Engine) -> sa.Dialect:
    if isinstance(target, sa.Engine):
        dialect = target.dialect
    else:
        try:
            url = sa.make_url(f"{target}://" if target in _KNOWN else target)
            dialect = url.get_dialect()()
        except (exc.ArgumentError, exc.NoSuchModuleError, ValueError):
            # Not raised from it: some versions quote the whole URL, with the password in it.
            raise NotValid(
                "cannot print tables for that: give a database URL, or one of " + ", ".join(_KNOWN)
            ) from None
    if dialect.name not in _KNOWN:
        raise NotValid(
            f"cannot keep leases in a {dialect.name!r} database: known are {', '.join(_KNOWN)}"
        )
    return dialect


def _statements(tables: Tables, dialect: sa.Dialect) -> list[str]:
    schema, made = tables.metadata.schema, tables.metadata.sorted_tables
    statements: list[sa.ClauseElement] = []
    if schema is not None and dialect.name != "sqlite":
        statements.append(CreateSchema(schema, if_not_exists=True))
    for table in made:
        statements.append(CreateTable(table))
        statements += [CreateIndex(i) for i in sorted(table.indexes, key=lambda i: str(i.name))]
    texts = [str(s.compile(dialect=dialect)) for s in statements]
    literal = {"literal_binds": True}
    texts += [str(s.compile(dialect=dialect, compile_kwargs=literal)) for s in seeds(tables)]
    transactional = dialect.name in ("postgresql", "sqlite")
    return ["BEGIN", *texts, "COMMIT"] if transactional else texts


def _privileges(tables: Tables, dialect: sa.Dialect) -> list[str]:
    """What the programs' user needs afterwards, as a comment: nobody knows its name here."""
    if dialect.name == "sqlite":
        return []
    name = dialect.identifier_preparer.format_table
    wanted = [f"SELECT, INSERT, UPDATE, DELETE ON {name(t)}" for t in tables.metadata.sorted_tables]
    if dialect.name == "postgresql":
        wanted += [
            f"USAGE ON SEQUENCE {name(sa.Table(t.name + '_id_seq', sa.MetaData(schema=t.schema)))}"
            for t in (tables.leases, tables.history)
        ]
        if tables.metadata.schema is not None:
            wanted.append(
                f"USAGE ON SCHEMA {dialect.identifier_preparer.quote(tables.metadata.schema)}"
            )
    lines = [f"--   GRANT {what} TO the_user;" for what in wanted]
    return ["\n".join(["-- Afterwards, for the user that the programs connect as:", *lines])]
