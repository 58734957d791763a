"""The plots, as SVG that is the same for the same results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness.peers import Group, Peer
from benchmarks.harness.results import Results
from benchmarks.harness.stats import spread
from benchmarks.report.read import done
from benchmarks.workloads.base import Found

COLOURS: dict[Group, str] = {"ours": "#2166ac", "raw": "#969696", "peer": "#e08214"}

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lease-actors",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}

Values = Callable[[list[Found]], Sequence[float]]


def plot_all(results: Results, folder: Path) -> dict[str, str]:
    """Draw what there is something for; the names of the files, and what they show."""
    drawn: dict[str, str] = {}
    with mpl.rc_context(STYLE):
        for name, (title, values) in BARS.items():
            if _bars(results, name, title, values, folder / f"{name}.svg"):
                drawn[name] = title
        if _records(results, folder / "records.svg"):
            drawn["records"] = "p50 of a claim and its release against the number of leases"
    return drawn


def _pairs(rounds: list[Found]) -> list[float]:
    most = max(rounds[0], key=int)
    return [f[most]["per_second"] for f in rounds]


BARS: dict[str, tuple[str, Values]] = {
    "pairs": ("claims and releases a second, most threads", _pairs),
    "hand-over": ("hand-over between processes, p50 in ms", lambda fs: [f["p50_ms"] for f in fs]),
    "queue": (
        "ms until the last of the waiters has had it",
        lambda fs: [m for f in fs for m in f["ms"]],
    ),
    "take-over": (
        "seconds from kill -9 to the next holder",
        lambda fs: [s for f in fs for s in f["after_kill"]],
    ),
    "contention": (
        "turns of one process: least, mean, most",
        lambda fs: [fs[-1]["least"], fs[-1]["mean"], fs[-1]["most"]],
    ),
}


def _bars(results: Results, work: str, title: str, values: Values, path: Path) -> bool:
    found = [(peer, spread(values(rounds))) for peer, rounds in done(results, work)]
    if not found:
        return False
    figure = Figure(figsize=(7.5, 0.6 + 0.28 * len(found)))
    axes = figure.subplots()
    for place, (peer, (least, median, most)) in enumerate(found):
        axes.barh(place, median, color=COLOURS[peer.group], height=0.7)
        axes.plot([least, most], [place, place], color="black", linewidth=1)
    _names(axes, [peer for peer, _ in found])
    if work != "contention" and all(least > 0 for _, (least, _, _) in found):
        axes.set_xscale("log")
    axes.set_xlabel(title)
    _save(figure, path)
    return True


def _names(axes: Axes, peers: list[Peer]) -> None:
    axes.set_yticks(range(len(peers)), [peer.title for peer in peers])
    axes.invert_yaxis()


def _records(results: Results, path: Path) -> bool:
    found = done(results, "records")
    if not found:
        return False
    figure = Figure(figsize=(7.5, 4.5))
    axes = figure.subplots()
    for number, (peer, rounds) in enumerate(found):
        points = [(int(n), f["p50_ms"]) for n, f in rounds[-1].items() if f.get("count")]
        marker = "osD^vP*X"[number % 8]
        axes.plot(
            *zip(*points, strict=True), marker=marker, color=COLOURS[peer.group], label=peer.title
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("leases in the store")
    axes.set_ylabel("p50 of a claim and its release, ms")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _save(figure, path)
    return True


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
