"""Spans, as an exporter of the real SDK gets them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracer, ProxyTracer, StatusCode, Tracer

from lease_actors.core.model import Key
from lease_actors.errors import ClaimDenied, NotHeld
from lease_actors.observability.events import (
    BatchBegan,
    BatchEnded,
    Call,
    CallBegan,
    CallEnded,
    HoldLost,
)
from lease_actors.observability.opentelemetry import TracingHook, tracing_hook

KEY = Key("ns", "model", "a-lease")


class Traced:
    """A tracer of the SDK and what it exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("tests")
        self.hook = TracingHook(self.tracer)

    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def one(self) -> ReadableSpan:
        (span,) = self.spans()
        return span

    def begin(self, kind: str = "claim") -> Call:
        call = Call(kind, KEY, "a-holder", began=0)
        self.hook(CallBegan(call))
        return call

    def end(self, call: Call, error: BaseException | None = None) -> None:
        self.hook(CallEnded(call, error, ended=1))

    def batch(self, *calls: Call, error: BaseException | None = None, attempt: int = 1) -> None:
        began = BatchBegan(number=7, attempt=attempt, calls=calls)
        self.hook(began)
        self.hook(BatchEnded(7, attempt, 3, began=0, ended=1, error=error, notes=began.notes))


@pytest.fixture
def traced() -> Traced:
    return Traced()


def in_another_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)


def test_a_call_is_one_span_that_names_the_lease(traced: Traced) -> None:
    traced.end(traced.begin("claim"))

    span = traced.one()
    assert span.name == "lease.claim"
    assert dict(span.attributes or {}) == {
        "lease.namespace": "ns",
        "lease.model": "model",
        "lease.name": "a-lease",
        "lease.holder": "a-holder",
    }
    assert span.status.status_code is StatusCode.UNSET


def test_a_call_is_a_child_of_its_callers_span_wherever_it_ends(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("caller") as caller:
        call = traced.begin()
    in_another_thread(lambda: traced.end(call))

    (span,) = [span for span in traced.spans() if span.name == "lease.claim"]
    assert span.parent is not None
    assert span.parent.span_id == caller.get_span_context().span_id


def test_a_call_does_not_become_the_callers_current_span(traced: Traced) -> None:
    traced.begin()

    assert not trace.get_current_span().get_span_context().is_valid


def test_an_error_is_recorded_and_makes_the_status_error(traced: Traced) -> None:
    traced.end(traced.begin("check"), NotHeld("not yours", key=KEY))

    span = traced.one()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "NotHeld: not yours"
    assert [event.name for event in span.events] == ["exception"]


def test_a_claim_denied_is_an_outcome_not_an_error(traced: Traced) -> None:
    traced.end(traced.begin(), ClaimDenied("held by another", key=KEY))

    span = traced.one()
    assert (span.attributes or {})["lease.outcome"] == "denied"
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()


def test_a_batch_links_to_the_calls_it_serves(traced: Traced) -> None:
    calls = [traced.begin("claim"), traced.begin("check")]
    traced.batch(*calls)
    for call in calls:
        traced.end(call)

    batch, *spans = traced.spans()
    assert batch.name == "lease.batch"
    assert [link.context for link in batch.links] == [span.context for span in spans]
    assert dict(batch.attributes or {}) == {
        "lease.batch.number": 7,
        "lease.batch.attempt": 1,
        "lease.batch.operations": 3,
    }


def test_a_batch_has_no_parent_whatever_is_current_on_its_thread(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("the database driver's"):
        traced.batch()

    (batch,) = [span for span in traced.spans() if span.name == "lease.batch"]
    assert batch.parent is None


def test_each_attempt_is_a_span_and_the_one_that_failed_has_its_error(traced: Traced) -> None:
    call = traced.begin()
    traced.batch(call, error=RuntimeError("busy"))
    traced.batch(call, attempt=2)

    failed, succeeded = traced.spans()
    assert failed.status.status_code is StatusCode.ERROR
    assert [event.name for event in failed.events] == ["exception"]
    assert succeeded.status.status_code is StatusCode.UNSET
    assert len(failed.links) == len(succeeded.links) == 1


def test_a_call_that_began_before_the_hook_is_no_trouble(traced: Traced) -> None:
    call = Call("claim", KEY, "h", began=0)
    traced.batch(call)
    traced.end(call)

    assert traced.one().links == ()


def test_what_other_hooks_noted_is_left_alone(traced: Traced) -> None:
    call = Call("claim", KEY, "h", began=0, notes={"mine": 1})
    traced.hook(CallBegan(call))
    traced.end(call)

    assert call.notes == {"mine": 1}


def test_a_span_that_is_sampled_out_leaves_nothing_to_link_to() -> None:
    tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("tests")
    call = Call("claim", KEY, "h", began=0)

    TracingHook(tracer)(CallBegan(call))

    assert call.notes is None


def test_there_is_no_hook_for_a_tracer_that_can_record_nothing() -> None:
    assert tracing_hook(NoOpTracer()) is None


@pytest.mark.parametrize("tracer", [Traced().tracer, ProxyTracer("tests")])
def test_there_is_a_hook_for_a_tracer_that_may_record(tracer: Tracer) -> None:
    assert isinstance(tracing_hook(tracer), TracingHook)


_LATER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from lease_actors.core.model import Key
from lease_actors.observability.events import (
    BatchBegan,
    BatchEnded,
    Call,
    CallBegan,
    CallEnded,
    HoldLost,
)
from lease_actors.observability.opentelemetry import tracing_hook

hook = tracing_hook(trace.get_tracer("a tracer from before the provider"))

def call(kind):
    call = Call(kind, Key("ns", "", "x"), "h", 0)
    hook(CallBegan(call))
    batch = BatchBegan(1, 1, [call])
    hook(batch)
    hook(BatchEnded(1, 1, 1, 0, 1, None, batch.notes))
    hook(CallEnded(call, None, 1))
    return call

assert call("claim").notes is None
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
call("check")
print(*(span.name for span in exporter.get_finished_spans()))
"""


def test_a_provider_that_is_set_later_is_honoured_from_the_next_call_on() -> None:
    # A process of its own: the provider can be set only once in each.
    ran = subprocess.run(
        [sys.executable, "-c", _LATER], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.stdout.split(), ran.stderr) == (["lease.batch", "lease.check"], "")


@pytest.mark.parametrize(
    ("reason", "status"), [("revoked", StatusCode.ERROR), ("stopped", StatusCode.UNSET)]
)
def test_a_lease_lost_is_a_span_with_its_reason(
    traced: Traced, reason: str, status: StatusCode
) -> None:
    traced.hook(HoldLost(KEY, "a-holder", 4, reason))

    span = traced.one()
    assert (span.name, span.parent, span.status.status_code) == ("lease.lost", None, status)
    assert dict(span.attributes or {}) == {
        "lease.namespace": "ns",
        "lease.model": "model",
        "lease.name": "a-lease",
        "lease.holder": "a-holder",
        "lease.reason": reason,
    }
