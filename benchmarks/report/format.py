"""Numbers and tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.harness.stats import spread


def number(value: float) -> str:
    """Three digits that count, and no more."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def spread_of(values: Sequence[float], unit: str = "") -> str:
    """The median, and from where to where they go."""
    least, median, most = spread(values)
    if len(values) == 1:
        return f"{number(median)}{unit}"
    return f"{number(median)}{unit} ({number(least)}–{number(most)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def size(count: float) -> str:
    """Bytes, for people."""
    for unit in ("bytes", "kB", "MB"):
        if abs(count) < 1000 or unit == "MB":
            break
        count /= 1000
    return f"{number(max(count, 0))} {unit}"
