"""The benchmarks run, and their report has a place for all that they find.

With no server and no peer installed: ourselves, and the same by hand on SQLite.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ("lease-actors-memory", "lease-actors-sqlite", "raw-sqlite3")
WORK = ("pairs", "renewals", "checks", "queue", "take-over", "records")
MORE = ("one-core", "hand-over", "contention", "blocked", "kept")
"""By one of them: it takes longer, or there is nothing that the others could do."""


DYING = """
class Grip:
    def release(self):
        pass

class Client:
    turns = 0
    def claim(self, name, holder, *, block):
        self.turns += 1
        if self.turns > 5 and holder == "contender-1":
            raise ConnectionError("the server closed the connection")
        return Grip()

def connect(url, duration):
    return Client()
"""


def python(*arguments: str, **environment: str) -> str:
    """What such a run prints. From the top of the checkout, where `benchmarks` is."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def quick_run(
    results: Path, *options: str, peers: Sequence[str] = PEERS, work: Sequence[str] = WORK
) -> str:
    names = ("--peers", ",".join(peers), "--only", ",".join(work))
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


@pytest.mark.timeout(180)
def test_the_rest_of_the_work_runs(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    printed = quick_run(
        results, "--folder", str(tmp_path), peers=["lease-actors-sqlite"], work=MORE
    )
    found = {work: each for (work, _), each in found_in(results).items()}
    assert set(found) == set(MORE)
    assert found["one-core"]["8"]["per_second"] > 0
    assert found["hand-over"]["p99_ms"] >= found["hand-over"]["p50_ms"] > 0
    assert found["contention"]["least"] > 0
    assert found["contention"]["overlaps"] == 0
    assert found["blocked"]["100"]["threads"] < 10
    assert (found["kept"]["leases"], found["kept"]["standing"]) == (100, 100)
    for sentence in ("keeps it for 10 ms, releases, claims again, for 1 s", "watched for 1.5."):
        assert sentence in printed


def test_every_kind_of_work_is_run_by_one_of_these() -> None:
    python(
        "-c",
        "from benchmarks.workloads.roster import WORKLOADS\n"
        f"assert sorted(w.name for w in WORKLOADS) == {sorted(WORK + MORE)}\n",
    )


def test_a_contender_that_dies_is_a_failure_and_no_unfairness(tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(DYING, encoding="utf-8")
    found = python(
        "-c",
        "from benchmarks.harness.cell import measure\n"
        "from benchmarks.harness.peers import Peer\n"
        "from benchmarks.workloads.base import QUICK, Place\n"
        "from benchmarks.workloads.contention import CONTENTION\n"
        "peer = Peer(name='x', title='x', group='peer', module='dying', durable='nothing')\n"
        "place = Place(peer=peer, url='', server_pid=None, scale=QUICK, prefix='x')\n"
        "print(measure(CONTENTION, place))\n",
        PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]),
    )
    assert found.strip() == "{'failed': 'RuntimeError: 1 of 4 processes ended (with 1)'}"


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
        "from benchmarks.report.about import ABOUT, PREFIX\n"
        "about = [PREFIX + name for name in ABOUT]\n"
        "for name in ('machine', 'versions', 'targets', *TABLES, *about):\n"
        "    assert put(page, name, 'new') != page, name\n",
    )


def test_the_page_says_what_would_be_written_of_the_results_beside_it() -> None:
    """Its plots apart: a row's figures, who did not take part and why, how often and for how long."""
    python(
        "-c",
        "from benchmarks.harness.cli import PAGE, RESULTS\n"
        "from benchmarks.harness.results import Results\n"
        "from benchmarks.report.sections import sections\n"
        "page = PAGE.read_text(encoding='utf-8')\n"
        "for name, text in sections(Results.load(RESULTS)).items():\n"
        "    assert f'\\n{text}\\n\\n<!-- end: {name} -->' in page, name\n",
    )


def test_every_kind_of_work_has_a_table() -> None:
    python(
        "-c",
        "from benchmarks.report.sections import TABLES\n"
        "from benchmarks.workloads.roster import WORKLOADS\n"
        "assert list(TABLES) == [workload.name for workload in WORKLOADS]\n",
    )
