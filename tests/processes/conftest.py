"""Processes with managers on one database: on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from processes.helpers import Helper, Nursery

ENGINES = ("sqlite", "postgresql", "mariadb", "mysql")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Which database it is."""
    name: str = request.param
    return name


@dataclass(frozen=True)
class Place:
    """Tables of a test's own."""

    url: str
    table_prefix: str = "lease_"


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Tables that are not there yet: in a fresh file, or in a database that is shared."""
    if engine == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'leases.db'}")
    url, prefix = request.getfixturevalue(engine).shared()
    return Place(url.render_as_string(hide_password=False), prefix)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


Open = Callable[..., Helper]


@pytest.fixture
def open_one(nursery: Nursery, place: Place) -> Iterator[Open]:
    """Open a manager in a process of its own, with these fields of its configuration."""
    taken: list[Helper] = []

    def open_one(**fields: Any) -> Helper:
        helper = nursery.take()
        taken.append(helper)
        helper.do("open", **asdict(place), **fields)
        return helper

    yield open_one
    for helper in taken:
        helper.thaw() if helper.lives else None
    for helper in taken:
        nursery.give_back(helper)
