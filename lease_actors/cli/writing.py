"""``claim``, ``revoke``, ``pin``, ``unpin``: to change something."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from lease_actors.cli.options import SECONDS, WAIT, Target, as_json, on_leases
from lease_actors.cli.output import left, plain, print_json
from lease_actors.lease import Lease
from lease_actors.overview import recognised

__all__ = ["COMMANDS"]


@click.command()
@click.argument("lease")
@click.option(
    "--holder",
    required=True,
    help="Who claims. The name stands for one contender: who claims under it again extends.",
)
@click.option("--duration", "-d", type=SECONDS, default="1m", show_default=True)
@click.option(
    "--wait",
    "-w",
    type=WAIT,
    default="0",
    show_default=True,
    help="Stay so long in the queue, or 'forever', if another has it.",
)
@as_json
@on_leases
def claim(
    target: Target, lease: str, holder: str, duration: float, wait: float | None, json_: bool
) -> None:
    """Claim a lease, or extend it, for a duration. It stays claimed when the command has ended.

    Status 75 if it is not to be had.
    """
    with target.open(create=True) as manager:
        claimer = manager.claimer(*target.place)
        got = claimer.claim(lease, holder, duration, wait=wait)
    if json_:
        print_json(_as_dict(got))
    else:
        time = left(max(timedelta(seconds=duration), got.remaining()))  # it is never shortened
        click.echo(f"{plain(got.holder)} has {plain(lease)} under term {got.term} for {time}")


@click.command()
@click.argument("lease")
@click.option("--holder", help="Only if this one has it.  [default: whoever has it now]")
@on_leases
def revoke(target: Target, lease: str, holder: str | None) -> None:
    """End a tenure: the lease goes to the first in the queue, or is free.

    Status 1 if another has it, or if it is pinned.
    """
    with target.open() as manager:
        if holder is None:
            holder = recognised(manager.overview(), target.key(lease)).holder
        if holder is None:
            click.echo(f"nobody has {plain(lease)}")
            return
        manager.revoker(*target.place).revoke(lease, holder)
    click.echo(f"{plain(holder)} does not have {plain(lease)} any more")


@click.command()
@click.argument("lease")
@click.argument("entity")
@on_leases
def pin(target: Target, lease: str, entity: str) -> None:
    """Pin a lease in the name of ENTITY: it neither expires nor can it be revoked."""
    with target.open(create=True) as manager:
        manager.pinner(*target.place).pin(lease, entity)
    click.echo(f"{plain(entity)} has pinned {plain(lease)}")


@click.command()
@click.argument("lease")
@click.argument("entity")
@on_leases
def unpin(target: Target, lease: str, entity: str) -> None:
    """Take ENTITY's pin away. With the last one gone the holder has its full duration again."""
    with target.open() as manager:
        manager.pinner(*target.place).unpin(lease, entity)
        pins = manager.overview().lease(target.key(lease)).pins
    still = f"; it is still pinned by {', '.join(map(plain, pins))}" if pins else ""
    click.echo(f"{plain(entity)} does not pin {plain(lease)} any more{still}")


def _as_dict(lease: Lease) -> dict[str, Any]:
    return {
        "namespace": lease.key.namespace,
        "model": lease.key.model_uuid,
        "lease": lease.key.lease,
        "holder": lease.holder,
        "term": lease.term,
        "granted_at": lease.granted_at.isoformat(),
        "expiry": lease.expiry.isoformat(),
        "duration": lease.duration.total_seconds(),
        "pinned": lease.pinned,
    }


COMMANDS = (claim, revoke, pin, unpin)
