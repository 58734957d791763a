"""``lease-actors demo``: what a lease does, in some seconds, on a database that is thrown away."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lease_actors.capabilities import Claimer
from lease_actors.clock import SystemClock
from lease_actors.errors import LeasePinned
from lease_actors.held import ClaimFuture
from lease_actors.lease import Lease
from lease_actors.manager import Manager

_LEASE = "printer"
_NAMESPACE = "demo"
_SHORT, _LONG = 2.0, 30.0
_PATIENCE = 30.0

_ANN = f"""
import sys, time
from lease_actors import Manager
manager = Manager.open(sys.argv[1])
lease = manager.claimer({_NAMESPACE!r}).claim({_LEASE!r}, "ann", {_SHORT}, wait=None)
print(lease.term, flush=True)
time.sleep(60)
"""


class _Story:
    """Prints what happens, with the seconds since the beginning."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._clock = SystemClock()
        self._began = self._clock.steady()
        self._lock = threading.Lock()

    def chapter(self, title: str) -> None:
        with self._lock:
            print(f"\n{title}", file=self._out, flush=True)

    def tell(self, who: str, what: str) -> None:
        with self._lock:
            seconds = (self._clock.steady() - self._began) / 1e6
            print(f"  {seconds:5.2f} s  {who:<7} {what}", file=self._out, flush=True)

    def has(self, lease: Lease) -> None:
        self.tell(lease.holder, f"has it now, under term {lease.term}")


def run(out: TextIO | None = None) -> int:
    """Play it; 0 when all went as told."""
    story = _Story(out or sys.stdout)
    with tempfile.TemporaryDirectory(prefix="lease-actors-demo-") as folder:
        url = f"sqlite:///{Path(folder) / 'leases.db'}"
        with Manager.open(url) as manager:
            _play(story, manager, url)
    story.chapter("That was all. In a program: Manager.open(url).claimer(namespace).claim(…)")
    return 0


def _play(story: _Story, manager: Manager, url: str) -> None:
    claimer = manager.claimer(_NAMESPACE)
    story.chapter(f"Three contenders for one lease, {_LEASE!r}: ann, bob and cyd")
    with _process_of_ann(url) as ann:
        assert ann.stdout is not None
        term = ann.stdout.readline().strip()
        story.tell("ann", f"has it, under term {term}, for {_SHORT:g} s; a process of its own")
        bob, cyd = (_queue(story, manager, claimer, name) for name in ("bob", "cyd"))

        story.chapter("A crash: ann's process is killed; when its time is over, bob is next")
        ann.kill()
        story.tell("ann", "was killed, and has told nobody")
        story.has(bob.get(timeout=_PATIENCE))

    story.chapter("A hand-over: bob gives it up, and cyd has it in the same moment")
    manager.revoker(_NAMESPACE).revoke(_LEASE, "bob")
    story.tell("bob", "has given it up")
    story.has(cyd.get(timeout=_PATIENCE))

    story.chapter("A pin: as long as it is pinned, it neither expires nor is revoked")
    _pin(story, manager, claimer)


@contextmanager
def _process_of_ann(url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", _ANN, url], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _queue(story: _Story, manager: Manager, claimer: Claimer, who: str) -> ClaimFuture:
    future = claimer.claim_future(_LEASE, who, _LONG)
    # Operations are in one line: once another of ours is answered, this one is in the queue.
    claimer.claim(f"{_LEASE}-{who}", who, _SHORT)
    story.tell(who, f"waits, number {len(manager.reader(_NAMESPACE).waiting(_LEASE))}")
    return future


def _pin(story: _Story, manager: Manager, claimer: Claimer) -> None:
    with manager.pinner(_NAMESPACE).pinning(_LEASE, "upgrade"):
        story.tell("upgrade", "has pinned it")
        try:
            manager.revoker(_NAMESPACE).revoke(_LEASE, "cyd")
        except LeasePinned as error:
            story.tell("revoker", str(error))
    lease = claimer.claim(_LEASE, "cyd", _LONG)
    left = lease.remaining().total_seconds()
    story.tell("upgrade", f"is over: cyd has it for {left:.0f} s again")
