"""Every table of the report, by the name of its place on the page."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.harness.results import Results
from benchmarks.report import measured, once
from benchmarks.report.about import ABOUT, PREFIX
from benchmarks.report.format import table
from benchmarks.report.read import not_done
from benchmarks.report.targets import targets
from benchmarks.workloads.roster import WORKLOADS

NOTHING = "Not measured."

TABLES: dict[str, Callable[[Results], str | None]] = {
    "pairs": lambda results: measured.rates(results, "pairs"),
    "one-core": lambda results: measured.rates(results, "one-core"),
    "renewals": lambda results: measured.rates(results, "renewals"),
    "checks": lambda results: measured.rates(results, "checks"),
    "hand-over": measured.hand_over,
    "queue": measured.queue,
    "take-over": measured.take_over,
    "contention": once.contention,
    "blocked": once.blocked,
    "records": once.records,
    "kept": once.kept,
}


def sections(results: Results) -> dict[str, str]:
    """Each with what it is about, or only why there is nothing."""
    found = {"machine": machine(results), "versions": versions(results)}
    if (reached := targets(results)) is not None:
        found["targets"] = reached
    for workload in WORKLOADS:
        made = TABLES[workload.name](results)
        parts = [part for part in (made, _absent(results, workload.name)) if part]
        if made and workload.name in ABOUT:
            found[PREFIX + workload.name] = ABOUT[workload.name](results)
        found[workload.name] = "\n\n".join(parts) or NOTHING
    return found


def machine(results: Results) -> str:
    head = results.head
    facts = {
        "Begun": head["begun"],
        "Processor": f"{head['machine']['cores']} cores of {head['machine']['processor']}",
        "Memory": f"{head['machine']['memory_gb']} GB",
        "Kernel": head["machine"]["kernel"],
        "File system": head["machine"]["file_system"],
        "Python": head["machine"]["python"],
        "SQLite": head["machine"]["sqlite"],
        "Rounds": str(head["scale"]["rounds"]),
    }
    return table(("", ""), facts.items())


def versions(results: Results) -> str:
    found = results.head["versions"]
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def _absent(results: Results, work: str) -> str | None:
    lines = [
        f"- {'; '.join(peer.title for peer in peers)}: {why}."
        for why, peers in not_done(results, work).items()
    ]
    return "Not here, and why:\n\n" + "\n".join(lines) if lines else None
