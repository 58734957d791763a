"""The WSGI application: what it says, to whom, and with which status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.managers import managing, until
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response

from lease_actors import Key, LeaseLost, Manager, MemoryStore
from lease_actors.secretaries import DefaultSecretary, FixedSecretaries
from lease_actors.testing.clock import FakeClock
from lease_actors.web import LeasesApp

TOKEN = "an-open-secret"
EVIL = "<script>alert('x')</script>"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def manager(store: MemoryStore, registry: CollectorRegistry) -> Iterator[Manager]:
    with managing(store, FakeClock(), prometheus_registerer=registry) as manager:
        yield manager


@pytest.fixture
def client(manager: Manager, registry: CollectorRegistry) -> Client:
    return Client(LeasesApp(manager, registry=registry))


@pytest.fixture
def writing(manager: Manager) -> Client:
    return Client(LeasesApp(manager, token=TOKEN))


def about(lease: str = "x", **more: str) -> dict[str, str]:
    return {"namespace": "ns", "model": "", "lease": lease, **more}


def post(client: Client, verb: str, token: str | None = TOKEN, **more: str) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.post(f"/api/{verb}", json=about(**more), headers=headers)


def test_leases_of_all_namespaces_or_of_one(client: Client, manager: Manager) -> None:
    manager.claimer("ns").claim("x", "me", 60)
    manager.claimer("ns", "m").claim("y", "you", 60)
    found = client.get("/api/leases").json["leases"]
    assert [(v["namespace"], v["model"], v["lease"], v["holder"]) for v in found] == [
        ("ns", "", "x", "me"),
        ("ns", "m", "y", "you"),
    ]
    [one] = client.get("/api/leases", query_string={"namespace": "ns"}).json["leases"]
    assert (one["lease"], one["remaining"], one["duration"]) == ("x", 60.0, 60.0)


def test_one_lease_with_its_queue(client: Client, manager: Manager) -> None:
    claimer = manager.claimer("ns")
    claimer.claim("x", "me", 60)
    with claimer.claim_future("x", "you", 60):
        until(lambda: len(manager.reader("ns").waiting("x")) == 1)
        found = client.get("/api/lease", query_string=about()).json
    assert (found["holder"], found["term"], found["waiting"]) == ("me", 1, 1)
    assert [(w["position"], w["holder"]) for w in found["queue"]] == [(1, "you")]


def test_names_may_be_any(client: Client, manager: Manager) -> None:
    name = "a/b?c&d=e#f%20;+ü"
    manager.claimer("ns").claim(name, "me", 60)
    assert client.get("/api/lease", query_string=about(name)).json["holder"] == "me"


def test_the_history_of_one_lease(client: Client, manager: Manager, store: MemoryStore) -> None:
    assert client.get("/api/history", query_string=about()).json == {"kept": False, "tenures": []}
    store.set_history(10**12)
    manager.claimer("ns").claim("x", "me", 60)
    manager.revoker("ns").revoke("x", "me")
    told = client.get("/api/history", query_string=about()).json
    [tenure] = told["tenures"]
    assert told["kept"]
    assert (tenure["holder"], tenure["term"], tenure["ended"]) == ("me", 1, "revoked")


def test_what_the_manager_does(client: Client) -> None:
    assert "blocked-claims" in client.get("/api/report").json


@pytest.mark.parametrize("verb", ["revoke", "pin", "unpin"])
def test_without_a_token_it_only_reads(client: Client, manager: Manager, verb: str) -> None:
    manager.claimer("ns").claim("x", "me", 60)
    response = post(client, verb, holder="me", entity="me")
    assert (response.status_code, "only reads" in response.json["error"]) == (403, True)
    assert client.get(f"/api/{verb}").status_code == 405
    assert manager.reader("ns").leases() == {"x": "me"}


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
def test_a_wrong_token_changes_nothing(
    writing: Client, manager: Manager, token: str | None
) -> None:
    manager.claimer("ns").claim("x", "me", 60)
    assert post(writing, "revoke", token, holder="me").status_code == 401
    assert manager.reader("ns").leases() == {"x": "me"}


def test_who_has_the_token_revokes_and_pins(writing: Client, manager: Manager) -> None:
    manager.claimer("ns").claim("x", "me", 60)
    assert post(writing, "pin", entity="upgrade").json["pins"] == ["upgrade"]
    refused = post(writing, "revoke", holder="me")
    assert (refused.status_code, "pinned" in refused.json["error"]) == (409, True)
    assert post(writing, "unpin", entity="upgrade").json["pins"] == []
    assert post(writing, "revoke", holder="you").status_code == 409
    assert post(writing, "revoke", holder="me").json["state"] == "free"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"no JSON", b"[]", b"{}", b'{"namespace": "ns", "lease": 1, "holder": "me"}'),
        pytest.param(b"[" * 60_000, id="too deep"),
    ],
)
def test_a_body_that_says_nothing_is_400(writing: Client, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    response = writing.post("/api/revoke", data=body, headers=headers)
    assert response.status_code == 400
    assert response.json["error"]


def test_a_name_that_is_not_valid_is_400(writing: Client) -> None:
    assert post(writing, "pin", lease="with space", entity="me").status_code == 400
    for path in ("/api/lease", "/api/history"):
        assert writing.get(path, query_string=about("with space")).status_code == 400


def test_a_lease_that_is_there_is_told_of_whatever_its_name(store: MemoryStore) -> None:
    class Anything(DefaultSecretary):
        def check_lease(self, key: Key) -> None:
            pass

    finder = FixedSecretaries({"ns": Anything()})
    with managing(store, FakeClock(), secretary_finder=finder) as manager:
        manager.claimer("ns").claim("with space", "me", 60)
        client = Client(LeasesApp(manager))
        for path in ("/api/lease", "/api/history"):
            assert client.get(path, query_string=about("with space")).status_code == 200


@pytest.mark.parametrize("token", ["abc=defgh", "abcdefg==", 'a, b="c"', "ab cd ef"])
def test_a_token_is_taken_as_it_is(manager: Manager, token: str) -> None:
    manager.claimer("ns").claim("x", "me", 60)
    client = Client(LeasesApp(manager, token=token))
    assert post(client, "revoke", token + "=", holder="me").status_code == 401
    assert post(client, "revoke", token, holder="me").status_code == 200


def test_a_token_that_no_header_can_carry_is_refused(manager: Manager) -> None:
    for token in ("offenes-Geheimnis-für-alle", "two\nlines-of-it"):
        with pytest.raises(ValueError, match="header"):
            LeasesApp(manager, token=token)


def test_a_short_token_is_refused(manager: Manager) -> None:
    with pytest.raises(ValueError, match="guessed"):
        LeasesApp(manager, token="secret")


@pytest.mark.parametrize("path", ["/nothing", "/static/../app.py", "/static/app.py", "/api/lease"])
def test_what_is_not_there_is_an_error_in_json(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (400, 404)
    assert response.json["error"]


def test_metrics_are_the_managers(client: Client, manager: Manager) -> None:
    manager.claimer("ns").claim("x", "me", 60)
    text = client.get("/metrics").text
    assert 'lease_operations_total{kind="claim",namespace="ns",outcome="ok"} 1.0' in text
    assert Client(LeasesApp(manager)).get("/metrics").status_code == 404


def test_healthy_until_it_believes_to_lead_and_does_not(client: Client, manager: Manager) -> None:
    assert client.get("/healthz").status_code == 200
    holding = manager.claimer("ns").hold("x", "me", 60)
    held = holding.__enter__()
    assert client.get("/healthz").status_code == 200
    manager.revoker("ns").revoke("x", "me")
    assert held.lost.wait(5)
    response = client.get("/healthz")
    assert (response.status_code, response.json["healthy"]) == (503, False)
    assert "'x'" in response.json["problems"][0]
    with pytest.raises(LeaseLost):
        holding.__exit__(None, None, None)
    assert client.get("/healthz").json == {"healthy": True, "problems": []}


def test_a_manager_that_has_stopped_is_not_healthy(client: Client, manager: Manager) -> None:
    manager.kill()
    assert client.get("/healthz").status_code == 503
    assert client.get("/api/leases").status_code == 503


def test_it_can_be_mounted_anywhere(manager: Manager) -> None:
    def elsewhere(environ: Any, start_response: Callable[..., Any]) -> Any:
        return Response(status=404)(environ, start_response)

    client = Client(DispatcherMiddleware(elsewhere, {"/ops/leases": LeasesApp(manager)}))
    assert client.get("/ops/leases").headers["Location"].endswith("/ops/leases/")
    page = client.get("/ops/leases/")
    assert 'src="/ops/leases/static/app.js"' in page.text
    assert 'data-root="/ops/leases"' in page.text
    assert client.get("/ops/leases/static/style.css").mimetype == "text/css"


def test_the_page_escapes_what_it_is_told(manager: Manager) -> None:
    page = Client(LeasesApp(manager, title=EVIL)).get("/")
    assert EVIL not in page.text
    assert "&lt;script&gt;" in page.text


def test_nothing_foreign_is_run(client: Client) -> None:
    page = client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in page.text.replace("http-equiv", "")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
