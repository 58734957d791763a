"""Standing for a lease, in a way that another thread can call off at any moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lease_actors.capabilities import Claimer
from lease_actors.durations import Duration
from lease_actors.errors import ClaimDenied, LeaseError, LeaseLost, LeaseTimeout, WaitCancelled
from lease_actors.held import ClaimFuture, HeldLease

__all__ = ["Candidacy"]


class Candidacy:
    """One holder's candidacy for one lease: term after term, until ``stop`` is set."""

    def __init__(
        self,
        claimer: Claimer,
        lease: str,
        holder: str,
        duration: Duration,
        stop: threading.Event,
    ) -> None:
        self._claimer = claimer
        self._lease, self._holder, self._duration = lease, holder, duration
        self._stop = stop
        self._future: ClaimFuture | None = None
        self._lost: threading.Event | None = None

    def call_off(self) -> None:
        """``stop`` is set: leave the queue; and if a term is being served, set its ``lost``.

        For another thread than the one that stands.
        """
        # ``stop`` is set before the two are read here, and looked at after each of them is
        # written there: of two threads that come here and there at once, one at least sees what
        # the other has done.
        future, lost = self._future, self._lost
        if future is not None:
            future.cancel()
        if lost is not None:
            lost.set()

    @contextmanager
    def term(self) -> Iterator[HeldLease | None]:
        """The lease, kept alive while the block runs; None if it is not to be had at once.

        That it is lost ends the block's term and nothing else: the ``LeaseLost`` of it stays in
        here. What else the block raises comes out, after the lease has been released.
        """
        held: HeldLease | None = None
        try:
            with ExitStack() as stack:
                held = self._try(stack)
                yield held
        except LeaseLost as error:
            if held is None or error.key != held.key or not held.lost.is_set():
                raise
        finally:
            self._lost = None

    def _try(self, stack: ExitStack) -> HeldLease | None:
        hold = self._claimer.hold(self._lease, self._holder, self._duration, wait=0)
        try:
            held = stack.enter_context(hold)
        except (ClaimDenied, LeaseTimeout):
            return None
        self._lost = held.lost
        if self._stop.is_set():
            held.lost.set()
        return held

    def wait(self) -> bool:
        """Queue for the lease. True: it was attributed, so enter ``term``, if only to leave it.

        False: ``stop`` is set. A store that does not answer is waited for; what else goes wrong is
        raised.
        """
        while not self._stop.is_set():
            try:
                if self._queue():
                    return True
            except LeaseTimeout:
                pass  # the manager has tried again and again, with pauses: no need for one here
        return False

    def _queue(self) -> bool:
        claim = self._claimer.claim_future(self._lease, self._holder, self._duration, wait=None)
        self._future = claim
        try:
            if self._stop.is_set():
                claim.cancel()
            claim.get()
        except WaitCancelled:
            return False
        except LeaseError:
            raise
        except BaseException:  # Ctrl-C
            if not claim.cancel():
                self._give_back()
            raise
        finally:
            self._future = None
        return True

    def _give_back(self) -> None:
        try:
            with self.term():
                pass
        except LeaseError:
            pass  # then it is left to expire
