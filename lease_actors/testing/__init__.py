"""For your own tests: a clock that you move, and a suite for stores that you write.

With pytest the fixtures ``lease_clock`` and ``lease_manager`` are there without an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lease_actors.testing.clock import FakeClock

if TYPE_CHECKING:
    from lease_actors.testing.conformance import StoreConformance

__all__ = ["FakeClock", "StoreConformance"]


def __getattr__(name: str) -> Any:
    # The suite needs pytest, the clock does not: whoever wants the clock alone may have no pytest.
    if name == "StoreConformance":
        from lease_actors.testing.conformance import StoreConformance

        return StoreConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
