"""Ctrl-C at a place that a test chooses: an exception raised there, as a signal's handler does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class _Cut:
    """Stands in for a function: raises once, in the main thread, before or after its work."""

    def __init__(self, function: Callable[..., Any], *, after: bool) -> None:
        self._function, self._after = function, after
        self._done = False

    def __call__(self, *args: Any, **fields: Any) -> Any:
        if self._done or threading.current_thread() is not threading.main_thread():
            return self._function(*args, **fields)
        self._done = True
        if self._after:
            self._function(*args, **fields)
        raise KeyboardInterrupt


@contextmanager
def cut(owner: Any, name: str, *, after: bool = False) -> Iterator[None]:
    """The block is interrupted where it calls that function of a module or an object, or of what
    that has (a name with dots), and ends with ``KeyboardInterrupt``."""
    *way, name = name.split(".")
    for step in way:
        owner = getattr(owner, step)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(owner, name, _Cut(getattr(owner, name), after=after))
        yield
