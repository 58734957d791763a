"""One run: the servers up, every peer through all the work, round by round."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.cell import measure
from benchmarks.harness.machine import installed_version
from benchmarks.harness.peers import Peer
from benchmarks.harness.results import Results
from benchmarks.servers.base import Server
from benchmarks.servers.roster import SERVERS
from benchmarks.workloads.base import Found, Place, Scale, Workload


@dataclass(frozen=True)
class Cell:
    """One measurement that is to be made."""

    workload: Workload
    peer: Peer
    round: int


@dataclass(frozen=True)
class Run:
    peers: Sequence[Peer]
    workloads: Sequence[Workload]
    scale: Scale
    folder: Path
    """Where servers, files and databases go."""

    def cells(self) -> Iterator[Cell]:
        """All of them. Rounds are the outermost, so that what the machine does hits all alike.

        Work that is not done in every round is done in the last ones: what it leaves behind (a
        million rows) meets nobody.
        """
        rounds = self.scale.rounds
        for number in range(rounds):
            for workload in self.workloads:
                if number < rounds - (workload.most_rounds or rounds):
                    continue
                for peer in self.peers:
                    yield Cell(workload, peer, number)

    def go(self, results: Results) -> None:
        cells = [c for c in self.cells() if not _measured(results, c)]
        with tempfile.TemporaryDirectory(prefix="lease-bench-", dir=self.folder) as name:
            folder = Path(name)
            folder.chmod(0o755)  # some servers run as another user
            with servers_for({c.peer.server for c in cells if c.peer.server}, folder) as servers:
                for number, cell in enumerate(cells, 1):
                    began = time.monotonic()
                    found = self._one(cell, servers, folder)
                    results.add(cell.workload.name, cell.peer.name, cell.round, found)
                    took = time.monotonic() - began
                    print(
                        f"[{number}/{len(cells)}] {_line(cell, found)} ({took:.1f} s)", flush=True
                    )

    def _one(self, cell: Cell, servers: dict[str, Server], folder: Path) -> Found:
        peer = cell.peer
        reason = cell.workload.refusal(peer) or missing(peer)
        if reason is not None:
            return {"cannot": reason}
        server = None if peer.server is None else servers[peer.server]
        place = Place(
            peer=peer,
            url=_url(peer, server, folder),
            server_pid=None if server is None else server.pid,
            scale=self.scale,
            prefix=f"{cell.workload.name}-{cell.round}-{uuid.uuid4().hex[:6]}",
        )
        return measure(cell.workload, place)


def missing(peer: Peer) -> str | None:
    """What is not installed that the peer needs."""
    if peer.server is not None and SERVERS[peer.server].program() is None:
        package = SERVERS[peer.server].package
        return f"its server is not installed (Debian's package {package})"
    absent = [package for package in peer.packages if installed_version(package) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


@contextmanager
def servers_for(names: set[str], folder: Path) -> Iterator[dict[str, Server]]:
    """These servers, as far as they are installed, until the end of the block."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:
        for name in sorted(names):
            if SERVERS[name].program() is not None:
                print(f"starting {name} {SERVERS[name].version()}", flush=True)
                servers[name] = SERVERS[name](folder / name)
                stack.callback(servers[name].stop)
                servers[name].start()
        yield servers


def _url(peer: Peer, server: Server | None, folder: Path) -> str:
    if server is None:
        assert peer.local is not None, f"{peer.name} has neither a server nor a place of its own"
        own = folder / peer.name
        own.mkdir(exist_ok=True)
        return peer.local.format(folder=own)
    url = server.url(f"bench_{peer.name.replace('-', '_')}")
    return url if peer.scheme is None else f"{peer.scheme}://{url.partition('://')[2]}"


def _measured(results: Results, cell: Cell) -> bool:
    return results.has(cell.workload.name, cell.peer.name, cell.round)


def _line(cell: Cell, found: Found) -> str:
    said = ", ".join(f"{name} {_short(value)}" for name, value in found.items())
    return f"{cell.workload.name}, {cell.peer.name}, round {cell.round + 1}: {said}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {_short(v)}" for k, v in value.items()) + ")"
    if isinstance(value, list):
        return "/".join(_short(v) for v in value)
    return str(value)
