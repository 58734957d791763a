"""``history``: who held what, from when to when, and how it ended."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import click

from lease_actors.cli.options import SECONDS, Target, as_json, everywhere, on_leases
from lease_actors.cli.output import left, print_json, print_table
from lease_actors.clock import SystemClock, from_instant
from lease_actors.overview import past_dict, recognised
from lease_actors.past import PastTenure

__all__ = ["COMMANDS"]


class _Moment(click.ParamType):  # type: ignore[type-arg]  # at run time it takes none
    """An instant, as ISO 8601 writes it (without a zone: UTC), or so long ago: 2h, 30d."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            ago = timedelta(seconds=SECONDS.convert(value, param, ctx) or 0)
            return from_instant(SystemClock().wall()) - ago
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


_MOMENT = _Moment()


@click.command()
@click.argument("lease", required=False)
@everywhere
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--since",
    type=_MOMENT,
    help="2026-01-31T12:00, which is UTC unless a zone follows (+02:00), or so long ago: 2h.",
)
@click.option("--until", type=_MOMENT, help="The same.")
@as_json
@on_leases
def history(
    target: Target,
    lease: str | None,
    everywhere: bool,
    limit: int,
    since: datetime | None,
    until: datetime | None,
    json_: bool,
) -> None:
    """Tell which tenures have ended: of one lease or of all, the last first.

    There is a history where it was switched on: lease-actors db history --keep 30d. Its times
    are UTC.
    """
    if everywhere and lease is not None:
        raise click.UsageError("a lease and --all-namespaces at once")
    namespace, model = (None, "") if everywhere else target.place
    with target.open() as manager:
        overview = manager.overview()
        past = overview.history(namespace, model, lease, limit=limit, since=since, until=until)
        if lease is not None and not past:
            recognised(overview, target.key(lease))
        off = not past and overview.retention() is None
    if json_:
        print_json([past_dict(tenure) for tenure in past])
    elif past:
        _print(past, everywhere=everywhere)
    if off:
        click.echo("the history is off: lease-actors db history --keep 30d", err=True)
    elif not past and not json_:
        click.echo(_none(target, everywhere, lease, since, until), err=True)


def _none(target: Target, everywhere: bool, *chosen: object) -> str:
    if any(choice is not None for choice in chosen):
        return "no tenure that has ended matches"
    return "no tenure has ended yet" + ("" if everywhere else f" in namespace {target.namespace!r}")


def _print(past: list[PastTenure], *, everywhere: bool) -> None:
    titles = ["LEASE", "HOLDER", ">TERM", "FROM", "TO", ">HELD", "ENDED"]
    rows = [
        [
            tenure.key.lease,
            tenure.holder,
            str(tenure.term),
            tenure.granted_at.isoformat(" ", "seconds")[:19],
            tenure.ended_at.isoformat(" ", "seconds")[:19],
            left(tenure.ended_at - tenure.granted_at),
            tenure.ended,
        ]
        for tenure in past
    ]
    if everywhere:
        titles = ["NAMESPACE", "MODEL", *titles]
        rows = [
            [tenure.key.namespace, tenure.key.model_uuid or "-", *row]
            for tenure, row in zip(past, rows, strict=True)
        ]
    print_table(titles, rows)


COMMANDS = (history,)
