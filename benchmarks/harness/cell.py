"""One measurement, in a process of its own: what a peer leaves behind ends with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from benchmarks.workloads.base import Found, Place, Workload


def measure(workload: Workload, place: Place) -> Found:
    """What was found; ``failed`` says why nothing was."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, workload.run, place))
    process.start()
    theirs.close()
    try:
        return _answer(ours, workload.patience)
    finally:
        _end_group(process.pid)
        process.join()


def _answer(end: Connection, patience: float) -> Found:
    if not end.poll(patience):
        return {"failed": f"it was given up after {patience:g} s"}
    try:
        found: Found = end.recv()
    except EOFError:
        return {"failed": "its process died"}
    return found


def _work(end: Connection, run: Callable[[Place], Found], place: Place) -> None:
    os.setsid()  # with all the processes that it starts, so that they end together
    logging.getLogger().addHandler(logging.NullHandler())  # what peers log is not asked for
    try:
        found = run(place)
    except BaseException as error:
        traceback.print_exc(file=sys.stderr)
        found = {"failed": f"{type(error).__name__}: {error}"}
    end.send(found)
    os._exit(0)  # threads that still wait for a lease are not waited for


def _end_group(pid: int | None) -> None:
    assert pid is not None
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all of them are gone already
