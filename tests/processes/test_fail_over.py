"""The server is lost for good, and its standby takes over: nobody fails, and nothing is forgotten."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from support.managers import PATIENCE, until
from support.proxy import proxying
from support.servers import Databases, run_replicated
from support.standbys import run_followed

from lease_actors import Manager


def _either(one: Databases, other: Databases, which: str) -> sa.URL:
    """Whichever of them takes writes; or whichever answers, and that may be one that does not yet."""
    hosts = [f"127.0.0.1:{databases.server.port}" for databases in (one, other)]
    query = {"host": hosts, "target_session_attrs": which}
    return sa.URL.create("postgresql+psycopg", "postgres", database="postgres", query=query)


def _outlives(manager: Manager, server: Databases, take_over: Callable[[], None]) -> None:
    """A claim is on its way, and a lease is kept, while the server is lost and the other takes over."""
    claimer, revoker = manager.claimer("ns"), manager.revoker("ns")
    held, passed = (claimer.claim(lease, "me", 600) for lease in ("held", "passed"))
    revoker.revoke("passed", "me")
    with claimer.hold("kept", "me", 60, wait=0) as kept:
        server.server.stop(signal.SIGKILL)
        asked = claimer.claim_future("passed", "me", 600)
        until(lambda: manager.report()["retries"] > 1, "an attempt on each")
        take_over()
        assert asked.get(timeout=PATIENCE).term == passed.term + 1
        kept.check()
        found = manager.reader("ns").get("held")
        assert found is not None and found.term == held.term


@pytest.mark.timeout(120)
@pytest.mark.parametrize("which", ["read-write", "any"])
def test_a_standby_that_takes_over_goes_on_where_the_server_was_lost(which: str) -> None:
    with (
        run_replicated() as (server, standby),
        Manager.open(_either(server, standby, which)) as manager,
    ):
        _outlives(manager, server, lambda: standby.sql("SELECT pg_promote()"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["mariadb", "mysql"])
def test_so_does_one_to_which_the_address_is_moved_before_it_takes_writes(kind: str) -> None:
    with (
        run_followed(kind) as (server, standby, lead),
        proxying("127.0.0.1", server.server.port) as proxy,
    ):
        # An ordinary user: to administrators a standby that is read-only is not.
        server.sql("CREATE DATABASE leases", "CREATE USER app", "GRANT ALL ON leases.* TO app")
        there = server.url.set(username="app", port=proxy.port, database="leases")
        with Manager.open(there) as manager:
            proxy.target = ("127.0.0.1", standby.server.port)
            _outlives(manager, server, lead)
