"""``db``: the schema, and the setting of the history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import click

from lease_actors.cli.options import SECONDS, Target, on_store, table_names
from lease_actors.cli.output import left
from lease_actors.cli.status import StoreFailed
from lease_actors.clock import SystemClock, micros
from lease_actors.errors import LeaseError
from lease_actors.stores.base import StorePassing
from lease_actors.stores.sql import admin

__all__ = ["COMMANDS"]

T = TypeVar("T")


@click.group()
def db() -> None:
    """Make the database's tables, upgrade and check them; switch the history on."""


@db.command()
@on_store
def init(target: Target) -> None:
    """Make the tables, unless they are there."""
    version = _do(lambda: admin.init(target.url, **target.names))
    click.echo(f"the tables are there, version {version}")


@db.command()
@on_store
def upgrade(target: Target) -> None:
    """Bring the tables to the version that this program needs (needs the extra migrations)."""
    before, after = _do(lambda: admin.upgrade(target.url, **target.names))
    same = before == after
    click.echo(f"version {after} already" if same else f"upgraded from version {before} to {after}")


@db.command()
@on_store
def check(target: Target) -> None:
    """Say whether the tables are there, whole, and of the version that this program needs.

    Status 70 if not.
    """
    version = _do(lambda: admin.check(target.url, **target.names))
    click.echo(f"the tables are whole, version {version}")


@db.command()
@click.argument("system", required=False)
@click.option(
    "--url",
    envvar="LEASE_ACTORS_URL",
    show_envvar=True,
    metavar="URL",
    help="Or that of this database.",
)
@table_names
def ddl(system: str | None, url: str | None, table_prefix: str, schema: str | None) -> None:
    """Print the script that makes the tables, for an administrator.

    SYSTEM is postgresql, mysql, mariadb or sqlite. Nothing is connected to.
    """
    target = system or url
    if target is None:
        raise click.UsageError("name a SYSTEM (postgresql, mysql, mariadb, sqlite), or give --url")
    click.echo(admin.ddl(target, table_prefix=table_prefix, schema=schema), nl=False)


@db.command("history")
@click.option(
    "--keep", type=SECONDS, help="Switch it on, and keep what has ended for so long: 30d."
)
@click.option("--off", is_flag=True, help="Record no more.")
@on_store
def set_history(target: Target, keep: float | None, off: bool) -> None:
    """Say whether ended tenures are recorded in this database; switch that on or off for all."""
    if off and keep is not None:
        raise click.UsageError("--keep and --off at once")
    retention = None if keep is None else micros(timedelta(seconds=keep))
    setting = _do(lambda: _set_history(target, retention, change=off or keep is not None))
    if setting is None:
        click.echo("the history is off")
    else:
        click.echo(f"the history is on, kept for {left(timedelta(microseconds=setting))}")


def _set_history(target: Target, retention: int | None, *, change: bool) -> int | None:
    store = target.store()
    try:
        store.open(SystemClock())
        if change:
            store.set_history(retention)
        return store.history_setting()
    finally:
        store.close()


def _do(work: Callable[[], T]) -> T:
    """Whatever fails here is the database."""
    try:
        return work()
    except (LeaseError, StorePassing) as error:
        raise StoreFailed(str(error)) from error


COMMANDS = (db,)
