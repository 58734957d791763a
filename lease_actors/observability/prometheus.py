"""Metrics for Prometheus. Every name begins with ``lease_``.

No series is labelled with a lease, a holder or a model, and the namespaces that get labels of
their own are limited in number, so the number of series is bounded whatever is claimed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.metrics import MetricWrapperBase

from lease_actors import errors
from lease_actors.core.model import Ending
from lease_actors.observability.events import (
    BatchEnded,
    CallEnded,
    Gauges,
    HoldEndangered,
    HoldLost,
    KeptLeases,
    Renewed,
    StoreRetried,
    TenureBegan,
    TenureEnded,
    Ticked,
)
from lease_actors.observability.hooks import Handlers

__all__ = ["KINDS", "OTHER", "OUTCOMES", "PrometheusHook"]

KINDS: Final = ("claim", "revoke", "check", "pin", "unpin", "wait")
"""The kinds of calls whose series are there from the start."""

OUTCOMES: Final = (
    "ok",
    "denied",
    "not_held",
    "pinned",
    "timeout",
    "wait_timeout",
    "cancelled",
    "not_valid",
    "store_error",
    "stopped",
    "lost",
    "error",
)
"""How a call can end, as the label ``outcome`` says it. These names do not change."""

OTHER: Final = "(other)"
"""The label of namespaces that have none of their own: beyond the limit, or refused."""

_OUTCOME_OF: Final[dict[type, str]] = {
    type(None): "ok",
    errors.ClaimDenied: "denied",
    errors.NotHeld: "not_held",
    errors.LeasePinned: "pinned",
    errors.LeaseTimeout: "timeout",
    errors.WaitTimeout: "wait_timeout",
    errors.WaitCancelled: "cancelled",
    errors.NotValid: "not_valid",
    errors.StoreError: "store_error",
    errors.ManagerStopped: "stopped",
    errors.LeaseLost: "lost",
}
_REASONS: Final = ("expired", "revoked", "taken", "stopped", "unknown")
_UP_TO_A_TENTH: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
_SECONDS: Final = (*_UP_TO_A_TENTH, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class PrometheusHook(Handlers):
    """Keeps the metrics of one manager in ``registerer``, from construction to :meth:`close`.

    Raises ``NotValid``, and leaves the registerer as it was, if it already has metrics of
    these names. Every series is there, with zero, before the first call: those of a namespace
    from :meth:`prepare` on, which is done here for ``namespaces``. The first
    ``max_namespaces`` get labels of their own, all others share ``(other)``.
    """

    def __init__(
        self,
        registerer: CollectorRegistry,
        namespaces: Iterable[str] = (),
        *,
        max_namespaces: int = 100,
    ) -> None:
        self._metrics = _Metrics()
        self._max_namespaces = max_namespaces
        self._namespaces: dict[str, str] = {}
        # A counter's or histogram's child is looked up under a lock; its bound method is not.
        self._count: dict[tuple[str, str, str], Callable[[], None]] = {}
        self._time: dict[str, Callable[[float], None]] = {}
        self.handlers = {
            CallEnded: self._call_ended,
            BatchEnded: self._batch_ended,
            StoreRetried: self._store_retried,
            TenureBegan: self._tenure_began,
            TenureEnded: self._tenure_ended,
            Ticked: self._ticked,
            Gauges: self._gauges,
            KeptLeases: self._kept,
            Renewed: self._renewed,
            HoldEndangered: self._hold_endangered,
            HoldLost: self._hold_lost,
        }
        for kind in KINDS:
            self._timer(kind)
        self._registerer: CollectorRegistry | None = registerer
        _register(registerer, self._metrics)
        for namespace in namespaces:
            self.prepare(namespace)

    def prepare(self, namespace: str) -> None:
        """Make the series of a namespace, with zero; nothing if they are there."""
        label = self._label(namespace)
        for kind in KINDS:
            for outcome in OUTCOMES:
                self._metrics.operations.labels(kind, label, outcome)

    def close(self) -> None:
        """Take every series out of the registerer. Doing it twice is doing it once."""
        registerer, self._registerer = self._registerer, None
        if registerer is None:
            return
        with contextlib.suppress(KeyError):  # somebody took it out by hand
            registerer.unregister(self._metrics)

    def _call_ended(self, event: CallEnded) -> None:
        call, error = event.call, event.error
        outcome = _OUTCOME_OF.get(type(error)) or _outcome_of_subclass(error)
        key = (call.kind, call.key.namespace, outcome)
        count = self._count.get(key) or self._counter(*key)
        count()
        (self._time.get(call.kind) or self._timer(call.kind))((event.ended - call.began) / 1e6)

    def _batch_ended(self, event: BatchEnded) -> None:
        seconds = (event.ended - event.began) / 1e6
        if event.error is None:
            self._metrics.committed(seconds)
            self._metrics.batch_size.observe(event.operations)
        else:
            self._metrics.failed(seconds)

    def _store_retried(self, event: StoreRetried) -> None:
        self._metrics.retries.inc()

    def _tenure_began(self, event: TenureBegan) -> None:
        if event.waited is not None:
            self._metrics.queue_wait.observe(event.waited)

    def _tenure_ended(self, event: TenureEnded) -> None:
        self._metrics.tenures_ended.labels(event.how.replace(" ", "_")).inc()

    def _ticked(self, event: Ticked) -> None:
        self._metrics.tick_late.observe(event.late)

    def _gauges(self, event: Gauges) -> None:
        self._metrics.blocked_claims.set(event.blocked_claims)
        self._metrics.waits.set(event.waits)
        self._metrics.held.set(event.held)

    def _kept(self, event: KeptLeases) -> None:
        self._metrics.kept.set(event.kept)

    def _renewed(self, event: Renewed) -> None:
        self._metrics.renewals.inc(event.count)

    def _hold_endangered(self, event: HoldEndangered) -> None:
        self._metrics.endangered.inc()

    def _hold_lost(self, event: HoldLost) -> None:
        self._metrics.lost.labels(event.reason).inc()

    def _counter(self, kind: str, namespace: str, outcome: str) -> Callable[[], None]:
        label = self._namespaces.get(namespace)
        if label is None:
            # A namespace that was refused is only somebody's typing error: no label for it.
            label = OTHER if outcome == "not_valid" else self._label(namespace)
        count = self._metrics.operations.labels(kind, label, outcome).inc
        if label == namespace:  # only these are limited in number
            self._count[kind, namespace, outcome] = count
        return count

    def _timer(self, kind: str) -> Callable[[float], None]:
        return self._time.setdefault(kind, self._metrics.seconds.labels(kind).observe)

    def _label(self, namespace: str) -> str:
        """The namespace itself, or ``(other)`` when there are too many."""
        if namespace not in self._namespaces and len(self._namespaces) >= self._max_namespaces:
            return OTHER
        return self._namespaces.setdefault(namespace, namespace)


class _Metrics:
    """All metrics as one collector, so that they enter and leave a registerer all or none."""

    def __init__(self) -> None:
        self._all: list[MetricWrapperBase] = []
        self._make_calls()
        self._make_store()
        self._make_tenures()
        self._make_kept()

    def describe(self) -> Iterable[Metric]:
        return [metric for one in self._all for metric in one.describe()]

    def collect(self) -> Iterable[Metric]:
        return [metric for one in self._all for metric in one.collect()]

    def _make_calls(self) -> None:
        self.operations = self._counter(
            "lease_operations_total",
            "Calls answered, by kind, namespace and outcome.",
            ["kind", "namespace", "outcome"],
        )
        self.seconds = self._histogram(
            "lease_operation_seconds", "Seconds from a call to its answer.", _SECONDS, ["kind"]
        )
        self.blocked_claims = self._gauge(
            "lease_blocked_claims", "Claims of this manager that wait in a queue."
        )
        self.waits = self._gauge(
            "lease_waits", "Waits of this manager for the end of somebody's tenure."
        )

    def _make_store(self) -> None:
        self.batch_size = self._histogram(
            "lease_batch_operations", "Operations in each transaction that succeeded.", _SIZES
        )
        transactions = self._histogram(
            "lease_transaction_seconds",
            "Seconds that a transaction took, by whether it succeeded.",
            _SECONDS,
            ["outcome"],
        )
        self.committed = transactions.labels("ok").observe
        self.failed = transactions.labels("error").observe
        self.retries = self._counter(
            "lease_store_retries_total", "Transactions tried again after a failure of the store."
        )
        self.tick_late = self._histogram(
            "lease_tick_late_seconds", "Seconds by which the alarm rang late.", _SECONDS
        )

    def _make_tenures(self) -> None:
        self.held = self._gauge("lease_held", "Leases that this manager holds for its callers.")
        self.queue_wait = self._histogram(
            "lease_queue_wait_seconds",
            "Seconds that a claim waited in the queue before it was attributed.",
            _LONG_SECONDS,
        )
        self.tenures_ended = self._counter(
            "lease_tenures_ended_total", "Tenures that this manager saw end, by how.", ["how"]
        )
        for how in get_args(Ending):
            self.tenures_ended.labels(how.replace(" ", "_"))

    def _make_kept(self) -> None:
        self.kept = self._gauge("lease_kept", "Leases that this manager keeps alive.")
        self.renewals = self._counter("lease_renewals_total", "Renewals that succeeded.")
        self.endangered = self._counter(
            "lease_endangered_total",
            "Times that two thirds of a duration passed without a renewal.",
        )
        self.lost = self._counter(
            "lease_lost_total", "Leases lost while they were kept alive, by reason.", ["reason"]
        )
        for reason in _REASONS:
            self.lost.labels(reason)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        counter = Counter(name, text, labels, registry=None)
        self._all.append(counter)
        return counter

    def _gauge(self, name: str, text: str) -> Gauge:
        gauge = Gauge(name, text, registry=None)
        self._all.append(gauge)
        return gauge

    def _histogram(
        self, name: str, text: str, buckets: Iterable[float], labels: Iterable[str] = ()
    ) -> Histogram:
        histogram = Histogram(name, text, labels, registry=None, buckets=tuple(buckets))
        self._all.append(histogram)
        return histogram


def _register(registerer: CollectorRegistry, metrics: _Metrics) -> None:
    try:
        registerer.register(metrics)
    except ValueError as error:  # the library's own subclass of it is not in every release
        raise errors.NotValid(
            "cannot register the lease metrics: the prometheus_registerer already has metrics "
            "of these names; stop the manager that registered them, or give each manager a "
            f"registerer of its own ({error})"
        ) from error


def _outcome_of_subclass(error: BaseException | None) -> str:
    for base in type(error).__mro__:
        if base in _OUTCOME_OF:
            return _OUTCOME_OF[base]
    return "error"
