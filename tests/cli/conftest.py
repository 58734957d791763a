"""The command on every database that there is a server for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.command import Command
from cli.launcher import Launcher

from lease_actors import Manager


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'leases.db'}"
    found = request.getfixturevalue(f"{request.param}_url")
    return str(found.render_as_string(hide_password=False))


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """Starts commands."""
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture
def nowhere(launcher: Launcher) -> Iterator[Command]:
    """The command on a database that cannot be."""
    command = Command(launcher, "sqlite:////no/such/directory/leases.db")
    yield command
    command.close()


@pytest.fixture
def command(launcher: Launcher, url: str) -> Iterator[Command]:
    """The command on that database; nothing that it starts is left behind."""
    command = Command(launcher, url)
    yield command
    command.close()


@pytest.fixture
def manager(url: str) -> Iterator[Manager]:
    """A manager on that database."""
    with Manager.open(url) as manager:
        yield manager
