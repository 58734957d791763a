"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from benchmarks.harness import roster
from benchmarks.harness.results import Results
from benchmarks.harness.run import Run, missing
from benchmarks.workloads import roster as work
from benchmarks.workloads.base import FULL, QUICK

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "benchmarks" / "results.json"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    peers, workloads = roster.named(options.peers), work.named(options.only)
    if options.list:
        _list()
        return 0
    scale = QUICK if options.quick else FULL
    if options.rounds is not None:
        scale = dataclasses.replace(scale, rounds=options.rounds)
    with tempfile.TemporaryDirectory() as nowhere:
        # A quick run proves that the harness works; it measures nothing worth keeping.
        path = options.results or (Path(nowhere) / "quick.json" if options.quick else RESULTS)
        if options.resume and path.exists():
            results = Results.load(path)
        else:
            results = Results.begin(path, options.folder, scale, peers)
        Run(peers, workloads, scale, options.folder).go(results)
        _tell(results, options.report)
    return _status(results)


def _tell(results: Results, report: bool) -> None:
    if report:
        from benchmarks.report.page import write  # matplotlib takes a second to import

        write(results, PAGE)
        print(f"written: {PAGE}")
    else:
        from benchmarks.report.sections import NOTHING, sections

        for name, section in sections(results).items():
            if section != NOTHING:
                print(f"\n{name}\n\n{section}")


def _status(results: Results) -> int:
    failed = [(w, p, r, f["failed"]) for w, p, r, f in results.cells() if "failed" in f]
    for work_, peer, round_, why in failed:
        print(f"FAILED: {work_}, {peer}, round {round_ + 1}: {why}")
    return 1 if failed else 0


def _list() -> None:
    print("work:")
    for workload in work.WORKLOADS:
        print(f"  {workload.name:<28}{workload.title}")
    print("peers:")
    for peer in roster.PEERS:
        print(f"  {peer.name:<28}{peer.title:<52}{missing(peer) or ''}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="WORK,…", help="only this work")
    parser.add_argument("--peers", metavar="NAME,…", help="only peers whose names begin so")
    parser.add_argument("--rounds", type=int, help="how often all is done (3)")
    parser.add_argument("--quick", action="store_true", help="a little of everything, once")
    parser.add_argument("--resume", action="store_true", help="do only what is not done yet")
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="list the work and the peers")
    parser.add_argument("--results", type=Path, help=f"the raw results ({RESULTS.name})")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where servers and files go; it should be on a disk",
    )
    return parser
