"""Work under a lease: an unguarded counter, and a record of all that was asked and answered."""

from __future__ import annotations

import fcntl
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from lease_actors import Lease, LeaseError, LeaseLost, Manager
from lease_actors.clock import to_instant
from lease_actors.stores.base import StorePassing

L = TypeVar("L", bound=Lease)

NS = "ns"
LEASE = "counter"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """That file, locked against other processes and threads; the lock dies with its process."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_counter(folder: Path) -> int:
    """How far it is."""
    try:
        return int((folder / "counter").read_text() or 0)
    except FileNotFoundError:
        return 0


class Record:
    """A file of its own, a line an event. What is written stays, even if its process is killed."""

    def __init__(self, path: Path, who: str) -> None:
        self._who = who
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, what: str, **fields: Any) -> None:
        line = json.dumps({"who": self._who, "what": what, **fields})
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Worker(threading.Thread):
    """Claims, counts a few steps on, gives the lease back or lets it expire; again and again.

    Each step is made under a lock of the worker's own. Whoever stops, kills or revokes takes that
    lock first: no library can keep a process from being stopped between its last look at
    the deadline and its write, and that is not what is tested. Everywhere else it may happen.
    """

    def __init__(
        self,
        manager: Manager,
        folder: Path,
        name: str,
        *,
        duration: float,
        steps: int,
        seed: int,
        hold: bool = False,
    ) -> None:
        super().__init__(name=f"worker {name}", daemon=True)
        self._manager, self._folder, self._name = manager, folder, name
        self._duration, self._steps = duration, steps
        self._turn = self._turn_of_hold if hold else self._turn_of_claim
        self._random = random.Random(seed)
        self._record = Record(folder / f"{name}.history", name)
        self._ending = threading.Event()
        self._asked = 0
        self.error: BaseException | None = None
        self.start()

    def finish(self) -> None:
        """Come to an end with the turn that is under way."""
        self._ending.set()

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        if self.error is not None:
            raise self.error

    def run(self) -> None:
        try:
            while not self._ending.is_set():
                self._turn()
        except BaseException as error:
            self.error = error
        finally:
            self._record.close()

    def _now(self) -> int:
        """The store's time, as soon as it can be had: its server may be away."""
        tick = threading.Event()
        while True:
            try:
                return self._manager._config.store.now()
            except StorePassing:
                tick.wait(0.05)

    def _ask(self, claim: Callable[[], L]) -> L | None:
        """Claim; None if a store was away: nothing may be inferred."""
        self._asked += 1
        self._record("asked", ask=self._asked, at=self._now())
        try:
            return claim()
        except LeaseError as error:
            self._record("failed", ask=self._asked, error=type(error).__name__)
            return None

    def _turn_of_hold(self) -> None:
        """A block that asks nobody but its own clock whether it holds the lease."""
        hold = self._manager.claimer(NS).hold(LEASE, self._name, self._duration, wait=60)
        lease = self._ask(hold.__enter__)
        if lease is None:
            return
        # Of its expiry nothing is written down: it is given back as soon as its deadline has passed.
        at = to_instant(lease.granted_at)
        self._record("granted", ask=self._asked, term=lease.term, granted_at=at, expiry=at)
        try:
            for _ in range(self._random.randint(1, self._steps)):
                if not self._step(lease, lease.check):
                    break
            self._record("releasing", term=lease.term, at=self._now())
        finally:
            with suppress(LeaseLost):
                hold.__exit__(None, None, None)

    def _turn_of_claim(self) -> None:
        claimer = self._manager.claimer(NS)
        lease = self._ask(lambda: claimer.claim(LEASE, self._name, self._duration, wait=60))
        if lease is None:
            return
        granted_at, expiry = to_instant(lease.granted_at), to_instant(lease.expiry)
        self._record(
            "granted", ask=self._asked, term=lease.term, granted_at=granted_at, expiry=expiry
        )
        check = self._manager.checker(NS).token(LEASE, self._name).check
        for _ in range(self._random.randint(1, self._steps)):
            if not self._step(lease, check):
                return
        to_release = self._random.random() < 0.97
        if to_release:
            self._record("releasing", term=lease.term, at=self._now())
        try:
            if to_release:
                self._manager.revoker(NS).revoke(LEASE, self._name)
            else:  # left to expire; to claim at once would extend it
                self._manager.claimer(NS).wait_until_expired(LEASE, timeout=10)
        except LeaseError:
            pass  # it has ended otherwise, or will

    def _step(self, lease: Lease, check: Callable[[], None]) -> bool:
        """One step, if the lease stands and there is time enough; False otherwise."""
        with locked(self._folder / f"{self._name}.lock"):
            now = self._now()
            try:
                check()
            except LeaseError:
                return False
            self._record("stood", term=lease.term, at=now)
            if lease.remaining().total_seconds() < self._duration / 2:
                return False
            counted = read_counter(self._folder)
            (self._folder / "counter").write_text(str(counted + 1))
            self._record("counted", term=lease.term, to=counted + 1)
            return True
