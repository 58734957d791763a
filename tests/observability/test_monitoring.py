"""The dashboard and the alert rules of ``docs/monitoring`` ask for metrics and labels that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from lease_actors.observability.prometheus import KINDS, OUTCOMES, PrometheusHook

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
ALERTS = (FOLDER / "alerts.yml").read_text(encoding="utf-8")

_NAME = re.compile(r"\blease_\w+")
_SELECTOR = re.compile(r"(lease_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!=|=|!~)"([^"]*)"')


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["query"]
    yield from re.findall(r"expr: (?:>-)?((?:.|\n)*?)(?=\n +(?:for|labels):)", ALERTS)


def samples() -> dict[str, set[str]]:
    """The names of all series, with their labels, as a scrape has them."""
    registry = CollectorRegistry()
    PrometheusHook(registry, ["ns"])
    found: dict[str, set[str]] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture(scope="module")
def real() -> dict[str, set[str]]:
    return samples()


def test_every_metric_that_is_asked_for_exists(real: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in _NAME.findall(expression)}
    assert asked - real.keys() == set()


def test_every_metric_that_exists_is_on_the_dashboard(real: dict[str, set[str]]) -> None:
    shown = " ".join(t["expr"] for p in DASHBOARD["panels"] for t in p["targets"])
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in real}
    assert sorted(f for f in families if f.removesuffix("_total") not in shown) == []


def test_every_label_and_value_that_is_selected_exists(real: dict[str, set[str]]) -> None:
    known = {"outcome": set(OUTCOMES), "kind": set(KINDS), "reason": set()}
    known["reason"] = {"expired", "revoked", "taken", "stopped", "unknown"}
    wrong = []
    for expression in expressions():
        for name, selector in _SELECTOR.findall(expression):
            for label, _, value in _MATCHER.findall(selector):
                if label in ("job", "instance"):  # Prometheus itself puts them there
                    continue
                there = label in real[name] and set(value.split("|")) <= known[label]
                wrong += [] if there else [f"{name}: {label}={value!r}"]
    assert wrong == []


def test_there_is_something_to_test() -> None:
    found = list(expressions())
    assert len(found) > 20
    assert len(re.findall(r"- alert:", ALERTS)) == sum("[5m]" in e or "[1" in e for e in found[-7:])


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    taken = [
        (x, y)
        for p in places
        for x in range(p["x"], p["x"] + p["w"])
        for y in range(p["y"], p["y"] + p["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
