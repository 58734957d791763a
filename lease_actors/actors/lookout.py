"""Looks out for what other managers do, as long as somebody waits here.

By the store's notices where they arrive, and by looking (``Store.peek``) where they do not; once
a second in any case, so that a lost notice costs no more. While nobody waits here it sleeps, and
costs the database nothing.

It sleeps in real time, not by the manager's clock: what other processes do does not follow that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from lease_actors.actors.runtime import Runtime
from lease_actors.actors.threads import ServiceThread
from lease_actors.core.model import Key, Notice
from lease_actors.stores.base import Listener, Peek, Store

_BESIDES = 1.0
"""Seconds between looks where notices arrive: one may be lost, and of an offer to somebody else
nobody is told, though it may have been made to a process that is dead."""
_FIRST, _GROWTH = 0.002, 1.25
_LAST_CHEAP, _LAST = 0.02, 0.04
"""Seconds between looks where they do not: soon after something has changed, then ever more
seldom; the last less seldom where the store says cheaply that nothing has changed."""
_WHOLE = 0.25
"""Seconds after which a look is at the leases, too, and not just for offers: with many who wait
for one lease, each change would else have all of them read it."""
_LINGER = 30.0
"""Seconds for which the listener is kept when nobody waits any more."""
_MOST = 256
"""So many leases are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Called:
    """The store says that these claims have their turn."""

    notices: Sequence[Notice]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store has for those who wait here; steady: asked for, and read."""

    peek: Peek
    sent: int
    at: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """The store could not be reached."""

    error: BaseException


class Lookout:
    """A daemon thread of its own, since a look may hang; what it sees is told as messages."""

    def __init__(
        self, runtime: Runtime, start: Callable[[], str], tell: Callable[[object], object]
    ) -> None:
        self._runtime = runtime
        self._start = start
        self._tell = tell
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._followed: dict[Key, None] = {}
        self._urgent: dict[Key, None] = {}
        self._everything = False
        self._added = False
        """Leases were, since the last look. The version may have been read after one of them had
        changed, and before it was followed."""
        self._early: dict[Key, None] = {}
        """Heard of, while the news that somebody waits here for it was still on the way."""
        self._closed = False
        self._listener: Listener | None = None
        self._listening_as: str | None = None
        """The start for which listening was tried last; None: not since somebody waits."""
        self._pause = _FIRST
        self._version: int | None = None
        self._waited = 0.0
        """Seconds since the last look at leases."""
        self._behind = 0
        """So many leases have not been looked at since the version became what it is."""
        self._thread = ServiceThread(self._run, f"lease lookout {runtime.label}")
        self._thread.start()

    def follow(self, added: Sequence[Key], removed: Sequence[Key]) -> None:
        """Somebody waits here for these leases; for those nobody any more."""
        with self._lock:
            for key in added:
                self._followed[key] = None
                if key in self._early:
                    del self._early[key]
                    self._urgent[key] = None
            self._added |= bool(added)
            for key in removed:
                self._followed.pop(key, None)
        if added:
            self._pause = _FIRST
            self._bell.set()

    def close(self) -> None:
        """Look no more; does not wait."""
        self._closed = True
        self._bell.set()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    # -- on the store's thread -----------------------------------------------------------

    def _heard(self, notices: Sequence[Notice]) -> None:
        calls = [n for n in notices if n.claim is not None]
        if calls:
            self._tell(Called(calls))
        with self._lock:
            for key in [n.key for n in notices if n.claim is None]:
                if key in self._followed:
                    self._urgent[key] = None
                else:
                    self._early[key] = None
            while len(self._early) > _MOST:
                del self._early[next(iter(self._early))]
            self._everything |= not notices
            urgent = bool(self._urgent or self._everything)
        if urgent:
            self._bell.set()

    # -- on its own ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closed:
                self._bell.clear()
                if self._followed:
                    self._listen()
                    pause = self._next_pause()
                    self._bell.wait(pause)
                    self._waited += pause
                    if not self._closed:
                        self._look()
                elif not self._bell.wait(_LINGER if self._listener is not None else None):
                    self._stop_listening()
        finally:
            self._stop_listening()

    def _next_pause(self) -> float:
        listener = self._listener
        if self._urgent or self._everything:
            return 0
        if listener is None or not listener.working:
            return self._pause
        return _BESIDES

    def _listen(self) -> None:
        start = self._start()
        if start == self._listening_as:
            return
        self._stop_listening()
        self._listening_as = start
        try:
            self._listener = self._runtime.store.listen(start, self._heard)
        except Exception as error:  # it will be looked for, then
            self._log("listening failed: %s", error)
        with self._lock:
            self._everything = True  # what was told before was told to nobody

    def _stop_listening(self) -> None:
        listener, self._listener, self._listening_as = self._listener, None, None
        if listener is not None:
            try:
                listener.close()
            except Exception as error:
                self._log("closing the listener failed: %s", error)

    def _look(self) -> None:
        chunks, urgent = self._take()
        if not chunks:
            return
        store, clock = self._runtime.store, self._runtime.clock
        try:
            version = store.version()
            last = _LAST if version is None else _LAST_CHEAP
            self._pause = min(self._pause * _GROWTH, last)
            with self._lock:
                added, self._added = self._added, False
            if added or version is None or version != self._version:
                self._behind = len(self._followed)
            self._version = version
            if not urgent and not self._is_due(store):
                return
            self._waited = 0.0
            if not urgent:
                self._behind -= len(chunks[0])
                self._put_last(chunks[0])
            for keys in chunks:
                sent = clock.steady()
                peek = store.peek(self._start(), keys)
                self._tell(Seen(peek, sent, clock.steady()))
                if peek.offers:
                    self._pause = _FIRST
        except Exception as error:  # of whatever kind: the next look finds out
            self._pause, self._version = _BESIDES, None
            self._log("looking failed: %s", error)
            self._tell(Unseen(error))

    def _is_due(self, store: Store) -> bool:
        """Has something changed, and is it an offer, or time to look at the leases?"""
        if self._behind <= 0:
            return False
        return self._waited >= _WHOLE or store.offered(self._start())

    def _take(self) -> tuple[list[list[Key]], bool]:
        """The leases to look at now, in bearable portions; and whether somebody says so.

        If nobody does, one portion of all: the same again until it is looked at.
        """
        with self._lock:
            urgent = bool(self._urgent or self._everything)
            if urgent:
                wanted = self._followed if self._everything else self._urgent
                keys = [key for key in wanted if key in self._followed]
                self._urgent, self._everything = {}, False
            else:
                keys = list(islice(self._followed, _MOST))
        return [keys[i : i + _MOST] for i in range(0, len(keys), _MOST)], urgent

    def _put_last(self, keys: Sequence[Key]) -> None:
        """The next portion is of those behind these."""
        with self._lock:
            for key in keys:
                if key in self._followed:
                    self._followed[key] = self._followed.pop(key)

    def _log(self, text: str, error: BaseException) -> None:
        self._runtime.log.debug(text, error, extra={"action": "lookout"})
