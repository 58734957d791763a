"""The benchmarks run, and their report has a place for all that they find.

With no server and no peer installed: ourselves, and the same by hand on SQLite.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ("lease-actors-memory", "lease-actors-sqlite", "raw-sqlite3")
WORK = ("pairs", "renewals", "checks", "queue", "take-over", "records")


def python(*arguments: str) -> str:
    """What such a run prints. From the top of the checkout, where `benchmarks` is."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def quick_run(results: Path, *options: str) -> str:
    names = ("--peers", ",".join(PEERS), "--only", ",".join(WORK))
    return python("-m", "benchmarks", "--quick", *names, "--results", str(results), *options)


def found_in(results: Path) -> dict[tuple[str, str], dict[str, Any]]:
    cells = json.loads(results.read_text(encoding="utf-8"))["cells"]
    return {(cell["work"], cell["peer"]): cell["found"] for cell in cells}


@pytest.mark.timeout(180)
def test_a_quick_run_measures_everybody_or_says_why_not(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    printed = quick_run(results, "--folder", str(tmp_path))
    found = found_in(results)
    assert set(found) == {(work, peer) for work in WORK for peer in PEERS}
    for peer in PEERS:
        assert all(each["per_second"] > 0 for each in found["pairs", peer].values())
        assert found["pairs", peer]["1"]["refused"] == 0
    for ours in PEERS[:2]:
        assert found["queue", ours]["out_of_order"] == [0]
    assert found["take-over", "lease-actors-sqlite"]["after_renewal"][0] >= 2
    assert "cannot" in found["queue", "raw-sqlite3"]
    assert "Not here, and why" in printed

    before = results.stat().st_mtime_ns
    quick_run(results, "--resume")
    assert results.stat().st_mtime_ns == before, "all was done already"


def test_a_name_that_nobody_has_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--peers", "nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "there is no peer 'nobody'" in done.stderr


def test_the_page_has_a_place_for_every_table() -> None:
    python(
        "-c",
        "from benchmarks.harness.cli import PAGE\n"
        "from benchmarks.report.page import put\n"
        "from benchmarks.report.sections import TABLES\n"
        "page = PAGE.read_text(encoding='utf-8')\n"
        "for name in ('machine', 'versions', 'targets', *TABLES):\n"
        "    assert put(page, name, 'new') != page, name\n",
    )


def test_every_kind_of_work_has_a_table() -> None:
    python(
        "-c",
        "from benchmarks.report.sections import TABLES\n"
        "from benchmarks.workloads.roster import WORKLOADS\n"
        "assert list(TABLES) == [workload.name for workload in WORKLOADS]\n",
    )
