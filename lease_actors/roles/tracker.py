"""Who wants to lead, and wants to know at any moment whether it does."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timedelta, timezone
from enum import Enum
from types import TracebackType

from lease_actors.capabilities import Claimer
from lease_actors.durations import Duration, as_timedelta, as_timeout
from lease_actors.errors import LeaseError, ManagerStopped, NotValid, WaitTimeout
from lease_actors.held import HeldLease
from lease_actors.roles.candidacy import Candidacy
from lease_actors.roles.ticket import Ticket

__all__ = ["Tracker"]

_EXPIRES_FIRST = datetime.max.replace(tzinfo=timezone.utc)
"""A lease released at this instant is kept by nobody, and ends by its expiry."""

_LOOK = 1.0
"""So often (seconds) a leader looks whether it can answer who still waits: a renewal that failed tells nobody."""


class _State(Enum):
    STARTING = "it has not been answered yet"
    LEADER = "it leads"
    MINION = "another leads, or nobody"
    ENDED = "the tracker has ended"


class Tracker:
    """Keeps one holder a candidate for a lease, and answers at any moment whether it leads.

    Whoever is told so may rely on it for ``guarantee`` from then on (a ``timedelta`` or
    seconds), unless the lease is revoked: it is claimed for twice as long, and renewed in time.
    A store that does not answer ends nothing while the lease has time left.

    Runs when the constructor returns, until ``kill()``. As a guarantee outlives its tracker, the
    lease is then not released but left to expire, and a new tracker of the same holder goes on
    with it. Raises ``NotValid`` for a wrong ``guarantee``. Wrong names end it, and so does a
    duration, twice the ``guarantee``, that the secretary refuses: see ``wait``.
    """

    def __init__(self, claimer: Claimer, lease: str, holder: str, guarantee: Duration = 30) -> None:
        self._what = f"cannot track lease {lease!r} for holder {holder!r}"
        converted = as_timedelta(guarantee)
        if converted is None or not timedelta(0) < converted <= timedelta.max // 2:
            wrong = "is not a duration over zero, or is longer than any that can be claimed"
            raise NotValid(f"{self._what}: guarantee={guarantee!r} {wrong}")
        self._claimer, self._lease, self._holder = claimer, lease, holder
        self._guarantee, self._duration = converted, 2 * converted
        self._stop = threading.Event()
        self._candidacy = Candidacy(claimer, lease, holder, self._duration, self._stop)
        self._lock = threading.RLock()
        self._state = _State.STARTING
        self._term: HeldLease | None = None
        self._claims: list[Ticket] = []
        self._for_leader: list[Ticket] = []
        self._for_minion: list[Ticket] = []
        self._renewing = False
        self._error: BaseException | None = None
        self._pid = os.getpid()
        name = f"lease tracker {lease}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # -- questions -----------------------------------------------------------------------

    def claim_leader(self) -> Ticket:
        """Does it lead? True: it does, and will for ``guarantee`` from the answer on.

        Answered at once if that is known; else as soon as the store has, False if it has not.
        """
        return self._ask(self._claims)

    def wait_leader(self) -> Ticket:
        """True when it leads, as ``claim_leader`` has it, now or one day; False when the tracker ends."""
        return self._ask(self._for_leader)

    def wait_minion(self) -> Ticket:
        """True when it does not lead, now or from some time on; False when the tracker ends."""
        return self._ask(self._for_minion)

    def _ask(self, tickets: list[Ticket]) -> Ticket:
        ticket = Ticket()
        if self._pid != os.getpid():  # the lock may have been held at the fork
            ticket.close(False)
            return ticket
        with self._lock:
            tickets.append(ticket)
            self._answer()
        return ticket

    def _answer(self) -> None:
        """Answer what can be answered. (Under the lock.)"""
        match self._state:
            case _State.LEADER:
                self._answer_leader()
            case _State.MINION:
                _close(self._claims, False)
                _close(self._for_minion, True)
            case _State.ENDED:
                for tickets in (self._claims, self._for_leader, self._for_minion):
                    _close(tickets, False)

    def _answer_leader(self) -> None:
        assert self._term is not None
        if self._has_guarantee():
            _close(self._claims, True)
            _close(self._for_leader, True)
        elif (self._claims or self._for_leader) and not self._term.lost.is_set():
            self._renew()  # if it is lost, its end is about to answer them

    def _has_guarantee(self) -> bool:
        return self._term is not None and self._term.remaining() >= self._guarantee

    # -- renewing before an answer -------------------------------------------------------

    def _renew(self) -> None:
        """The keeper's renewals are late: ask for one more, once for all who want to know."""
        if not self._renewing:
            name = "lease tracker renewal"
            threading.Thread(
                target=self._ask_store, args=(self._term,), name=name, daemon=True
            ).start()
            self._renewing = True

    def _ask_store(self, term: HeldLease) -> None:
        """By a hold that shares the tenure: what a claim alone extends, the keeper would not know of,
        and give back when the time that it knows of is over."""
        try:
            with self._claimer.hold(self._lease, self._holder, self._duration, wait=0) as held:
                if held.term == term.term:  # else that is over: nobody relies on the next
                    held.release(at=_EXPIRES_FIRST)
        except LeaseError:
            pass  # what is left tells
        with self._lock:
            self._renewing = False
            leads = self._state is _State.LEADER and self._has_guarantee()
            _close(self._claims, leads)
            if leads:
                _close(self._for_leader, True)

    # -- its life ------------------------------------------------------------------------

    def kill(self) -> None:
        """End it, and return at once: every open ticket, and every later one, says False."""
        if self._pid == os.getpid():
            self._stop.set()
            self._end()
            self._candidacy.call_off()

    def wait(self, timeout: Duration | None = None) -> None:
        """Return when it has ended; raise what ended it, if that was not ``kill()``.

        Raises ``WaitTimeout`` if it has not within ``timeout``.
        """
        limit = as_timeout(timeout, f"wait for the end of the tracker of {self._lease!r}")
        if self._pid != os.getpid():
            raise ManagerStopped("the tracker belongs to the parent of this forked process")
        self._thread.join(limit)
        if self._thread.is_alive():
            raise WaitTimeout(f"the tracker of {self._lease!r} has not ended within {limit:g} s")
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if self._pid == os.getpid():
            self._thread.join()
            if error is None:
                self.wait()

    def _run(self) -> None:
        elected = False
        try:
            while elected or not self._stop.is_set():
                with self._candidacy.term() as term:
                    if term is not None:
                        self._serve(term)
                if term is None:
                    self._become(_State.MINION)
                elected = term is None and self._candidacy.wait()
        except BaseException as error:
            if not self._stop.is_set():
                self._error = self._in_words(error)
        finally:
            self._end()

    def _in_words(self, error: BaseException) -> BaseException:
        """What is refused may be a duration that nobody knows of but this tracker."""
        if not isinstance(error, NotValid):
            return error
        twice = f"claimed for twice the guarantee of {self._guarantee}"
        refused = NotValid(f"{self._what}, {twice}: {error}", key=error.key)
        refused.__cause__ = error
        return refused

    def _serve(self, term: HeldLease) -> None:
        self._become(_State.LEADER, term)
        while not term.lost.wait(_LOOK):
            with self._lock:
                self._answer()
        self._become(_State.MINION)
        # Also if it has served nobody: it may be the tenure of the tracker before this one.
        term.release(at=_EXPIRES_FIRST)

    def _become(self, state: _State, term: HeldLease | None = None) -> None:
        with self._lock:
            if self._state is not _State.ENDED:
                self._state, self._term = state, term
                self._answer()

    def _end(self) -> None:
        with self._lock:
            self._become(_State.ENDED)


def _close(tickets: list[Ticket], answer: bool) -> None:
    for ticket in tickets:
        ticket.close(answer)
    tickets.clear()
