"""The server ends and comes back in the midst of it: terms rise through all of it, calls end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from processes.conftest import Open, Place
from processes.test_exclusion import Site
from processes.test_queue import LONG, queue
from support.servers import Databases


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(engine: str, request: pytest.FixtureRequest) -> Databases:
    databases: Databases = request.getfixturevalue(engine)
    return databases


def test_terms_rise_through_restarts_and_crashes_of_the_server(
    open_one: Open, place: Place, server: Databases, tmp_path: Path
) -> None:
    site = Site(open_one, place, tmp_path, seed=5)
    for how in (signal.SIGINT, signal.SIGKILL):
        site.count_on()
        server.server.restart(how)
    site.count_on()
    terms = [tenure.term for tenure in site.close()]
    assert terms == sorted(set(terms))


def test_queues_outlive_the_server(open_one: Open, server: Databases) -> None:
    one, other, third = (open_one() for _ in range(3))
    one.do("claim", lease="db", holder="h0", duration=LONG)
    claims = [queue(other, "h1"), queue(third, "h2")]
    server.server.restart()
    one.do("revoke", lease="db", holder="h0")
    assert claims[0].value()["term"] == 2
    other.do("revoke", lease="db", holder="h1")
    assert claims[1].value()["term"] == 3
