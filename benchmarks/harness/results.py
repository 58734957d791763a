"""What a run has found so far: one JSON file, written anew after every measurement."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import describe, versions
from benchmarks.harness.peers import Peer
from benchmarks.workloads.base import Found, Scale


class Results:
    def __init__(self, path: Path, head: dict[str, Any], cells: list[dict[str, Any]]) -> None:
        self.path = path
        self.head = head
        self._cells = {(c["work"], c["peer"], c["round"]): c["found"] for c in cells}

    @classmethod
    def begin(cls, path: Path, folder: Path, scale: Scale, peers: list[Peer]) -> Results:
        head = {
            "begun": datetime.now(timezone.utc).isoformat(timespec="minutes"),
            "machine": describe(folder),
            "versions": versions(peers),
            "scale": asdict(scale),
        }
        return cls(path, head, [])

    @classmethod
    def load(cls, path: Path) -> Results:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, stored["head"], stored["cells"])

    def add(self, work: str, peer: str, round_: int, found: Found) -> None:
        self._cells[work, peer, round_] = found
        self.save()

    def has(self, work: str, peer: str, round_: int) -> bool:
        """Whether it was measured; a failure may be tried again."""
        found = self._cells.get((work, peer, round_))
        return found is not None and "failed" not in found

    def of(self, work: str, peer: str) -> dict[int, Found]:
        """What was found in each round."""
        return {r: found for w, p, r, found in self.cells() if (w, p) == (work, peer)}

    def cells(self) -> Iterator[tuple[str, str, int, Found]]:
        for (work, peer, round_), found in self._cells.items():
            yield work, peer, round_, found

    def save(self) -> None:
        cells = [
            {"work": w, "peer": p, "round": r, "found": found} for w, p, r, found in self.cells()
        ]
        lines = ",\n".join(json.dumps(cell) for cell in cells)
        text = f'{{"head": {json.dumps(self.head, indent=1)},\n"cells": [\n{lines}\n]}}\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, self.path)
