"""The plots, as SVG that is the same for the same results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.harness.peers import Group
from benchmarks.harness.results import Results
from benchmarks.harness.stats import spread
from benchmarks.report.read import done
from benchmarks.workloads.base import Found

COLOURS: dict[Group, str] = {"ours": "#2166ac", "raw": "#969696", "peer": "#e08214"}
MARKERS = "osD^vP*X"

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lease-actors",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e0e0e0",
    "figure.facecolor": "white",
}

Series: TypeAlias = dict[str, Sequence[float]]
"""By what they are of: the values, over the rounds."""


def plot_all(results: Results, folder: Path) -> dict[str, str]:
    """Draw what there is something for; the names of the files, and what they show."""
    drawn: dict[str, str] = {}
    with mpl.rc_context(STYLE):
        for name, (title, read) in DOTS.items():
            if _dots(results, name, title, read, folder / f"{name}.svg"):
                drawn[name] = title
        if _records(results, folder / "records.svg"):
            drawn["records"] = "p50 of a claim and its release against the number of leases"
    return drawn


def _rates(rounds: list[Found]) -> Series:
    return {
        f"{n} thread{'s' * (n != '1')}": [f[n]["per_second"] for f in rounds] for n in rounds[0]
    }


def _hand_over(rounds: list[Found]) -> Series:
    return {what: [f[f"{what}_ms"] for f in rounds] for what in ("p50", "p99")}


def _queue(rounds: list[Found]) -> Series:
    return {"": [ms for f in rounds for ms in f["ms"]]}


def _take_over(rounds: list[Found]) -> Series:
    return {"": [seconds for f in rounds for seconds in f["after_kill"]]}


def _contention(rounds: list[Found]) -> Series:
    found = rounds[-1]
    return {"": [found["least"], found["mean"], found["most"]]}


DOTS: dict[str, tuple[str, Callable[[list[Found]], Series]]] = {
    "pairs": ("claims and releases a second", _rates),
    "renewals": ("renewals a second", _rates),
    "checks": ("checks a second", _rates),
    "hand-over": ("hand-over between two processes, ms", _hand_over),
    "queue": ("ms until the last of the waiters has had it", _queue),
    "take-over": ("seconds from kill -9 to the next holder", _take_over),
    "contention": ("turns of one process: least, mean, most", _contention),
}


def _dots(
    results: Results, work: str, title: str, read: Callable[[list[Found]], Series], path: Path
) -> bool:
    found = [(peer, read(rounds)) for peer, rounds in done(results, work)]
    if not found:
        return False
    figure = Figure(figsize=(7.5, 0.8 + 0.26 * len(found)))
    axes = figure.subplots()
    for place, (peer, series) in enumerate(found):
        for number, values in enumerate(series.values()):
            _dot(axes, place, values, MARKERS[number], COLOURS[peer.group])
    axes.set_yticks(range(len(found)), [peer.title for peer, _ in found])
    axes.invert_yaxis()
    if work != "contention":  # some have no turn at all
        axes.set_xscale("log")
        _plain_numbers(axes.xaxis)
    axes.set_xlabel(title)
    _legend(axes, [label for label in found[0][1] if label])
    _save(figure, path)
    return True


def _dot(axes: Axes, place: int, values: Sequence[float], marker: str, colour: str) -> None:
    least, median, most = spread(values)
    axes.plot([least, most], [place, place], color=colour, linewidth=2)
    axes.plot(median, place, marker=marker, color=colour, markersize=5)


def _legend(axes: Axes, labels: list[str]) -> None:
    for number, label in enumerate(labels):
        axes.plot([], [], MARKERS[number], color="black", markersize=5, label=label)
    if labels:
        axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _plain_numbers(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _records(results: Results, path: Path) -> bool:
    found = done(results, "records")
    if not found:
        return False
    figure = Figure(figsize=(7.5, 4.5))
    axes = figure.subplots()
    for number, (peer, rounds) in enumerate(found):
        points = [(int(n), f["p50_ms"]) for n, f in rounds[-1].items() if f.get("count")]
        style: dict[str, Any] = {
            "marker": MARKERS[number % len(MARKERS)],
            "color": COLOURS[peer.group],
        }
        axes.plot([n for n, _ in points], [ms for _, ms in points], label=peer.title, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_numbers(axes.yaxis)
    axes.set_xlabel("leases in the store")
    axes.set_ylabel("p50 of a claim and its release, ms")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _save(figure, path)
    return True


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
