"""From what a user gives, a URL or an engine, to an engine and the dialect for it.

Refusals name the database without ever quoting what was given: it may hold a password.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc

from lease_actors.errors import NotValid
from lease_actors.stores.sql.dialects import (
    Dialect,
    MysqlDialect,
    Options,
    PostgresqlDialect,
    SqliteDialect,
)

__all__ = ["describe", "make_engine", "resolve"]

DIALECTS: dict[str, type[Dialect]] = {
    "sqlite": SqliteDialect,
    "postgresql": PostgresqlDialect,
    "mysql": MysqlDialect,
    "mariadb": MysqlDialect,
}
"""The databases that a store can be kept in, by the names that SQLAlchemy has for them."""


def describe(url: sa.URL) -> str:
    """The database in words: kind, host and name, but neither user nor password nor options."""
    host = f"{url.host}{f':{url.port}' if url.port else ''}/" if url.host else ""
    return f"{url.get_backend_name()} database {host + (url.database or '')!r}"


def resolve(given: str | sa.URL | sa.Engine) -> tuple[sa.URL, type[Dialect]]:
    """The URL and the dialect for it; ``NotValid`` if there is none."""
    if isinstance(given, sa.Engine):
        url = given.url
        if given.dialect.is_async:
            raise NotValid("cannot keep leases through an asyncio engine: give a plain one")
    else:
        url = _parse(given)
    dialect = DIALECTS.get(url.get_backend_name())
    if dialect is None:
        known = ", ".join(sorted(DIALECTS))
        raise NotValid(
            f"cannot keep leases in a {url.get_backend_name()!r} database: known are {known}"
        )
    url = dialect.complete(url)
    dialect.check_url(url)
    if isinstance(given, sa.Engine) and isinstance(given.pool, sa.StaticPool):
        raise NotValid(
            f"cannot keep leases in {describe(url)} through an engine whose StaticPool gives one"
            " connection to all threads at once: make it with another pool, QueuePool for instance"
        )
    return url, dialect


def _parse(given: str | sa.URL) -> sa.URL:
    if not isinstance(given, str | sa.URL):
        raise NotValid(
            f"a store takes a database URL or an SQLAlchemy engine, not a {type(given).__name__}"
        )
    try:
        return sa.make_url(given)
    except (exc.ArgumentError, ValueError):
        # Not raised from it: some versions quote the whole URL, with the password in it.
        raise NotValid(
            "that is not a database URL: write it as dialect://user:password@host/database,"
            " for instance sqlite:///leases.db"
        ) from None


def make_engine(url: sa.URL, dialect: type[Dialect], options: Options) -> sa.Engine:
    """An engine of the store's own; ``NotValid`` if its driver is missing."""
    settings = dialect.engine_options(options)
    try:
        engine = sa.create_engine(url, **settings)
    except ModuleNotFoundError as error:
        raise NotValid(
            f"cannot open {describe(url)}: the driver {error.name!r} is not installed;"
            f" {_instead(url)}"
        ) from error
    except (exc.ArgumentError, TypeError, ValueError) as error:
        raise NotValid(
            f"cannot open {describe(url)}: SQLAlchemy refuses the URL's driver or options"
        ) from error
    if engine.dialect.is_async:
        raise NotValid(f"cannot open {describe(url)} through an asyncio driver: name a plain one")
    dialect.configure(engine, options)
    return engine


def _instead(url: sa.URL) -> str:
    name = url.get_backend_name()
    if name == "sqlite":
        return "Python's own works: write sqlite:/// before the file's path"
    extra = "mysql" if name in ("mysql", "mariadb") else "postgresql"
    return f"pip install 'lease-actors[{extra}]' brings one"
