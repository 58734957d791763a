"""Several threads at once, whose failures are the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["together"]

T = TypeVar("T")

_PATIENCE = 120.0


def together(*works: Callable[[], T]) -> list[T]:
    """Run all at once, each in a thread; their results in order, or the first failure."""
    results: dict[int, T] = {}
    failures: list[BaseException] = []
    ready = threading.Barrier(len(works))

    def run(n: int, work: Callable[[], T]) -> None:
        try:
            ready.wait(_PATIENCE)
            results[n] = work()
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(n, work), name=f"together-{n}", daemon=True)
        for n, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)
    if failures:
        raise failures[0]
    assert len(results) == len(works), "a thread did not come back"
    return [results[n] for n in range(len(works))]
