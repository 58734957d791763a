"""The tables of what was measured once in a run: it takes long, and tells enough."""

from __future__ import annotations

from benchmarks.harness.peers import Peer
from benchmarks.harness.results import Results
from benchmarks.report.format import number, size, table
from benchmarks.report.read import done, who
from benchmarks.workloads.base import Found


def contention(results: Results) -> str | None:
    rows = []
    for peer, rounds in done(results, "contention"):
        found = rounds[-1]
        off = found["off_percent"]
        rows.append(
            [
                who(peer),
                number(found["turns_per_second"]),
                number(found["mean"]),
                f"{found['least']} / {found['most']}",
                "" if off is None else f"± {number(off)} %",
                str(found["overlaps"]),
            ]
        )
    if not rows:
        return None
    head = ("", "turns a second", "turns each, mean", "least / most", "off the mean", "two at once")
    return table(head, rows)


def blocked(results: Results) -> str | None:
    rows = [
        _blocked(peer, count, found)
        for peer, rounds in done(results, "blocked")
        for count, found in rounds[-1].items()
    ]
    if not rows:
        return None
    head = (
        "",
        "claims",
        "queued in",
        "memory each",
        "threads",
        "CPU",
        "at the server: memory each",
        "CPU",
    )
    return table(head, rows)


def _blocked(peer: Peer, count: str, found: Found) -> list[str]:
    start = [who(peer), f"{int(count):,}"]
    if "cannot" in found:
        return [*start, f"not done: {found['cannot']}", *[""] * 5]
    there = "server_bytes_each" in found
    return [
        *start,
        f"{number(found['seconds'])} s",
        size(found["bytes_each"]),
        f"{found['threads']:,}",
        f"{number(found['cpu_percent'])} %",
        size(found["server_bytes_each"]) if there else "",
        f"{number(found['server_cpu_percent'])} %" if there else "",
    ]


def records(results: Results) -> str | None:
    counts = [str(n) for n in results.head["scale"]["records"]]
    rows = [
        [who(peer), *[_cost(rounds[-1].get(count)) for count in counts]]
        for peer, rounds in done(results, "records")
    ]
    if not rows:
        return None
    return table(("p50 / p99 ms with so many leases", *[f"{int(c):,}" for c in counts]), rows)


def _cost(found: Found | None) -> str:
    if found is None:
        return ""
    if "cannot" in found:
        return str(found["cannot"])
    return f"{number(found['p50_ms'])} / {number(found['p99_ms'])}"


def kept(results: Results) -> str | None:
    rows = []
    for peer, rounds in done(results, "kept"):
        found = rounds[-1]
        server, count = found.get("server_cpu_percent"), found.get("transactions_per_second")
        rows.append(
            [
                who(peer),
                f"{found['standing']:,} of {found['leases']:,}",
                f"{number(found['seconds_to_take'])} s",
                str(found["threads"]),
                f"{number(found['cpu_percent'])} %",
                "" if server is None else f"{number(server)} %",
                "" if count is None else number(count),
            ]
        )
    if not rows:
        return None
    head = ("", "still held", "taken in", "threads", "CPU", "server's CPU", "transactions a second")
    return table(head, rows)
