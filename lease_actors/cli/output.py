"""How results are printed: tables for people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lease_actors.overview import LeaseView

__all__ = ["console", "left", "plain", "print_json", "print_table", "state_text"]

_ENDLESS = 100_000
"""So wide is what is no terminal: nothing is cut or wrapped there."""


def console(*, stderr: bool = False) -> Console:
    """Colours and a width only where there is a terminal; names are never taken for markup."""
    file = sys.stderr if stderr else sys.stdout
    width = None if file.isatty() else _ENDLESS
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    """One JSON value on a line; what the output's encoding may not have is escaped as JSON does."""
    escaped = not (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(value, ensure_ascii=escaped, separators=(", ", ": ")))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Aligned columns under their titles. A title that begins with ``>`` is flush right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        right = title.startswith(">")
        table.add_column(
            Text(title.lstrip(">")), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(c if isinstance(c, Text) else Text(plain(c)) for c in row))
    printer = console()
    printer.file = page = io.StringIO()  # even while it captures, it writes to its file at the end
    printer.print(table)
    for line in page.getvalue().splitlines():
        click.echo(line.rstrip(), color=True)  # whether there are colours was decided above


def plain(name: str) -> str:
    """The name with everything escaped that a terminal might obey."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def left(duration: timedelta | None) -> str:
    """A time for people: 0.4s, 12s, 4m05s, 3h10m, 12d04h."""
    if duration is None:
        return "-"
    seconds = duration.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    for unit, small, size, part in (
        ("m", "s", 60, 1),
        ("h", "m", 3600, 60),
        ("d", "h", 86400, 3600),
    ):
        if whole < size * (60 if unit == "m" else 24) or unit == "d":
            return f"{whole // size}{unit}{whole % size // part:02}{small}"
    raise AssertionError  # pragma: no cover


def state_text(view: LeaseView) -> Text:
    """The state, as one word that a terminal colours."""
    if view.state == "held" and view.pins:
        return Text("pinned", style="yellow")
    style = {"held": "green", "offered": "cyan", "ending": "red"}.get(view.state, "dim")
    return Text(view.state, style=style)
