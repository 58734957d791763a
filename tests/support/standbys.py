"""Two servers, of which one follows the other: what the first has committed, both have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from support.managers import until
from support.servers import Databases, run_mariadb, run_mysql


class _Words(NamedTuple):
    """How a server is told that it is followed, or that it follows."""

    run: Callable[..., Any]
    first: Sequence[str]
    standby: Sequence[str]
    follow: Sequence[str]
    lead: Sequence[str]


_ON, _PATIENT = "enabled=ON", "timeout=60000"
_WORDS = {
    "mariadb": _Words(
        run_mariadb,
        [f"--rpl-semi-sync-master-{setting}" for setting in (_ON, _PATIENT)],
        [f"--rpl-semi-sync-slave-{_ON}"],
        [
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_USER='root', MASTER_PORT={port}",
            "START SLAVE",
        ],
        ["STOP SLAVE", "SET GLOBAL read_only = OFF"],
    ),
    "mysql": _Words(
        run_mysql,
        [
            "--plugin-load-add=semisync_source.so",
            *(f"--loose-rpl-semi-sync-source-{setting}" for setting in (_ON, _PATIENT)),
        ],
        ["--plugin-load-add=semisync_replica.so", f"--loose-rpl-semi-sync-replica-{_ON}"],
        [
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_USER='root', SOURCE_SSL=0",
            "CHANGE REPLICATION SOURCE TO SOURCE_PORT={port}",
            "START REPLICA",
        ],
        ["STOP REPLICA", "SET GLOBAL read_only = OFF"],
    ),
}


@contextmanager
def run_followed(kind: str) -> Iterator[tuple[Databases, Databases, Callable[[], None]]]:
    """A MariaDB or MySQL, its standby, which takes no writes, and what makes the standby lead."""
    words = _WORDS[kind]
    first = words.run("--log-bin=log", "--server-id=1", *words.first)
    standby = words.run("--server-id=2", "--read-only=ON", *words.standby)
    with first as leader, standby as follower:
        follower.sql(*(text.format(port=leader.url.port) for text in words.follow))
        until(lambda: _followers(leader) == 1, "the standby")
        yield leader, follower, lambda: follower.sql(*words.lead)


def _followers(server: Databases) -> int:
    """So many have to have what is committed before the commit is answered."""
    engine = sa.create_engine(server.url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        text = "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_%%_clients'"
        return int(connection.exec_driver_sql(text).one()[1])
