"""A scheduled job that one process at a time runs, however many have it in their schedule."""

from __future__ import annotations

import functools
import inspect
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Literal, ParamSpec, TypeVar

from lease_actors.capabilities import Claimer
from lease_actors.durations import Duration, as_timedelta
from lease_actors.errors import ClaimDenied, NotValid

__all__ = ["only_one"]

P = ParamSpec("P")
T = TypeVar("T")

Otherwise = Literal["skip", "wait", "raise"]

_HOST = 100
"""So many characters of the host's name go into a holder's, which has room for 255."""


def only_one(
    claimer: Claimer,
    name: str,
    duration: Duration,
    at_least: Duration = 0,
    otherwise: Otherwise = "skip",
) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Decorate a job: of all calls under this name, in whatever process, one runs at a time.

    The lease ``name`` is held while the job runs, however long that takes, and is free again
    within ``duration`` if its process dies (within the longer of the two, with ``at_least``). It
    stays taken for ``at_least`` from the start of the run, even if the job was quicker, or
    failed, or the process has ended by then: a process whose schedule comes a little later does
    not run the job again.

    While another call has it: ``skip`` returns None, ``wait`` waits for its turn, ``raise``
    raises ``ClaimDenied``. Otherwise the job's value is returned, or what it raised is raised.
    ``LeaseLost`` says that the job has run, but was not alone for certain to its end. (A manager
    that is stopped meanwhile waits for the job, up to 55 s, and takes nothing from it.)

    Durations are ``timedelta`` or seconds. Raises ``NotValid`` for a job that only starts when it
    is called (a coroutine, a generator), and for arguments that are wrong.
    """
    least = as_timedelta(at_least)
    whole = as_timedelta(duration)
    if least is None or least < timedelta(0):
        raise _wrong(name, f"at_least={at_least!r} is neither zero nor a duration")
    if otherwise not in ("skip", "wait", "raise"):
        raise _wrong(name, f"otherwise={otherwise!r} is not 'skip', 'wait' or 'raise'")
    # A tenure ends at its expiry at the latest: it has to be as long as it must be kept. (What is
    # no duration over zero goes to the secretary as it is, and is refused there.)
    kept_for = least if whole is not None and timedelta(0) < whole < least else duration
    wait = None if otherwise == "wait" else 0

    def decorate(job: Callable[P, T]) -> Callable[P, T | None]:
        _refuse_what_only_starts(name, job)

        @functools.wraps(job)
        def run(*args: P.args, **kwargs: P.kwargs) -> T | None:
            hold = claimer.hold(name, _new_holder(), kept_for, wait=wait)
            with ExitStack() as stack:
                try:
                    lease = stack.enter_context(hold)
                except ClaimDenied:
                    if otherwise == "raise":
                        raise
                    return None
                try:
                    value = job(*args, **kwargs)
                    # Once it is released, nothing tells any more that it was lost. A manager that
                    # stops says so of every lease, but gives none away while its block runs.
                    if not hold.keeps():
                        lease.check()
                    return value
                finally:
                    lease.release(at=lease.granted_at + least if least else None)

        return run

    return decorate


def _new_holder() -> str:
    """A name for one run: two runs are two contenders, in one process, too."""
    host = "".join(socket.gethostname().split())[:_HOST]
    return f"{host}/{os.getpid()}/{uuid.uuid4().hex[:12]}"


def _refuse_what_only_starts(name: str, job: Any) -> None:
    if not callable(job):
        raise _wrong(name, f"{job!r} cannot be called")
    for starts in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        if starts(job):
            raise _wrong(name, f"{job!r} returns before it has run (call it within a function)")


def _wrong(name: str, why: str) -> NotValid:
    return NotValid(f"cannot run job {name!r} only once: {why}")
