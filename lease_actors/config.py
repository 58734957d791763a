"""What a manager is made of."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from opentelemetry import trace
from prometheus_client import CollectorRegistry

from lease_actors.clock import Clock, SystemClock
from lease_actors.durations import Duration, as_timedelta
from lease_actors.errors import NotValid
from lease_actors.secretaries import Secretaries, SecretaryFinder
from lease_actors.stores.base import Store

__all__ = ["MAX_SLEEP", "ManagerConfig"]

MAX_SLEEP = timedelta(minutes=1)
"""The longest a manager sleeps before it looks again. It wakes earlier for what is due earlier."""


def _tracer() -> trace.Tracer:
    return trace.get_tracer("lease_actors")


def _logger() -> logging.Logger:
    return logging.getLogger("lease_actors")


@dataclass(frozen=True, kw_only=True)
class _Options:
    secretary_finder: SecretaryFinder = field(default_factory=Secretaries)
    tracer: trace.Tracer = field(default_factory=_tracer)
    logger: logging.Logger = field(default_factory=_logger)
    clock: Clock = field(default_factory=SystemClock)
    max_sleep: Duration = MAX_SLEEP
    entity_uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    log_dir: str | os.PathLike[str] | None = None
    prometheus_registerer: CollectorRegistry | None = None
    call_timeout: Duration = 30
    attempt_timeout: Duration = 5
    offer_window: Duration = 5


@dataclass(frozen=True)
class ManagerConfig(_Options):
    """The resources and settings of a manager. Durations: a ``timedelta`` or seconds.

    ``secretary_finder`` finds who validates the names of a namespace; ``store`` keeps the leases;
    ``tracer`` is an OpenTelemetry tracer; ``clock`` tells the time; ``max_sleep`` bounds the time
    between two looks; ``entity_uuid`` labels logs and reports; ``log_dir`` is where a dump goes if
    the stop takes too long; ``prometheus_registerer`` gets the metrics. ``call_timeout`` bounds
    every answer, ``attempt_timeout`` each transaction, ``offer_window`` is how long an offered
    lease waits for its process to confirm.
    """

    store: Store

    def validate(self) -> None:
        """Raise ``NotValid`` for the first field that is missing or wrong."""
        _need(self.secretary_finder, SecretaryFinder, "secretary_finder")
        _need(self.store, Store, "store")
        _need_method(self.tracer, "start_span", "tracer", "an OpenTelemetry Tracer")
        _need(self.logger, logging.Logger, "logger")
        _need(self.clock, Clock, "clock")
        _need_duration(self.max_sleep, "max_sleep")
        if not isinstance(self.entity_uuid, str) or not self.entity_uuid:
            raise _wrong("entity_uuid", self.entity_uuid, "a non-empty str")
        self._validate_log_dir()
        if self.prometheus_registerer is not None:
            _need(self.prometheus_registerer, CollectorRegistry, "prometheus_registerer")
        _need_duration(self.call_timeout, "call_timeout")
        _need_duration(self.attempt_timeout, "attempt_timeout")
        _need_duration(self.offer_window, "offer_window")

    def _validate_log_dir(self) -> None:
        if self.log_dir is None:
            return
        if not isinstance(self.log_dir, str | os.PathLike):
            raise _wrong("log_dir", self.log_dir, "a path")
        if not Path(self.log_dir).is_dir():
            raise _wrong("log_dir", self.log_dir, "an existing directory")


def _need(value: object, kind: type, name: str) -> None:
    if not isinstance(value, kind) or isinstance(value, type):
        raise _wrong(name, value, f"a {kind.__name__}")


def _need_method(value: object, method: str, name: str, what: str) -> None:
    check: Callable[..., Any] | None = getattr(value, method, None)
    if not callable(check):
        raise _wrong(name, value, what)


def _need_duration(value: Any, name: str) -> None:
    duration = as_timedelta(value)
    if duration is None or not timedelta(0) < duration <= timedelta(days=366):
        raise _wrong(name, value, "a duration over zero and of at most 366 days")


def _wrong(name: str, value: object, what: str) -> NotValid:
    if value is None:
        return NotValid(f"the manager's configuration has no {name} (it needs {what})")
    return NotValid(f"the manager's configuration has a wrong {name}: {value!r} is not {what}")
