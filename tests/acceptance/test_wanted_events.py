"""An event that nobody wants is not made: without an SDK, a registry, a debug log it costs nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from support.faults import FaultyStore, raises
from support.managers import managing

from lease_actors import ClaimDenied, Manager, MemoryStore, StoreError
from lease_actors.observability import events
from lease_actors.testing.clock import FakeClock

QUIET = logging.getLogger("tests.wanted")

EACH_TIME = (
    "Call",
    "CallBegan",
    "CallEnded",
    "BatchBegan",
    "BatchEnded",
    "TenureBegan",
    "TenureEnded",
    "Gauges",
)
"""What there is to be told of every call and every batch."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the events that were made."""
    names: list[str] = []

    def count(kind: type[Any]) -> None:
        make = kind.__init__

        def counting(self: Any, *args: Any, **fields: Any) -> None:
            names.append(kind.__name__)
            make(self, *args, **fields)

        monkeypatch.setattr(kind, "__init__", counting)

    for name in EACH_TIME:
        count(getattr(events, name))
    return names


@pytest.fixture(autouse=True)
def quiet() -> None:
    QUIET.setLevel(logging.WARNING)


def use(manager: Manager) -> None:
    manager.claimer("ns").claim("app", "me", 60)
    manager.revoker("ns").revoke("app", "me")


def test_nobody_is_listening_and_nothing_is_made(clock: FakeClock, made: list[str]) -> None:
    with managing(MemoryStore(), clock, logger=QUIET) as manager:
        use(manager)

    assert made == []


def test_with_a_registry_all_is_made_that_metrics_are_of(clock: FakeClock, made: list[str]) -> None:
    with managing(
        MemoryStore(), clock, logger=QUIET, prometheus_registerer=CollectorRegistry()
    ) as manager:
        use(manager)

    assert set(made) == set(EACH_TIME)


def test_with_an_sdk_calls_and_batches_are_made(clock: FakeClock, made: list[str]) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with managing(MemoryStore(), clock, logger=QUIET, tracer=tracer) as manager:
        use(manager)

    assert set(made) == {"Call", "CallBegan", "CallEnded", "BatchBegan", "BatchEnded"}
    spans = sorted(span.name for span in exporter.get_finished_spans())
    assert spans == ["lease.batch", "lease.batch", "lease.claim", "lease.revoke"]


def test_a_log_that_is_set_to_debug_while_the_manager_runs_has_the_tenures_from_then_on(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with managing(MemoryStore(), clock, logger=QUIET) as manager:
        use(manager)
        QUIET.setLevel(logging.DEBUG)
        use(manager)
        QUIET.setLevel(logging.WARNING)

    actions = [getattr(record, "action", None) for record in caplog.records]
    assert actions == ["tenure_began", "tenure_ended"]


def test_a_call_that_fails_is_logged_though_nobody_follows_the_calls(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = FaultyStore()
    with managing(store, clock, logger=QUIET) as manager:
        store.always(raises(OSError("disk full")))
        with pytest.raises(StoreError):
            use(manager)
        store.always(None)

    (record,) = [r for r in caplog.records if getattr(r, "action", None) == "call_failed"]
    assert record.levelno == logging.ERROR
    assert (record.lease_name, record.lease_holder) == ("app", "me")  # type: ignore[attr-defined]


def test_a_claim_denied_is_in_the_debug_log(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    QUIET.setLevel(logging.DEBUG)
    with managing(MemoryStore(), clock, logger=QUIET) as manager:
        claimer = manager.claimer("ns")
        claimer.claim("app", "me", 60)
        with pytest.raises(ClaimDenied):
            claimer.claim("app", "you", 60)

    assert "claim_denied" in [getattr(record, "action", None) for record in caplog.records]
