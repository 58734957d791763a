"""Where it was measured, and with what."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.harness.peers import Peer
from benchmarks.servers.roster import SERVERS


def describe(folder: Path) -> dict[str, str | int]:
    """The machine, without its name."""
    return {
        "cores": os.cpu_count() or 0,
        "processor": _processor(),
        "memory_gb": _memory_gb(),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
    }


def versions(peers: Iterable[Peer]) -> dict[str, str]:
    """Of every server and every package that takes part and is there."""
    chosen = list(peers)
    found: dict[str, str] = {}
    for name in dict.fromkeys(peer.server for peer in chosen):
        if name is not None and SERVERS[name].program() is not None:
            found[f"server {name}"] = SERVERS[name].version()
    for package in sorted({p for peer in chosen for p in peer.packages}):
        if (installed := installed_version(package)) is not None:
            found[package] = installed
    return found


def installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _file_system(folder: Path) -> str:
    """Of the mount that the folder is on."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    over = [(len(where), kind) for where, kind in mounts if folder.resolve().is_relative_to(where)]
    return max(over, default=(0, "unknown"), key=lambda mount: mount[0])[1]
