"""What the tables and plots ask of the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.harness.peers import Peer
from benchmarks.harness.results import Results
from benchmarks.harness.roster import PEERS
from benchmarks.harness.stats import percentile
from benchmarks.workloads.base import Found

Reading = Callable[[Found], float | None]


def done(results: Results, work: str) -> list[tuple[Peer, list[Found]]]:
    """Everybody who did it, with what was found in each round."""
    found = [(peer, _good(results, work, peer.name)) for peer in PEERS]
    return [(peer, rounds) for peer, rounds in found if rounds]


def not_done(results: Results, work: str) -> dict[str, list[Peer]]:
    """Why not, and who."""
    reasons: dict[str, list[Peer]] = {}
    for peer in PEERS:
        rounds = results.of(work, peer.name).values()
        if rounds and not _good(results, work, peer.name):
            why = next(r for f in rounds if (r := f.get("cannot") or f.get("failed")))
            reasons.setdefault(str(why), []).append(peer)
    return reasons


def by_round(results: Results, work: str, peer: str, read: Reading) -> dict[int, float]:
    """One number for each round in which there is one."""
    rounds = results.of(work, peer).items()
    return {r: value for r, found in rounds if is_good(found) and (value := read(found))}


def is_good(found: Found) -> bool:
    return "failed" not in found and "cannot" not in found


def _good(results: Results, work: str, peer: str) -> list[Found]:
    return [found for found in results.of(work, peer).values() if is_good(found)]


def at(*way: str) -> Reading:
    """The number at the end of this way through what was found."""

    def read(found: Found) -> float | None:
        here: object = found
        for name in way:
            here = here.get(name) if isinstance(here, dict) else None
        return float(here) if isinstance(here, int | float) else None

    return read


def middle(name: str) -> Reading:
    """The median of a list of numbers."""

    def read(found: Found) -> float | None:
        values: Sequence[float] = found.get(name) or ()
        return percentile(values, 50) if values else None

    return read


def who(peer: Peer) -> str:
    """Its name in a table: ours stand out."""
    return f"**{peer.title}**" if peer.group == "ours" else peer.title
