"""A machine with clocks, which can be rebooted."""

from __future__ import annotations

from dataclasses import dataclass

from lease_actors.clock import Waitable

START = 1_600_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND


@dataclass
class Machine:
    """Wall and steady time that tests set as they like."""

    boot_id: str = "boot-1"
    at: int = START
    up: int = 500 * SECOND

    def wall(self) -> int:
        return self.at

    def steady(self) -> int:
        return self.up

    def wait(self, signal: Waitable, until: int | None) -> None:
        raise AssertionError("stores wait for nothing")

    def run(self, time: int) -> None:
        """Let time go by."""
        self.at += time
        self.up += time
