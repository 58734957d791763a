"""What a process weighs: memory, threads, CPU; a server's with all of its children."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


@dataclass(frozen=True)
class Load:
    """Of one process, or one and its children."""

    memory: int
    """Resident bytes. What processes share (a database's buffers) is counted once."""
    threads: int
    cpu: float
    """Seconds of CPU so far."""


def load_of(pid: int | None = None, *, children: bool = False) -> Load:
    import psutil

    process = psutil.Process(pid)
    family = [process, *(process.children(recursive=True) if children else ())]
    loads = [load for member in family if (load := _one(member, children)) is not None]
    return Load(
        memory=sum(load.memory for load in loads),
        threads=sum(load.threads for load in loads),
        cpu=sum(load.cpu for load in loads),
    )


def _one(process: psutil.Process, shared_apart: bool) -> Load | None:
    import psutil

    try:
        with process.oneshot():
            info, times = process.memory_info(), process.cpu_times()
            memory = info.rss - info.shared if shared_apart else info.rss
            return Load(memory, process.num_threads(), times.user + times.system)
    except psutil.NoSuchProcess:
        return None


def busy(pid: int | None, seconds: float, *, children: bool = False) -> float:
    """Percent of one core over so many seconds from now."""
    before = load_of(pid, children=children).cpu
    time.sleep(seconds)
    return (load_of(pid, children=children).cpu - before) / seconds * 100
