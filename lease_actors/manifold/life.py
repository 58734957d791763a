"""One life of one worker, from the call of its ``start`` to the end of its ``wait``.

Two daemon threads see it through: one starts the worker and waits for its death, the other
stands by to kill it. Both are there from the beginning, because a stop may come when the
interpreter starts no threads any more; and no code of a worker ever runs on the engine's own
thread, so that a worker which hangs or raises, in whatever it was asked, harms only itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lease_actors.clock import Signal
from lease_actors.errors import NotValid
from lease_actors.manifold.worker import Manifold, Worker

__all__ = ["Ended", "Life", "LifeNews", "Unkillable", "Up", "Useless"]


@dataclass(frozen=True, slots=True, eq=False)
class Up:
    """The worker was started, and this is its output."""

    life: Life
    output: Any


@dataclass(frozen=True, slots=True, eq=False)
class Useless:
    """The worker was started, but its ``output`` raised: it is being killed."""

    life: Life
    error: BaseException


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """It is over, or never began. ``error``: why, or None if ``wait`` raised nothing."""

    life: Life
    error: BaseException | None


@dataclass(frozen=True, slots=True, eq=False)
class Unkillable:
    """``kill`` raised; whether the worker will end, nobody knows."""

    life: Life
    error: BaseException


LifeNews: TypeAlias = Up | Useless | Ended | Unkillable


class Life:
    """One life. ``tell`` learns what becomes of it: ``Ended`` at last, always."""

    def __init__(
        self,
        name: str,
        manifold: Manifold,
        inputs: Mapping[str, Any],
        tell: Callable[[LifeNews], None],
    ) -> None:
        self.name = name
        self._manifold = manifold
        self._inputs = inputs
        self._tell = tell
        self._worker: Worker | None = None
        self._decided = Signal()  # there is a worker, or there will be none
        self._end = Signal()
        self._over = False

    def begin(self) -> None:
        """Start it; what fails, be it for want of a thread, is told as ``Ended``."""
        try:
            self._thread("end", self._stand_by)
            self._thread("run", self._live)
        except RuntimeError as error:
            self._nothing_came_of_it(error)

    def end(self) -> None:
        """Have the worker killed: now, or as soon as a ``start`` under way returns it."""
        self._end.set()

    def _thread(self, what: str, target: Callable[[], None]) -> None:
        name = f"lease-engine-{self.name}-{what}"
        threading.Thread(target=target, name=name, daemon=True).start()

    # on the thread that runs it

    def _live(self) -> None:
        # BaseException, here and below: a SystemExit out of a worker is a death like any other.
        try:
            worker = _worker(self.name, self._manifold.start(self._get))
        except BaseException as error:
            self._nothing_came_of_it(error)
            return
        self._worker = worker
        self._decided.set()
        self._put_up(worker)
        died_of = _death(worker)
        self._over = True
        self._tell(Ended(self, died_of))
        self._end.set()  # lets the other thread go

    def _put_up(self, worker: Worker) -> None:
        output = self._manifold.output
        try:
            offered = worker if output is None else output(worker)
        except BaseException as error:
            self._end.set()
            self._tell(Useless(self, error))
        else:
            self._tell(Up(self, offered))

    def _nothing_came_of_it(self, error: BaseException) -> None:
        self._decided.set()
        self._end.set()
        self._tell(Ended(self, error))

    def _get(self, name: str) -> Any:
        try:
            return self._inputs[name]
        except KeyError:
            known = ", ".join(repr(one) for one in self._inputs) or "none"
            raise NotValid(
                f"worker {self.name!r} asks for {name!r}, which is not one of its inputs: {known}"
            ) from None

    # on the thread that stands by

    def _stand_by(self) -> None:
        self._end.wait()
        self._decided.wait()
        if self._worker is None or self._over:
            return
        try:
            self._worker.kill()
        except BaseException as error:
            self._tell(Unkillable(self, error))


def _worker(name: str, started: object) -> Worker:
    if isinstance(started, Worker):
        return started
    raise NotValid(f"start of worker {name!r} returned {started!r}, which has no kill and wait")


def _death(worker: Worker) -> BaseException | None:
    """Wait for its end; what it died of, if anything."""
    try:
        worker.wait()
    except BaseException as error:
        return error
    return None
