"""A process of its own that uses a manager as it is told: a request a line comes in, what became of
it a line each goes out.

``{"id": 1, "call": "claim", …}`` is answered by ``{"id": 1, "value": …}`` or ``{"id": 1, "error":
[kind, message]}``; in between ``{"id": 1, "told": "blocked"}`` says that it is queued. Requests run on
threads of their own, so that any number can wait. At the end of its input the program ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes.work import Worker

from lease_actors import Lease, Manager, ManagerConfig, SqlStore
from lease_actors.clock import to_instant

NS = "ns"

Tell = Callable[[str], None]


class Program:
    """What can be asked for, a method each."""

    def __init__(self) -> None:
        self._manager: Manager | None = None
        self._workers: list[Worker] = []
        self._out = threading.Lock()

    def serve(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            threading.Thread(target=self._answer, args=(request,), daemon=True).start()

    def _answer(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        call = getattr(self, request.pop("call"))
        try:
            value = call(lambda what: self._say(id=number, told=what), **request)
        except Exception as error:
            self._say(id=number, error=[type(error).__name__, str(error)])
        else:
            self._say(id=number, value=value)

    def _say(self, **said: Any) -> None:
        with self._out:
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()

    # -- the manager ---------------------------------------------------------------------

    def open(self, tell: Tell, url: str, table_prefix: str, **fields: Any) -> None:
        # No power failure is survived here, so no test waits for the disk.
        store = SqlStore(url, table_prefix=table_prefix, create_schema=True, synchronous="OFF")
        self._manager = Manager(ManagerConfig(store, **fields))

    def close(self, tell: Tell) -> None:
        manager, self._manager = self._manager, None
        self._workers.clear()
        if manager is not None:
            manager.kill()
            manager.wait()

    @property
    def manager(self) -> Manager:
        assert self._manager is not None
        return self._manager

    # -- what a user does ----------------------------------------------------------------

    def claim(
        self,
        tell: Tell,
        lease: str,
        holder: str,
        duration: float,
        wait: float | None = 0,
    ) -> dict[str, Any]:
        claimer = self.manager.claimer(NS)
        if wait == 0:
            return shown(claimer.claim(lease, holder, duration))
        future = claimer.claim_future(lease, holder, duration, wait=wait)
        tick = threading.Event()
        while not (future.blocked or future.is_settled):
            tick.wait(0.001)
        if future.blocked:
            tell("blocked")
        return shown(future.get())

    def claim_many(self, tell: Tell, lease: str, count: int, duration: float) -> None:
        """Queue so many claims, each for a holder of its own; they stay in the queue."""
        claimer = self.manager.claimer(NS)
        futures = [
            claimer.claim_future(lease, f"{os.getpid()}-{n}", duration) for n in range(count)
        ]
        tick = threading.Event()
        while not all(future.blocked for future in futures):
            tick.wait(0.001)

    def revoke(self, tell: Tell, lease: str, holder: str) -> None:
        self.manager.revoker(NS).revoke(lease, holder)

    def check(self, tell: Tell, lease: str, holder: str) -> None:
        self.manager.checker(NS).token(lease, holder).check()

    def pin(self, tell: Tell, lease: str, entity: str) -> None:
        self.manager.pinner(NS).pin(lease, entity)

    def unpin(self, tell: Tell, lease: str, entity: str) -> None:
        self.manager.pinner(NS).unpin(lease, entity)

    def wait_until_expired(self, tell: Tell, lease: str, timeout: float | None = None) -> None:
        started = threading.Event()

        def say() -> None:
            started.wait()
            tell("blocked")

        threading.Thread(target=say, daemon=True).start()
        try:
            self.manager.claimer(NS).wait_until_expired(lease, timeout=timeout, started=started)
        finally:
            started.set()

    def get(self, tell: Tell, lease: str) -> dict[str, Any] | None:
        found = self.manager.reader(NS).get(lease)
        return None if found is None else shown(found)

    def waiting(self, tell: Tell, lease: str) -> list[str]:
        return [w.holder for w in self.manager.reader(NS).waiting(lease)]

    def now(self, tell: Tell) -> int:
        return self.manager._config.store.now()

    def report(self, tell: Tell) -> dict[str, Any]:
        return self.manager.report()

    # -- work under a lease --------------------------------------------------------------

    def work(self, tell: Tell, folder: str, name: str, **fields: Any) -> None:
        """Begin to work; ``rest`` ends it."""
        self._workers.append(Worker(self.manager, Path(folder), name, **fields))

    def rest(self, tell: Tell) -> None:
        for worker in self._workers:
            worker.finish()
        for worker in self._workers:
            worker.join()


def shown(lease: Lease) -> dict[str, Any]:
    """A lease as it is told."""
    return {
        "holder": lease.holder,
        "term": lease.term,
        "granted_at": to_instant(lease.granted_at),
        "expiry": to_instant(lease.expiry),
        "remaining": lease.remaining().total_seconds(),
    }


if __name__ == "__main__":
    Program().serve()
