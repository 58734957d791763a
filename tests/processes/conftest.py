"""Processes with managers on one database: on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes.helpers import Helper, Nursery

ENGINES = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Which database it is."""
    name: str = request.param
    return name


@pytest.fixture
def url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path / 'leases.db'}"
    made = request.getfixturevalue(f"{engine}_url")
    return str(made.render_as_string(hide_password=False))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


Open = Callable[..., Helper]


@pytest.fixture
def open_one(nursery: Nursery, url: str) -> Iterator[Open]:
    """Open a manager in a process of its own, with these fields of its configuration."""
    taken: list[Helper] = []

    def open_one(**fields: Any) -> Helper:
        helper = nursery.take()
        taken.append(helper)
        helper.do("open", url=url, **fields)
        return helper

    yield open_one
    for helper in taken:
        helper.thaw() if helper.lives else None
    for helper in taken:
        nursery.give_back(helper)
