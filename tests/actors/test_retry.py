"""The pauses between attempts."""

from __future__ import annotations

import random

import pytest

from lease_actors.actors import retry


class Drawn(random.Random):
    """It draws what it was told."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.parametrize("drawn", [0.0, 0.25, 1.0])
def test_a_pause_is_anything_up_to_50_ms_and_six_tenths_more_each_time(drawn: float) -> None:
    pauses = [retry.delay(attempt, Drawn(drawn)) for attempt in range(1, 1 + retry.MOST)]
    most = [0.05, 0.08, 0.128, 0.2048, 0.32768, 0.524, 0.839, 1.342, 2.147, 3.436]
    assert pauses == pytest.approx([drawn * pause for pause in most], rel=0.001)
