"""How the metrics come into a registerer and leave it: all or none."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from lease_actors.core.model import Key
from lease_actors.errors import NotValid
from lease_actors.observability.events import Call, CallEnded
from lease_actors.observability.prometheus import PrometheusHook

ANSWERED = CallEnded(Call("claim", Key("ns", "", "a-lease"), "h", began=0), None, ended=1)


def answered(registry: CollectorRegistry) -> float | None:
    labels = {"kind": "claim", "namespace": "ns", "outcome": "ok"}
    return registry.get_sample_value("lease_operations_total", labels)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def hook(registry: CollectorRegistry) -> PrometheusHook:
    return PrometheusHook(registry, ["ns"])


def test_two_managers_one_after_another_share_a_registry(registry: CollectorRegistry) -> None:
    first = PrometheusHook(registry, ["ns"])
    first(ANSWERED)
    first.close()
    second = PrometheusHook(registry, ["ns"])
    second(ANSWERED)

    assert answered(registry) == 1


def test_closed_it_leaves_nothing_behind(registry: CollectorRegistry, hook: PrometheusHook) -> None:
    hook.close()

    assert list(registry.collect()) == []


def test_closing_twice_does_not_touch_the_successor(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook.close()
    PrometheusHook(registry, ["ns"])
    hook.close()
    hook(ANSWERED)

    assert answered(registry) == 0


def test_a_second_one_on_the_same_registry_is_refused_and_changes_nothing(
    registry: CollectorRegistry, hook: PrometheusHook
) -> None:
    hook(ANSWERED)
    before = generate_latest(registry)

    with pytest.raises(NotValid, match="stop the manager that registered them"):
        PrometheusHook(registry, ["other"])

    assert generate_latest(registry) == before


def test_a_name_taken_by_the_program_itself_is_refused_and_changes_nothing(
    registry: CollectorRegistry,
) -> None:
    Counter("lease_store_retries_total", "The program's own.", registry=registry)
    before = generate_latest(registry)

    with pytest.raises(NotValid, match="lease_store_retries"):
        PrometheusHook(registry)

    assert generate_latest(registry) == before
