"""The tables of what was measured in several rounds: medians, and from where to where they go."""

from __future__ import annotations

from benchmarks.harness.results import Results
from benchmarks.harness.stats import percentile
from benchmarks.report.format import number, spread_of, table
from benchmarks.report.read import at, done, who
from benchmarks.workloads.base import Found


def rates(results: Results, work: str) -> str | None:
    measured = done(results, work)
    if not measured:
        return None
    threads = list(measured[0][1][0])
    rows = [[who(peer), *_rates(rounds, threads)] for peer, rounds in measured]
    each = [
        f"{n} thread{'s' * (n != '1')}: {what}"
        for n in threads
        for what in ("a second", "p50 / p99 ms")
    ]
    return table(("", *each), rows)


def _rates(rounds: list[Found], threads: list[str]) -> list[str]:
    cells = []
    for n in threads:
        found = [f[n] for f in rounds if f[n]["count"]]
        cells.append(spread_of([f["per_second"] for f in found]) if found else "0")
        cells.append(_p50_p99(found))
    return cells


def _p50_p99(rounds: list[Found]) -> str:
    if not rounds:
        return ""
    return " / ".join(
        number(percentile([f[name] for f in rounds], 50)) for name in ("p50_ms", "p99_ms")
    )


def hand_over(results: Results) -> str | None:
    rows = [
        [
            who(peer),
            peer.durable,
            spread_of([f["p50_ms"] for f in rounds]),
            spread_of([f["p99_ms"] for f in rounds]),
            str(sum(f["count"] for f in rounds)),
        ]
        for peer, rounds in done(results, "hand-over")
    ]
    if not rows:
        return None
    return table(("", "when a claim returns", "p50 ms", "p99 ms", "hand-overs"), rows)


def queue(results: Results) -> str | None:
    rows = []
    for peer, rounds in done(results, "queue"):
        out = [n for f in rounds for n in f["out_of_order"]]
        in_order = "yes" if not any(out) else f"no, {spread_of(out)} of them out of order"
        rows.append(
            [who(peer), spread_of([ms for f in rounds for ms in f["ms"]]), in_order, peer.order]
        )
    if not rows:
        return None
    return table(("", "ms until the last has had it", "came in order", "promised"), rows)


def take_over(results: Results) -> str | None:
    rows = []
    for peer, rounds in done(results, "take-over"):
        renewed = [s for f in rounds for s in f["after_renewal"]]
        rows.append(
            [
                who(peer),
                spread_of([s for f in rounds for s in f["after_kill"]]),
                spread_of(renewed) if renewed else "it is not renewed",
            ]
        )
    if not rows:
        return None
    duration = at("scale", "duration")(results.head)
    head = ("", "seconds after the kill", f"seconds after the last renewal, of {duration:g}")
    return table(head, rows)
