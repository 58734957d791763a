"""What ``top`` shows: which leases, in which order, and how they are drawn. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lease_actors.cli.output import left, plain, state_text
from lease_actors.overview import LeaseView

__all__ = ["SORTS", "Screen", "Snapshot", "draw", "press", "scrolled"]

SORTS: dict[str, Callable[[LeaseView], Any]] = {
    "lease": lambda v: v.key,
    "holder": lambda v: (v.holder is None, v.holder or ""),
    "term": lambda v: -v.term,
    "left": lambda v: (v.remaining is None or bool(v.pins), v.remaining or timedelta()),
    "waiting": lambda v: -v.waiting,
}
"""What can be sorted by."""

_BAR = 10
_PAGE = 10
_KEYS = "q quit  s sort  r reverse  / filter  a all namespaces"


@dataclass(frozen=True, kw_only=True)
class Screen:
    """How somebody wants to see it."""

    sort: str = "lease"
    backwards: bool = False
    filter: str = ""
    typing: bool = False
    """The filter is being typed."""
    everywhere: bool = False
    above: int = 0
    """So many leases have been scrolled away."""
    done: bool = False


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What was read last: the leases, how long ago, and what went wrong since."""

    views: Sequence[LeaseView] = ()
    age: timedelta = timedelta(0)
    error: str = ""
    loaded: bool = True


def press(screen: Screen, key: str) -> Screen:
    """The screen after a key."""
    if screen.typing:
        return _type(screen, key)
    match key:
        case "q" | "Q":
            return replace(screen, done=True)
        case "s" | "S":
            names = list(SORTS)
            step = 1 if key == "s" else -1
            return replace(screen, sort=names[(names.index(screen.sort) + step) % len(names)])
        case "r":
            return replace(screen, backwards=not screen.backwards)
        case "a":
            return replace(screen, everywhere=not screen.everywhere)
        case "/":
            return replace(screen, typing=True)
        case "escape":
            return replace(screen, filter="")
        case "up" | "page up":
            return replace(screen, above=max(0, screen.above - (1 if key == "up" else _PAGE)))
        case "down" | "page down":
            return replace(screen, above=screen.above + (1 if key == "down" else _PAGE))
        case _:
            return screen


def _type(screen: Screen, key: str) -> Screen:
    if key in ("\n", "\r"):
        return replace(screen, typing=False)
    if key == "escape":
        return replace(screen, typing=False, filter="")
    if key in ("\x7f", "\b"):
        return replace(screen, filter=screen.filter[:-1])
    if len(key) == 1 and key.isprintable():
        return replace(screen, filter=screen.filter + key)
    return screen


def chosen(screen: Screen, views: Sequence[LeaseView]) -> list[LeaseView]:
    """The leases that the filter lets through, in the order that is wanted."""
    words = screen.filter.casefold().split()
    found = [v for v in views if all(word in _searched(v) for word in words)]
    return sorted(found, key=SORTS[screen.sort], reverse=screen.backwards)


def _searched(view: LeaseView) -> str:
    return " ".join((*view.key, view.holder or "", view.state, *view.pins)).casefold()


def scrolled(screen: Screen, snapshot: Snapshot, height: int) -> Screen:
    """The screen, scrolled no further than to the last lease."""
    most = max(0, len(chosen(screen, snapshot.views)) - _room(height))
    return replace(screen, above=min(screen.above, most))


def _room(height: int) -> int:
    """So many leases fit on the screen."""
    return max(1, height - 5)


def draw(
    screen: Screen, snapshot: Snapshot, place: str, width: int, height: int, *, ascii: bool = False
) -> RenderableType:
    """The whole screen, as wide and as high as that."""
    views = chosen(screen, snapshot.views)
    room = _room(height)
    shown = views[screen.above : screen.above + room]
    table = _table(screen, shown, snapshot.age, width, ascii)
    lines: list[RenderableType] = [_head(snapshot, views, place, width), Text(""), table]
    lines += [Text("")] * (room - len(shown))
    lines += [_foot(screen, len(shown), len(views), width)]
    return Group(*lines)


def _head(snapshot: Snapshot, views: Sequence[LeaseView], place: str, width: int) -> Text:
    if snapshot.error:
        text = Text(f"{plain(snapshot.error)}", style="bold red")
    elif not snapshot.loaded:
        text = Text(f"{place}: connecting …", style="dim")
    else:
        held = sum(v.holder is not None for v in views)
        waiting = sum(v.waiting for v in views)
        pinned = sum(bool(v.pins) for v in views)
        counts = f"  {held} held, {pinned} pinned, {waiting} waiting"
        text = Text(plain(place), style="bold")
        text.truncate(max(1, width - len(counts)), overflow="ellipsis")
        text = Text.assemble(text, counts)
    text.truncate(width, overflow="ellipsis")
    return text


def _foot(screen: Screen, shown: int, there: int, width: int) -> Text:
    part = f"{screen.above + 1}-{screen.above + shown} of {there} (arrows)  "
    where = part if shown < there else ""
    if screen.typing:
        text = Text.assemble(where, ("filter: ", "bold"), screen.filter, ("_", "blink"))
    elif screen.filter:
        text = Text.assemble(where, ("filter: ", "bold"), f"{screen.filter} (Esc clears)")
    else:
        text = Text(where + _KEYS, style="dim")
    text.truncate(width, overflow="ellipsis")
    return text


def _table(
    screen: Screen, views: Sequence[LeaseView], age: timedelta, width: int, ascii: bool
) -> Table:
    table = Table(box=None, expand=True, width=width, pad_edge=False, header_style="bold")
    table.add_column(_title(screen, "lease", ascii), ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(_title(screen, "holder", ascii), ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column(_title(screen, "term", ascii), justify="right", no_wrap=True, min_width=5)
    table.add_column(_title(screen, "left", ascii), no_wrap=True, min_width=_BAR + 7)
    table.add_column(_title(screen, "waiting", ascii), justify="right", no_wrap=True, min_width=9)
    table.add_column("PINS", ratio=1, no_wrap=True, overflow="ellipsis")
    for view in views:
        name = "/".join(p for p in view.key if p) if screen.everywhere else view.key.lease
        table.add_row(
            Text(plain(name)),
            Text(plain(view.holder or "-")),
            str(view.term),
            _bar(view, age, ascii),
            str(view.waiting or "-"),
            Text(plain(",".join(view.pins) or "-"), style="yellow" if view.pins else "dim"),
        )
    return table


def _title(screen: Screen, name: str, ascii: bool) -> Text:
    if screen.sort != name:
        return Text(name.upper())
    up, down = ("^", "v") if ascii else ("▲", "▼")
    return Text(f"{name.upper()} {up if screen.backwards else down}", style="bold cyan")


def _bar(view: LeaseView, age: timedelta, ascii: bool) -> Text:
    """The time left as a bar, and in figures; it runs on between two reads."""
    if view.remaining is None or view.pins or view.state == "ending":
        return state_text(view)
    rest = max(timedelta(0), view.remaining - age)
    if not view.duration:
        return Text.assemble(state_text(view), f" {left(rest)}")
    part = min(1.0, rest / view.duration)
    full = round(part * _BAR)
    on, off = ("#", ".") if ascii else ("█", "░")
    style = "green" if part > 1 / 3 else "yellow" if part > 1 / 10 else "red"
    return Text.assemble((on * full, style), (off * (_BAR - full), "dim"), f" {left(rest):>6}")
