"""The metrics: their names, their zeros, and what moves them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lease_actors import errors
from lease_actors.core.model import Ending, Key
from lease_actors.observability.events import (
    BatchEnded,
    Call,
    CallBegan,
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
from lease_actors.observability.prometheus import KINDS, OTHER, OUTCOMES, PrometheusHook

KEY = Key("ns", "model", "a-lease")


def ended(
    error: BaseException | None = None, *, kind: str = "claim", key: Key = KEY, took: int = 0
) -> CallEnded:
    return CallEnded(Call(kind, key, "a-holder", began=1000), error, 1000 + took)


def operations(registry: CollectorRegistry, kind: str, namespace: str, outcome: str) -> object:
    labels = {"kind": kind, "namespace": namespace, "outcome": outcome}
    return registry.get_sample_value("lease_operations_total", labels)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def hook(registry: CollectorRegistry) -> PrometheusHook:
    return PrometheusHook(registry, ["ns"])


@pytest.mark.usefixtures("hook")
def test_every_name_begins_with_lease(registry: CollectorRegistry) -> None:
    samples = [sample for metric in registry.collect() for sample in metric.samples]

    assert samples
    assert all(sample.name.startswith("lease_") for sample in samples)


@pytest.mark.usefixtures("hook")
def test_every_kind_and_outcome_of_a_prepared_namespace_is_there_with_zero(
    registry: CollectorRegistry,
) -> None:
    assert [operations(registry, k, "ns", o) for k in KINDS for o in OUTCOMES] == [0.0] * 72


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *[("lease_operation_seconds_count", {"kind": kind}) for kind in KINDS],
        ("lease_batch_operations_count", {}),
        ("lease_transaction_seconds_count", {"outcome": "ok"}),
        ("lease_transaction_seconds_count", {"outcome": "error"}),
        ("lease_blocked_claims", {}),
        ("lease_waits", {}),
        ("lease_held", {}),
        ("lease_queue_wait_seconds_count", {}),
        ("lease_tenures_ended_total", {"how": "released"}),
        ("lease_tenures_ended_total", {"how": "expired"}),
        ("lease_tenures_ended_total", {"how": "revoked"}),
        ("lease_tenures_ended_total", {"how": "handed_over"}),
        ("lease_tick_late_seconds_count", {}),
        ("lease_store_retries_total", {}),
        ("lease_kept", {}),
        ("lease_renewals_total", {}),
        ("lease_endangered_total", {}),
        *[
            ("lease_lost_total", {"reason": reason})
            for reason in ("expired", "revoked", "taken", "stopped", "unknown")
        ],
    ],
)
def test_series_without_namespace_are_there_with_zero_from_the_start(
    registry: CollectorRegistry, name: str, labels: dict[str, str]
) -> None:
    PrometheusHook(registry)

    assert registry.get_sample_value(name, labels) == 0


def test_preparing_a_namespace_again_keeps_its_counts(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ended())
    hook.prepare("ns")

    assert operations(registry, "claim", "ns", "ok") == 1


class Lost(errors.LeaseLost):
    """A subclass counts as what it is."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (errors.ClaimDenied("x"), "denied"),
        (errors.NotHeld("x"), "not_held"),
        (errors.LeasePinned("x"), "pinned"),
        (errors.LeaseTimeout("x"), "timeout"),
        (errors.WaitTimeout("x"), "wait_timeout"),
        (errors.WaitCancelled("x"), "cancelled"),
        (errors.NotValid("x"), "not_valid"),
        (errors.StoreError("x"), "store_error"),
        (errors.ManagerStopped("x"), "stopped"),
        (errors.LeaseLost("x"), "lost"),
        (Lost("x"), "lost"),
        (errors.LeaseError("x"), "error"),
        (RuntimeError("x"), "error"),
        (KeyboardInterrupt(), "error"),
    ],
)
def test_an_answer_counts_once_under_its_outcome(
    registry: CollectorRegistry,
    hook: PrometheusHook,
    error: BaseException | None,
    outcome: str,
) -> None:
    hook(ended(error))

    counts = {o: operations(registry, "claim", "ns", o) for o in OUTCOMES}
    assert counts == {o: float(o == outcome) for o in OUTCOMES}


def test_every_error_class_has_an_outcome_of_its_own(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    for name in set(errors.__all__) - {"LeaseError"}:
        hook(ended(getattr(errors, name)("x")))

    assert operations(registry, "claim", "ns", "error") == 0


def test_the_seconds_run_from_the_call_to_its_answer(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ended(kind="check", took=1_500_000))

    labels = {"kind": "check"}
    assert registry.get_sample_value("lease_operation_seconds_sum", labels) == 1.5
    assert registry.get_sample_value("lease_operation_seconds_count", labels) == 1


def test_the_buckets_reach_from_half_a_millisecond_to_a_minute(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ended(took=400))
    hook(ended(took=50_000_000))

    def at_most(seconds: str) -> float | None:
        labels = {"kind": "claim", "le": seconds}
        return registry.get_sample_value("lease_operation_seconds_bucket", labels)

    assert at_most("0.0005") == 1
    assert at_most("30.0") == 1
    assert at_most("60.0") == 2


def test_a_kind_not_foreseen_is_counted_all_the_same(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ended(kind="release", took=1_000_000))

    assert operations(registry, "release", "ns", "ok") == 1
    labels = {"kind": "release"}
    assert registry.get_sample_value("lease_operation_seconds_sum", labels) == 1


def test_a_namespace_not_prepared_is_counted_all_the_same(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ended(key=Key("new", "", "x")))

    assert operations(registry, "claim", "new", "ok") == 1


def test_a_refused_namespace_gets_no_series_of_its_own(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ended(errors.NotValid("unknown namespace"), key=Key("tpyo", "", "x")))

    assert operations(registry, "claim", "tpyo", "not_valid") is None
    assert operations(registry, "claim", OTHER, "not_valid") == 1


def test_namespaces_beyond_the_limit_share_one_label(registry: CollectorRegistry) -> None:
    hook = PrometheusHook(registry, max_namespaces=2)

    for number in range(5):
        hook.prepare(f"ns{number}")
        hook(ended(key=Key(f"ns{number}", "", "x")))

    assert operations(registry, "claim", "ns1", "ok") == 1
    assert operations(registry, "claim", "ns2", "ok") is None
    assert operations(registry, "claim", OTHER, "ok") == 3


def test_no_lease_holder_or_model_becomes_a_label(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(CallBegan(Call("claim", KEY, "a-holder", began=0)))
    hook(ended())
    hook(TenureBegan(KEY, "a-holder", 1, waited=1.0))
    hook(TenureEnded(KEY, "a-holder", 1, "expired"))

    text = generate_latest(registry).decode()
    assert not [name for name in ("a-lease", "a-holder", "model") if f'"{name}"' in text]


def test_a_transaction_that_succeeded_counts_its_operations(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(BatchEnded(1, 1, operations=7, began=0, ended=2_000_000, error=None, notes={}))

    assert registry.get_sample_value("lease_batch_operations_sum") == 7
    labels = {"outcome": "ok"}
    assert registry.get_sample_value("lease_transaction_seconds_sum", labels) == 2


def test_a_transaction_that_failed_is_timed_apart_and_its_operations_not_counted_twice(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    error = RuntimeError("busy")
    hook(BatchEnded(1, 1, operations=7, began=0, ended=5_000_000, error=error, notes={}))

    assert registry.get_sample_value("lease_batch_operations_count") == 0
    labels = {"outcome": "error"}
    assert registry.get_sample_value("lease_transaction_seconds_sum", labels) == 5


def test_gauges_show_the_last_count(registry: CollectorRegistry, hook: PrometheusHook) -> None:
    hook(Gauges(blocked_claims=3, waits=2, held=9))
    hook(Gauges(blocked_claims=1, waits=0, held=4))

    names = ("lease_blocked_claims", "lease_waits", "lease_held")
    assert [registry.get_sample_value(name) for name in names] == [1, 0, 4]


def test_only_a_claim_that_queued_counts_as_a_queue_wait(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(TenureBegan(KEY, "h", 1, waited=None))
    hook(TenureBegan(KEY, "h", 2, waited=12.5))

    assert registry.get_sample_value("lease_queue_wait_seconds_count") == 1
    assert registry.get_sample_value("lease_queue_wait_seconds_sum") == 12.5


@pytest.mark.parametrize(
    ("how", "label"),
    [
        ("released", "released"),
        ("expired", "expired"),
        ("revoked", "revoked"),
        ("handed over", "handed_over"),
    ],
)
def test_tenures_ended_are_counted_by_how(
    registry: CollectorRegistry, hook: PrometheusHook, how: Ending, label: str
) -> None:
    hook(TenureEnded(KEY, "h", 1, how))

    assert registry.get_sample_value("lease_tenures_ended_total", {"how": label}) == 1


def test_retries_and_late_ticks_are_counted(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(StoreRetried(1, 1, 0.05, RuntimeError("busy")))
    hook(Ticked(late=0.25))

    assert registry.get_sample_value("lease_store_retries_total") == 1
    assert registry.get_sample_value("lease_tick_late_seconds_sum") == 0.25


def test_what_is_kept_renewed_endangered_and_lost_is_counted(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(KeptLeases(3))
    hook(Renewed(256))
    hook(Renewed(1))
    hook(HoldEndangered(KEY, "a-holder", 4))
    hook(HoldLost(KEY, "a-holder", 4, "taken"))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("lease_kept") == 3
    assert value("lease_renewals_total") == 257
    assert value("lease_endangered_total") == 1
    assert value("lease_lost_total", reason="taken") == 1
    assert value("lease_lost_total", reason="expired") == 0
