"""What the callbacks of a hold have told."""

from __future__ import annotations

import threading

from support.faults import PATIENCE


class Story:
    """What the callbacks of a hold have told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._changed = threading.Condition()

    def tell(self, what: str) -> None:
        with self._changed:
            self.told.append(what)
            self._changed.notify_all()

    def endangered(self) -> None:
        self.tell("endangered")

    def of(self, count: int) -> list[str]:
        """So many things that were told, as soon as they were."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.told) >= count, PATIENCE), self.told
            return list(self.told)
