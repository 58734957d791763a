"""A leader, elected again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lease_actors.capabilities import Claimer
from lease_actors.durations import Duration
from lease_actors.errors import NotValid
from lease_actors.held import HeldLease
from lease_actors.roles.candidacy import Candidacy

__all__ = ["Election"]

_LOOK = 0.05
"""Seconds of real time after which a thread that waits for a stop sees that nobody needs it any
more. (The event is the caller's own, outside the manager's clock.)"""


class Election:
    """Of all candidates of one name, across threads, processes and machines, one leads at a time.

    The lease is ``name``, its holder ``candidate``: a name that stands for this one contender, so
    put the host and the process into it. A leader that dies is succeeded within ``duration``
    (a ``timedelta`` or seconds).
    """

    def __init__(
        self, claimer: Claimer, name: str, candidate: str, duration: Duration = 30
    ) -> None:
        self._claimer = claimer
        self.name = name
        self.candidate = candidate
        self.duration = duration

    def run(
        self, lead: Callable[[HeldLease], object], *, stop: threading.Event | None = None
    ) -> None:
        """Stand for election, call ``lead(term)`` when elected, and again, until ``stop`` is set.

        ``lead`` runs in this thread, and only while this candidate leads: it must return soon
        after ``term.lost`` is set. Then no two leaders' calls ever overlap, because the lease is
        renewed until ``lead`` has really returned, and given away only after that. Returning
        earlier resigns and stands again, at the end of the queue. Raising resigns, and ``run``
        raises that error; but a ``LeaseLost`` of this very term is its end and no error.

        When ``stop`` is set, a candidate leaves the queue, a leader's ``term.lost`` is set, and
        ``run`` returns as soon as ``lead`` has. A signal handler may set it; let ``lead`` wait
        for ``term.lost`` then, not for ``stop``.

        Raises ``ManagerStopped`` when the manager stops, ``NotValid`` for a wrong name or
        duration, ``StoreError``. A store that does not answer is waited for.
        """
        if not callable(lead):
            raise NotValid(f"cannot run election {self.name!r}: lead={lead!r} cannot be called")
        end = threading.Event() if stop is None else stop
        candidacy = Candidacy(self._claimer, self.name, self.candidate, self.duration, end)
        elected = False
        with _called_off_by(stop, candidacy):
            # What was attributed is entered even if the end has come by now: to be released.
            while elected or not end.is_set():
                with candidacy.term() as term:
                    if term is not None and not end.is_set():
                        lead(term)
                elected = term is None and candidacy.wait()


@contextmanager
def _called_off_by(stop: threading.Event | None, candidacy: Candidacy) -> Iterator[None]:
    """Call the candidacy off when the event is set, if there is one.

    The event is waited for on a thread of its own and never on the caller's: a signal handler
    that interrupts an ``Event.wait`` must not set that event, because the thread which it has
    interrupted may hold the event's lock.
    """
    if stop is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(_LOOK):
                candidacy.call_off()
                return

    thread = threading.Thread(target=watch, name="lease election stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
