"""One stage a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from manifold.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.leave()


@pytest.fixture
def diamond(stage: Stage) -> Stage:
    """``top`` needs ``left`` and ``right``, which both need ``base``."""
    stage.add("top", "left", "right")
    stage.add("left", "base")
    stage.add("right", "base")
    stage.add("base")
    return stage
