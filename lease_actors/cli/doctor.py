"""``doctor``: is everything as it should be with this database?"""

from __future__ import annotations

from dataclasses import asdict

import click

from lease_actors.cli.examination import Verdict, examine
from lease_actors.cli.options import Target, as_json, on_store
from lease_actors.cli.output import console, plain, print_json
from lease_actors.cli.status import NO, STORE
from lease_actors.clock import SystemClock

__all__ = ["COMMANDS"]

_COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command()
@as_json
@on_store
def doctor(target: Target, json_: bool) -> int:
    """Examine a database: connection, schema, clock, speed, notification.

    A verdict each, and what to do. Status 70 if leases cannot be kept there, 1 if something else
    is bad; what is only slow or far away is a warning.
    """
    verdicts = []
    for verdict in examine(target.store, SystemClock()):
        verdicts.append(verdict)
        if not json_:
            _print(verdict)
    if json_:
        print_json([asdict(verdict) for verdict in verdicts])
    bad = [v.check for v in verdicts if v.mark == "bad"]
    if not bad:
        return 0
    click.echo(f"lease-actors: something is wrong: {', '.join(bad)}", err=True)
    return STORE if bad[0] in ("connect", "schema") else NO


def _print(verdict: Verdict) -> None:
    mark = f"{verdict.mark:<4}"
    if not console().no_color:
        mark = click.style(mark, fg=_COLOURS[verdict.mark])
    click.echo(f"{mark}  {verdict.check:<12}  {plain(verdict.finding)}")
    if verdict.advice:
        click.echo(f"{'':20}{plain(verdict.advice)}")


COMMANDS = (doctor,)
