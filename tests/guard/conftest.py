"""A desk on every engine and isolation level."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from guard.desks import Desk, laid_out


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """On the place that is the parameter."""
    engine, _, level = request.param.partition("-")
    url: str | sa.URL = f"sqlite:///{tmp_path / 'leases.db'}"
    if engine != "sqlite":
        url = request.getfixturevalue(f"{engine}_url")
    with laid_out(url, level) as desk:
        yield desk
