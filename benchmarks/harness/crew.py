"""Processes that work together: forked from a server that has imported the adapter, and nothing more.

So 48 of them start in a moment, none inherits a connection or a thread, and each shares with its
siblings what it was handed.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from benchmarks.workloads.base import Place


class Crew:
    def __init__(self, place: Place) -> None:
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([place.peer.module])
        self._all: list[ForkServerProcess] = []

    def start(self, work: Callable[..., None], *args: Any) -> ForkServerProcess:
        process = self.context.Process(target=_quietly, args=(work, *args))
        process.start()
        self._all.append(process)
        return process

    def check(self) -> None:
        """``RuntimeError`` if any has ended: what the others do without it is not what was asked."""
        ended = [process.exitcode for process in self._all if not process.is_alive()]
        if ended:
            codes = ", ".join(str(code) for code in sorted(set(ended), key=str))
            raise RuntimeError(f"{len(ended)} of {len(self._all)} processes ended (with {codes})")

    def end(self) -> None:
        for process in self._all:
            # The fork server has reaped those that ended: their numbers may be others' by now.
            if process.is_alive():
                process.kill()
        for process in self._all:
            process.join()


def _quietly(work: Callable[..., None], *args: Any) -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # what peers log is not asked for
    work(*args)


@contextmanager
def crew_of(place: Place) -> Iterator[Crew]:
    crew = Crew(place)
    try:
        yield crew
    finally:
        crew.end()
