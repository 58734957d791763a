"""Spans for OpenTelemetry: for each call, each attempt at a transaction, each loss of a lease.

A call's span is a child of the caller's current span; a transaction's span stands alone and
links to the spans of the calls that it serves. A loss is a span of no length. All take
OpenTelemetry's own time.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracer, ProxyTracer, Span, Status, StatusCode, Tracer

from lease_actors.core.model import Key
from lease_actors.errors import ClaimDenied
from lease_actors.observability.events import (
    BatchBegan,
    BatchEnded,
    Call,
    CallBegan,
    CallEnded,
    HoldLost,
)
from lease_actors.observability.hooks import Handlers

__all__ = ["TracingHook", "tracing_hook"]

_SPAN: Final = "opentelemetry.span"
"""Where a span is kept in the notes of its call or batch."""


def tracing_hook(tracer: Tracer) -> TracingHook | None:
    """A hook for this tracer, or None if none of its spans can ever be recorded."""
    # The method rather than the class: a subclass may have made something of it.
    if getattr(type(tracer), "start_span", None) is NoOpTracer.start_span:
        return None
    return TracingHook(tracer)


class TracingHook(Handlers):
    """Starts and ends the spans.

    While no provider is set the tracer is only a proxy and nothing is done but to look
    whether one has come; from then on spans are made. A span that is not recorded (sampled
    out) is not linked to. An error is recorded and gives the span the status ERROR, except
    that a claim denied is not an error: it has ``lease.outcome`` ``denied``, status unset.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._without_provider = isinstance(tracer, ProxyTracer)
        self._names: dict[str, str] = {}
        self.handlers = {
            CallBegan: self._call_began,
            CallEnded: _call_ended,
            BatchBegan: self._batch_began,
            BatchEnded: _batch_ended,
            HoldLost: self._hold_lost,
        }
        self.wants = dict.fromkeys((CallBegan, CallEnded, BatchBegan, BatchEnded), self._awake)

    def _call_began(self, event: CallBegan) -> None:
        if not self._awake():
            return
        call = event.call
        span = self._tracer.start_span(self._name(call.kind), attributes=_attributes(call))
        if span.is_recording():
            if call.notes is None:
                call.notes = {}
            call.notes[_SPAN] = span

    def _batch_began(self, event: BatchBegan) -> None:
        if not self._awake():
            return
        event.notes[_SPAN] = self._tracer.start_span(
            "lease.batch",
            # Whatever is current on this thread is none of the calls' doing: no parent.
            context=Context(),
            attributes={"lease.batch.number": event.number, "lease.batch.attempt": event.attempt},
            links=[Link(call.notes[_SPAN].get_span_context()) for call in _traced(event)],
        )

    def _hold_lost(self, event: HoldLost) -> None:
        if not self._awake():
            return
        attributes = {**_names(event.key, event.holder), "lease.reason": event.reason}
        span = self._tracer.start_span("lease.lost", context=Context(), attributes=attributes)
        if event.reason != "stopped":
            span.set_status(Status(StatusCode.ERROR, f"lost: {event.reason}"))
        span.end()

    def _name(self, kind: str) -> str:
        return self._names.get(kind) or self._names.setdefault(kind, f"lease.{kind}")

    def _awake(self) -> bool:
        """Is there a provider?"""
        if not self._without_provider:
            return True
        # The proxy looks at this very global. The public function reads the environment each
        # time, a microsecond; should a release hide the global, the proxy is simply asked.
        self._without_provider = getattr(trace, "_TRACER_PROVIDER", self) is None
        return not self._without_provider


def _call_ended(event: CallEnded) -> None:
    notes = event.call.notes
    if notes is None or (span := notes.pop(_SPAN, None)) is None:
        return
    if isinstance(event.error, ClaimDenied):
        span.set_attribute("lease.outcome", "denied")
    elif event.error is not None:
        _record(span, event.error)
    span.end()


def _batch_ended(event: BatchEnded) -> None:
    span = event.notes.pop(_SPAN, None)
    if span is None:
        return
    span.set_attribute("lease.batch.operations", event.operations)
    if event.error is not None:
        _record(span, event.error)
    span.end()


def _record(span: Span, error: BaseException) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def _attributes(call: Call) -> dict[str, str]:
    return _names(call.key, call.who)


def _names(key: Key, who: str) -> dict[str, str]:
    return {
        "lease.namespace": key.namespace,
        "lease.model": key.model_uuid,
        "lease.name": key.lease,
        "lease.holder": who,
    }


def _traced(event: BatchBegan) -> list[Any]:
    """The calls of the batch whose spans are recorded and still open."""
    return [call for call in event.calls if call.notes is not None and _SPAN in call.notes]
