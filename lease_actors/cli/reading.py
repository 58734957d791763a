"""``ls``, ``show``, ``waiting``, ``watch``: to look."""

from __future__ import annotations

import threading
from typing import Any

import click
from rich.text import Text

from lease_actors.cli.options import SECONDS, Target, as_json, everywhere, on_leases
from lease_actors.cli.output import left, plain, print_json, print_table, state_text
from lease_actors.cli.status import NO
from lease_actors.clock import SystemClock, from_instant
from lease_actors.core.model import Key
from lease_actors.lease import Waiter
from lease_actors.overview import LeaseView, Overview, recognised, waiter_dict

__all__ = ["COMMANDS"]


@click.command()
@everywhere
@as_json
@on_leases
def ls(target: Target, everywhere: bool, json_: bool) -> None:
    """List the leases that are held, on offer, pinned or waited for."""
    with target.open() as manager:
        views = manager.overview().leases(*(() if everywhere else target.place))
    if json_:
        print_json([view.as_dict() for view in views])
    elif views:
        _print_leases(views, everywhere=everywhere)
    else:
        click.echo(
            "no leases" + ("" if everywhere else f" in namespace {target.namespace!r}"), err=True
        )


@click.command()
@click.argument("lease")
@as_json
@on_leases
def show(target: Target, lease: str, json_: bool) -> int:
    """Show one lease: holder, term, time left, pins, queue. Status 1 if nobody has it."""
    key = target.key(lease)
    with target.open() as manager:
        overview = manager.overview()
        view, queue = recognised(overview, key), overview.waiting(key)
    if json_:
        print_json({**view.as_dict(), "queue": [waiter_dict(w) for w in queue]})
    else:
        for title, value in _lines(view, queue):
            click.echo(f"{title + ':':<12}{value}")
    if view.holder is None:
        click.echo(f"lease-actors: nobody holds lease {lease!r}", err=True)
    return NO if view.holder is None else 0


@click.command()
@click.argument("lease")
@as_json
@on_leases
def waiting(target: Target, lease: str, json_: bool) -> None:
    """List who waits for a lease, in the order of the queue."""
    with target.open() as manager:
        overview = manager.overview()
        queue = overview.waiting(recognised(overview, target.key(lease)).key)
    if json_:
        print_json([waiter_dict(w) for w in queue])
    elif queue:
        rows = [(str(w.position), w.holder, w.since.isoformat(" ", "seconds")) for w in queue]
        print_table((">#", "HOLDER", "SINCE"), rows)
    else:
        click.echo(f"nobody waits for lease {lease!r}", err=True)


@click.command()
@click.argument("lease", required=False)
@everywhere
@click.option(
    "--interval", type=SECONDS, default="1", show_default=True, help="Seconds between two looks."
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many lines.")
@as_json
@on_leases
def watch(
    target: Target,
    lease: str | None,
    everywhere: bool,
    interval: float,
    count: int | None,
    json_: bool,
) -> None:
    """Print a line whenever a lease changes hands, is pinned, or its queue changes.

    First what there is, then each change as it is seen, until Ctrl-C. With --json one object a
    line. A tenure that begins and ends between two looks shows as a gap in the terms.
    """
    place = () if everywhere else target.place
    pause, seen, printed = threading.Event(), dict[Key, LeaseView](), 0
    with target.open() as manager:
        overview = manager.overview()
        if lease is not None:
            recognised(overview, target.key(lease))
        while True:
            for view in _changes(overview, lease, place, seen):
                _print_change(view, json_)
                printed += 1
                if printed == count:
                    return
            pause.wait(interval)


def _changes(
    overview: Overview, lease: str | None, place: tuple[str, ...], seen: dict[Key, LeaseView]
) -> list[LeaseView]:
    """What differs from what was seen, which is brought up to date."""
    there = {v.key: v for v in overview.leases(*place) if lease in (None, v.key.lease)}
    for key in seen.keys() - there.keys():
        there[key] = overview.lease(key)  # it has become free: how, says the lease itself
    changed = [v for key, v in sorted(there.items()) if _traits(v) != _traits(seen.get(key))]
    seen.clear()
    seen.update((key, v) for key, v in there.items() if v.holder or v.pins or v.waiting)
    return changed


def _traits(view: LeaseView | None) -> tuple[Any, ...] | None:
    """What is worth a line; that a tenure was extended is not."""
    if view is None:
        return None
    return view.state, view.holder, view.term, view.pins, view.waiting


def _print_change(view: LeaseView, json_: bool) -> None:
    now = from_instant(SystemClock().wall())
    if json_:
        print_json({"seen_at": now.isoformat(), **view.as_dict()})
        return
    pins = f", pinned by {', '.join(map(plain, view.pins))}" if view.pins else ""
    queue = f", {view.waiting} waiting" if view.waiting else ""
    holder = "free" if view.holder is None else f"{view.state} {plain(view.holder)}"
    name = "/".join(plain(part) for part in view.key if part)
    when = now.isoformat(" ", "milliseconds")[:23]
    click.echo(f"{when}  {name}  {holder}, term {view.term}{pins}{queue}")


def _print_leases(views: list[LeaseView], *, everywhere: bool) -> None:
    titles = ["LEASE", "HOLDER", ">TERM", ">LEFT", "STATE", ">WAITING", "PINS"]
    rows: list[list[str | Text]] = [
        [
            v.key.lease,
            v.holder or "-",
            str(v.term),
            "-" if v.pins else left(v.remaining),
            state_text(v),
            str(v.waiting or "-"),
            ",".join(v.pins) or "-",
        ]
        for v in views
    ]
    if everywhere:
        titles = ["NAMESPACE", "MODEL", *titles]
        rows = [
            [v.key.namespace, v.key.model_uuid or "-", *row]
            for v, row in zip(views, rows, strict=True)
        ]
    print_table(titles, rows)


def _lines(view: LeaseView, queue: list[Waiter]) -> list[tuple[str, str]]:
    lines = [("lease", plain(view.key.lease)), ("state", view.state)]
    if view.holder is not None:
        assert view.granted_at is not None
        assert view.expiry is not None
        until = view.expiry.isoformat(" ", "seconds")
        lines += [
            ("holder", plain(view.holder)),
            ("since", view.granted_at.isoformat(" ", "seconds")),
            ("until", "it is unpinned" if view.pins else f"{until} ({left(view.remaining)} left)"),
        ]
    lines.append(("term", str(view.term)))
    if view.pins:
        lines.append(("pinned by", ", ".join(map(plain, view.pins))))
    if view.ended is not None and view.ended_at is not None:
        when = view.ended_at.isoformat(" ", "seconds")
        lines.append(("last ended", f"term {view.ended_term} was {view.ended}, {when}"))
    lines += [("waiting", f"{w.position}. {plain(w.holder)}") for w in queue]
    return lines


COMMANDS = (ls, show, waiting, watch)
