"""A hold on a real server that falls silent: the lease is lost on time, though a call hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from acceptance.support import NS, PATIENCE
from support.servers import Databases, run_mariadb, run_mysql, run_postgresql
from support.story import Story

from lease_actors import LeaseLost, Manager, ManagerConfig, SqlStore, SystemClock
from lease_actors.capabilities import Claimer

DURATION = 3.0

RUN = {"postgresql": run_postgresql, "mariadb": run_mariadb, "mysql": run_mysql}


@pytest.fixture(params=RUN)
def server(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """A server of this test's own, since it is stopped."""
    with RUN[request.param]() as databases:
        yield databases


def keep_until_lost(server: Databases, claimer: Claimer, story: Story) -> None:
    """Hold the lease while the server answers nothing."""
    steady = SystemClock().steady
    with (
        claimer.hold(
            "app", "me", DURATION, on_lost=story.tell, on_endangered=story.endangered
        ) as held,
        server.server.frozen(),
    ):
        deadline = steady() + round(held.remaining().total_seconds() * 1e6)
        assert held.lost.wait(PATIENCE)
        late = steady() - deadline
        assert -1_000 <= late < 2_000_000  # microseconds; the call that hangs takes 5 s
        assert story.of(2) == ["endangered", "expired"]
        with pytest.raises(LeaseLost, match="'app'"):
            held.check()


def test_it_is_lost_on_time_while_the_server_is_silent_and_given_back_when_it_answers_again(
    server: Databases,
) -> None:
    story = Story()
    with server.fresh() as url, Manager(ManagerConfig(SqlStore(url, create_schema=True))) as one:
        claimer = one.claimer(NS)
        with pytest.raises(LeaseLost) as raised:
            keep_until_lost(server, claimer, story)
        assert raised.value.reason == "expired"
        next_one = claimer.claim("app", "other", 60, wait=PATIENCE)
        assert next_one.term == 2
        assert story.told == ["endangered", "expired"]  # once
