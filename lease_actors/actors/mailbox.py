"""An actor's letters, gathered: however many come at once, the actor is told of them once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Mailbox:
    """Letters for an actor from many threads. ``tell`` says to it: look, there are some.

    A batch of 256 renewals is answered by 256 replies; as messages of their own each would wake
    the actor anew.
    """

    def __init__(self, tell: Callable[[], object]) -> None:
        self._tell = tell
        self._letters: deque[Any] = deque()
        self._told = False

    def put(self, letter: object) -> None:
        """Leave a letter."""
        self._letters.append(letter)
        if not self._told:
            try:
                self._told = True
                self._tell()
            except BaseException:  # Ctrl-C just here: told twice is better than never again
                self._told = False
                raise

    def take(self) -> list[Any]:
        """All letters, in order."""
        # Told first, taken afterwards: whoever comes in between tells again, for nothing.
        self._told = False
        letters = []
        while self._letters:
            letters.append(self._letters.popleft())
        return letters

    def __bool__(self) -> bool:
        return self._told or bool(self._letters)
