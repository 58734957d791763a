"""Workers that do as they are told, an engine that runs them, and a record of what happened.

The engine's log records are its signals: each is written when the state it tells of is there.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from lease_actors.manifold import DependencyEngine, Manifold
from lease_actors.manifold.worker import GetInput
from lease_actors.testing.clock import FakeClock

PATIENCE = 10.0
_numbers = itertools.count()


class Player:
    """A worker. ``die`` ends it; so does ``kill``, unless told to linger."""

    def __init__(self, stage: Stage, name: str, inputs: dict[str, Any]) -> None:
        self.stage = stage
        self.name = name
        self.inputs = inputs
        self.lingers = False
        self.kill_raises: BaseException | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()

    def kill(self) -> None:
        self.stage.note("kill", self.name)
        if self.kill_raises is not None:
            raise self.kill_raises
        if not self.lingers:
            self.die()

    def die(self, error: BaseException | None = None) -> None:
        self._error = error
        self._over.set()

    def wait(self, timeout: float | None = None) -> None:
        if not self._over.wait(timeout):
            raise TimeoutError
        self.stage.note("over", self.name)
        if self._error is not None:
            raise self._error


class _Signals(logging.Handler):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        if "worker" in vars(record):
            self._stage.note(vars(record)["action"], vars(record)["worker"])


class Stage:
    """Everything one test needs. ``leave`` stops it all."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.rng = random.Random(7)
        self.manifolds: dict[str, Manifold] = {}
        self.players: dict[str, list[Player]] = {}
        self.history: list[tuple[str, str]] = []
        self.engine: DependencyEngine
        self._noted = threading.Condition()
        self.logger = logging.getLogger(f"lease-stage-{next(_numbers)}")
        self.logger.setLevel(logging.DEBUG)
        self.logger.addHandler(_Signals(self))

    def add(
        self,
        name: str,
        *inputs: str,
        before: Callable[[], object] = lambda: None,
        output: Callable[[Player], Any] | None = None,
    ) -> None:
        """A player of that name; ``before`` runs in its ``start``, on which it may wait or fail."""
        self.players[name] = []

        def start(get: GetInput) -> Player:
            self.note("start", name)
            before()
            player = Player(self, name, {one: get(one) for one in inputs})
            self.players[name].append(player)
            return player

        self.manifolds[name] = Manifold(inputs, start, output)

    def run(self, backoff: float = 1.0) -> DependencyEngine:
        """Start the engine."""
        self.engine = DependencyEngine(
            self.manifolds, backoff=backoff, clock=self.clock, logger=self.logger, rng=self.rng
        )
        return self.engine

    def up(self, *names: str, times: int = 1) -> None:
        """Return when they have come up that often."""
        for name in names:
            self.until("worker-started", name, times)

    def until(self, what: str, name: str, times: int = 1) -> None:
        """Return when that has happened, that often."""
        with self._noted:
            happened = self._noted.wait_for(
                lambda: self.history.count((what, name)) >= times, PATIENCE
            )
        assert happened, f"no {what} of {name} (x{times}) in {self.history}"

    def until_any(self, what: str, *names: str) -> str:
        """Return the first of them to whom that has happened."""

        def happened() -> list[str]:
            return [name for kind, name in self.history if kind == what and name in names]

        with self._noted:
            assert self._noted.wait_for(happened, PATIENCE), f"no {what} in {self.history}"
        return happened()[0]

    def times(self, what: str, name: str) -> int:
        return self.history.count((what, name))

    def order(self, what: str) -> list[str]:
        """Whom it happened to, in order."""
        return [name for kind, name in self.history if kind == what]

    def player(self, name: str) -> Player:
        """The latest of that name."""
        return self.players[name][-1]

    def state(self, name: str) -> str:
        state = self.engine.report()[name]["state"]
        assert isinstance(state, str)
        return state

    def delay(self, name: str) -> float:
        """So many seconds, to two digits, until it is started again."""
        return float(self.state(name).removeprefix("restarting in ").removesuffix("s"))

    def pass_delay(self, name: str) -> None:
        """Let the delay go by, and nothing more."""
        self.clock.advance(self.delay(name) + 0.01)

    def note(self, what: str, name: str) -> None:
        with self._noted:
            self.history.append((what, name))
            self._noted.notify_all()

    def leave(self) -> None:
        if hasattr(self, "engine"):
            self.engine.kill()
            for player in itertools.chain(*self.players.values()):
                if player.lingers or player.kill_raises is not None:
                    player.die()
            self.engine.wait(PATIENCE)
