"""A configuration is refused for its first field that is missing or wrong."""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from prometheus_client import CollectorRegistry

from lease_actors import (
    MAX_SLEEP,
    Clock,
    Manager,
    ManagerConfig,
    MemoryStore,
    NotValid,
    SecretaryFinder,
    SystemClock,
)

BAD_DURATIONS = [0, -1, timedelta(0), timedelta(-1), float("nan"), float("inf"), True, "1", None]
TOO_LONG = timedelta(days=366, microseconds=1)
ORDER = [
    "secretary_finder",
    "store",
    "tracer",
    "logger",
    "clock",
    "max_sleep",
    "entity_uuid",
    "log_dir",
    "prometheus_registerer",
    "call_timeout",
    "attempt_timeout",
    "offer_window",
]


def make(**fields: Any) -> ManagerConfig:
    return ManagerConfig(fields.pop("store", MemoryStore()), **fields)


def refusal(config: ManagerConfig) -> str:
    with pytest.raises(NotValid) as error:
        config.validate()
    with pytest.raises(NotValid) as of_manager:
        Manager(config)
    assert str(of_manager.value) == str(error.value)
    return str(error.value)


def test_store_is_all_that_a_manager_needs() -> None:
    config = make()
    config.validate()
    assert isinstance(config.secretary_finder, SecretaryFinder)
    assert isinstance(config.clock, SystemClock)
    assert isinstance(config.clock, Clock)
    assert isinstance(config.tracer, trace.Tracer)
    assert config.logger is logging.getLogger("lease_actors")
    assert config.max_sleep == MAX_SLEEP
    assert (config.call_timeout, config.attempt_timeout, config.offer_window) == (30, 5, 5)
    assert config.log_dir is None
    assert config.prometheus_registerer is None
    with pytest.raises(TypeError):
        ManagerConfig()  # type: ignore[call-arg]


def test_each_start_has_an_entity_of_its_own() -> None:
    assert make().entity_uuid != make().entity_uuid


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().max_sleep = 5  # type: ignore[misc]


@pytest.mark.parametrize("duration", [0.5, 1, timedelta(seconds=90), timedelta(days=366)])
def test_durations_are_timedeltas_or_seconds(duration: float | timedelta) -> None:
    make(
        max_sleep=duration, call_timeout=duration, attempt_timeout=duration, offer_window=duration
    ).validate()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, None) for field in ("secretary_finder", "store", "tracer", "logger", "clock")),
        *((field, object()) for field in ("secretary_finder", "store", "tracer", "clock")),
        ("store", MemoryStore),  # the class, not one of it
        ("store", "sqlite:///leases.db"),
        ("clock", SystemClock),
        ("logger", "lease_actors"),
        ("logger", logging.LoggerAdapter(logging.getLogger())),
        ("tracer", "a tracer"),
        *(("max_sleep", value) for value in [*BAD_DURATIONS, TOO_LONG]),
        *(("entity_uuid", value) for value in ("", None, 5)),
        *(("log_dir", value) for value in ("/there/is/no/such/directory", 5, __file__)),
        ("prometheus_registerer", "a registry"),
        ("prometheus_registerer", CollectorRegistry),
        *(("call_timeout", value) for value in [*BAD_DURATIONS, TOO_LONG]),
        *(("attempt_timeout", value) for value in [*BAD_DURATIONS, TOO_LONG]),
        *(("offer_window", value) for value in [*BAD_DURATIONS, TOO_LONG]),
    ],
)
def test_wrong_field_is_named(field: str, value: object) -> None:
    message = refusal(make(**{field: value}))
    if value is None:
        assert message.startswith(f"the manager's configuration has no {field} ")
    else:
        assert message.startswith(f"the manager's configuration has a wrong {field}: {value!r} ")


def test_first_wrong_field_is_named() -> None:
    wrong: dict[str, Any] = dict.fromkeys(ORDER, 0)
    named = []
    while wrong:
        message = refusal(make(**wrong))
        field = message.split("a wrong ")[1].split(":")[0]
        named.append(field)
        del wrong[field]
    assert named == ORDER


def test_everything_may_be_given(tmp_path: Path) -> None:
    config = make(
        log_dir=tmp_path,
        prometheus_registerer=CollectorRegistry(),
        entity_uuid="an-entity",
        tracer=trace.NoOpTracer(),
        logger=logging.getLogger("mine"),
    )
    with Manager(config) as manager:
        assert manager.report()["entity-uuid"] == "an-entity"
    make(log_dir=str(tmp_path)).validate()


def test_bad_configuration_starts_nothing() -> None:
    import threading

    before = threading.active_count()
    refusal(make(offer_window=0))
    assert threading.active_count() == before
