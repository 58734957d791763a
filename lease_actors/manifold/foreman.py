"""The actor under a dependency engine: it alone moves the roster, message after message.

What happens (a worker is up, or ended; a delay is over; stop) is put into a queue of its own,
and the actor is only told to look. So nothing is lost if the actor is stopped behind our back:
its thread goes on reading the queue, after Pykka's loop has ended, until every worker has been
stopped. A stop therefore needs no other thread, which no longer could be had at the
interpreter's exit.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import pykka

from lease_actors.actors.alarm import Alarm
from lease_actors.actors.base import LeaseActor, join, tell
from lease_actors.clock import Clock
from lease_actors.errors import ManagerStopped
from lease_actors.manifold.life import Ended, Life, LifeNews, Unkillable, Up, Useless
from lease_actors.manifold.roster import Roster
from lease_actors.manifold.worker import Manifold
from lease_actors.observability.logging import SafeLog

__all__ = ["Foreman"]

_log = SafeLog(logging.getLogger(__name__))

_EXIT_GRACE = 3.0


@dataclass(frozen=True, slots=True)
class _Open:
    pass


@dataclass(frozen=True, slots=True)
class _Due:
    name: str
    due: int


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


_News: TypeAlias = LifeNews | _Open | _Due | _Stop


@dataclass(frozen=True, slots=True)
class _Look:
    """There is news."""


class _EngineActor(LeaseActor):
    def __init__(self, foreman: Foreman) -> None:
        super().__init__()
        self._foreman = foreman

    def thread_name(self) -> str:
        return "lease engine"

    def on_receive(self, message: object) -> None:
        self._foreman.work()
        if self._foreman.roster.finished:
            self.stop()

    def on_gone(self) -> None:
        self._foreman.finish()
        super().on_gone()


class Foreman:
    """Does what the roster asks for, and tells it what came of it.

    ``over`` is set when everything has stopped; ``failure`` is then what stopped it, or None if
    that was ``stop``.
    """

    def __init__(
        self,
        manifolds: Mapping[str, Manifold],
        *,
        backoff: int,
        clock: Clock,
        logger: logging.Logger,
        rng: random.Random,
    ) -> None:
        self.roster = Roster(manifolds, self, backoff=backoff, clock=clock, logger=logger, rng=rng)
        self.over = threading.Event()
        self.failure: BaseException | None = None
        self._manifolds = manifolds
        self._pid = os.getpid()
        self._told_to_stop = False
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._alarm = Alarm(clock, "lease engine alarm")
        self._actor: pykka.ActorRef[_EngineActor] = _EngineActor.start(self)
        # Called first at the interpreter's exit, if nothing else is registered after it. The
        # other one is there for good: whatever is registered during the exit is not called.
        self._first_at_exit = partial(self._at_exit)
        atexit.register(self._at_exit)
        atexit.register(self._first_at_exit)
        self._post(_Open())

    # from any thread

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child: nothing of the engine runs here."""
        return self._pid != os.getpid()

    def stop(self) -> None:
        """Stop everything, and return at once."""
        self._told_to_stop = True
        self._post(_Stop())

    def join(self, timeout: float) -> None:
        """Wait a moment for the threads, when everything is over."""
        join(self._actor, timeout)
        self._alarm.join(timeout)

    def _post(self, news: _News) -> None:
        self._news.put(news)
        tell(self._actor, _Look())

    # what the roster asks for, on the actor's thread

    def begin(self, name: str, inputs: Mapping[str, Any]) -> Life:
        life = Life(name, self._manifolds[name], inputs, self._post)
        life.begin()
        return life

    def remind(self, name: str, due: int) -> None:
        self._alarm.at(due, lambda: self._post(_Due(name, due)))

    # on the actor's thread

    def work(self) -> None:
        """Handle all there is."""
        while True:
            try:
                news = self._news.get_nowait()
            except queue.Empty:
                return
            self._safely(news)

    def finish(self) -> None:
        """The actor has ended: because all is done, or before that, and then it is done here."""
        if not self._told_to_stop and self.failure is None:
            self.failure = ManagerStopped("the dependency engine was stopped from outside")
        self._safely(_Stop())
        while not self.roster.finished:
            self._safely(self._news.get())
        self._alarm.close()
        atexit.unregister(self._first_at_exit)
        atexit.unregister(self._at_exit)
        self.over.set()

    def _safely(self, news: _News) -> None:
        try:
            self._handle(news)
        except Exception as error:
            _log.exception("the dependency engine failed, and stops its workers")
            self.failure = self.failure or error
            self._give_up()

    def _handle(self, news: _News) -> None:
        match news:
            case _Open():
                self.roster.open()
            case Up(life, output):
                self._be_first_at_exit()
                self.roster.up(life, output)
            case Useless(life, fault):
                self.roster.useless(life, fault)
            case Ended(life, error):
                self.roster.ended(life, error)
            case Unkillable(life, unkilled_by):
                self.roster.unkillable(life, unkilled_by)
            case _Due(name, due):
                self.roster.due(name, due)
            case _Stop():
                self.roster.stop()

    def _give_up(self) -> None:
        """Stop in order, if that can be; else without order, waiting for nobody."""
        try:
            if not self.roster.stopping:
                self.roster.stop()
                return
        except Exception:
            _log.exception("the dependency engine cannot stop its workers in order")
        self.roster.abandon()

    # at the interpreter's exit

    def _be_first_at_exit(self) -> None:
        """Be the last to have registered, so the first to be called.

        A manager among the workers has registered its own end. If that came first, the engine
        would take it for a death, and bring up another manager in the middle of the exit.
        """
        atexit.unregister(self._first_at_exit)
        atexit.register(self._first_at_exit)

    def _at_exit(self) -> None:
        if not self.inherited:
            self.stop()
            self.over.wait(_EXIT_GRACE)
