"""What several commands take: which database, which names, how long."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import sqlalchemy as sa

from lease_actors.cli.signals import Terminated
from lease_actors.cli.status import StoreFailed
from lease_actors.config import ManagerConfig
from lease_actors.core.model import Key
from lease_actors.errors import LeaseError, WaitTimeout
from lease_actors.manager import Manager
from lease_actors.stores import SqlStore
from lease_actors.stores.sql.address import describe

__all__ = [
    "SECONDS",
    "WAIT",
    "Target",
    "as_json",
    "everywhere",
    "on_leases",
    "on_store",
    "table_names",
]

F = TypeVar("F", bound=Callable[..., Any])

_PATIENCE = 5.0
_LESS_PATIENCE = 1.0  # after a signal
_UNITS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_DAYS = 36525
"""A hundred years: neither a calendar nor a system's timers know much more."""


class Seconds(click.ParamType):  # type: ignore[type-arg]  # at run time it takes none
    """Seconds, or a number with a unit: 0.5, 30, 90s, 5m, 2h, 1d."""

    name = "seconds"

    def __init__(self, *, forever: bool = False) -> None:
        self._forever = forever

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """The seconds; None for as long as it takes."""
        if not isinstance(value, str):
            return None if value is None else float(value)
        if self._forever and value == "forever":
            return None
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d|)", value)
        if found is None:
            self.fail(f"{value!r} is not a time: write 30, 0.5, 90s, 5m, 2h or 1d", param, ctx)
        seconds = float(found[1]) * _UNITS[found[2]]
        if seconds > _MOST_DAYS * 86400:
            self.fail(f"{value!r} is too long a time: {_MOST_DAYS}d is the most", param, ctx)
        return seconds


SECONDS = Seconds()
WAIT = Seconds(forever=True)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The database, and in it the namespace and model, that a command is about."""

    url: str
    namespace: str = "default"
    model: str = ""
    table_prefix: str
    schema: str | None
    logger: logging.Logger

    def key(self, lease: str) -> Key:
        """The lease's name in full."""
        return Key(self.namespace, self.model, lease)

    def describe(self) -> str:
        """The database in words; neither user nor password."""
        try:
            return describe(sa.make_url(self.url))
        except sa.exc.ArgumentError:
            return "the database"

    @property
    def names(self) -> dict[str, Any]:
        """How and where the tables are named, as arguments."""
        return {"table_prefix": self.table_prefix, "schema": self.schema}

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and model."""
        return self.namespace, self.model

    def store(self, *, create: bool = False) -> SqlStore:
        """The store, not yet opened."""
        return SqlStore(self.url, create_schema=create, **self.names)

    @contextmanager
    def open(self, *, create: bool = False, **config_fields: Any) -> Iterator[Manager]:
        """A manager on that database while the block runs.

        Only what is asked to makes tables where there are none: a URL mistyped must not look like
        a database without leases. At the end it waits but a moment for a database that hangs.
        """
        try:
            store = self.store(create=create)
            manager = Manager(ManagerConfig(store, logger=self.logger, **config_fields))
        except LeaseError as error:
            raise StoreFailed(str(error)) from error
        patience = _PATIENCE
        try:
            yield manager
        except Terminated:
            patience = _LESS_PATIENCE
            raise
        finally:
            manager.kill()
            try:
                manager.wait(patience)
            except WaitTimeout:
                pass  # its threads keep nobody from leaving


def on_store(command: F) -> F:
    """Options that say which database; the command gets a ``target``."""
    return _targeted(command, names=False)


def on_leases(command: F) -> F:
    """Options that say which database, namespace and model; the command gets a ``target``."""
    return _targeted(command, names=True)


def as_json(command: F) -> F:
    """The option ``--json``."""
    return click.option("--json", "json_", is_flag=True, help="Print JSON, for programs.")(command)


def everywhere(command: F) -> F:
    """The option ``--all-namespaces``."""
    return click.option(
        "--all-namespaces", "-A", "everywhere", is_flag=True, help="Of every namespace and model."
    )(command)


def table_names(command: F) -> F:
    """Options that say how and where the tables are named."""
    for option in (_SCHEMA, _PREFIX):
        command = option(command)
    return command


_PLACE = ("url", "namespace", "model", "table_prefix", "schema")


def _targeted(command: F, *, names: bool) -> F:
    @functools.wraps(command)
    def targeted(*args: Any, **options: Any) -> Any:
        place = {name: options.pop(name) for name in _PLACE if name in options}
        logger: logging.Logger = click.get_current_context().obj
        return command(*args, target=Target(**place, logger=logger), **options)

    wrapped: Any = targeted
    if names:
        wrapped = click.option("--model", default="", help="The model within it.  [default: none]")(
            wrapped
        )
        wrapped = click.option("--namespace", "-n", default="default", show_default=True)(wrapped)
    result: F = _URL(table_names(wrapped))
    return result


_URL = click.option(
    "--url",
    envvar="LEASE_ACTORS_URL",
    show_envvar=True,
    required=True,
    metavar="URL",
    help="The database, as SQLAlchemy writes it: sqlite:///leases.db, for instance.",
)
_PREFIX = click.option(
    "--table-prefix",
    envvar="LEASE_ACTORS_TABLE_PREFIX",
    show_envvar=True,
    default="lease_",
    show_default=True,
    metavar="NAME",
)
_SCHEMA = click.option(
    "--schema",
    envvar="LEASE_ACTORS_SCHEMA",
    show_envvar=True,
    metavar="NAME",
    help="The schema that the tables are in.  [default: the connection's]",
)
