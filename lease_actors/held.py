"""What a claimer gets: a future of the lease; or the lease itself, kept alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from lease_actors.actors.attributed import Attribution
from lease_actors.actors.door import Door
from lease_actors.actors.keeping import Keeping
from lease_actors.actors.kept import Entry, OnEndangered, OnLost, Share
from lease_actors.actors.losing import error_of
from lease_actors.actors.reply import Reply
from lease_actors.actors.threads import serves
from lease_actors.clock import from_instant, micros, to_instant
from lease_actors.core.model import Key
from lease_actors.core.operations import Claim
from lease_actors.durations import Duration, as_timedelta
from lease_actors.errors import ClaimDenied, NotValid, WaitCancelled, WaitTimeout
from lease_actors.lease import Lease, lease_of

__all__ = ["ClaimFuture", "HeldLease", "Hold"]

_NEVER = (WaitCancelled, WaitTimeout, ClaimDenied, NotValid)
"""What a claim can have ended with so that it certainly was not attributed."""

_PATIENCE = 2.0
"""Seconds for which the end of a block waits for its release. (Real time: a store that hangs, or
waits for a transaction of the caller's own, must not keep the block from ending.)"""


class ClaimFuture(Reply[Lease]):
    """A claim on its way: a Pykka future of the lease.

    A future that nobody keeps stays in the queue. As a context manager: leaving it cancels a
    claim that has not been attributed.
    """

    def __init__(self, *args: Any, door: Door | None = None, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self._door = door

    def get(self, *, timeout: Duration | None = None) -> Lease:
        """The lease, as soon as it is attributed.

        Raises what refused it (``NotValid``, ``ClaimDenied``, ``WaitTimeout``, …), and
        ``pykka.Timeout`` after ``timeout``: then the claim is still on its way.
        """
        return super().get(timeout=timeout)

    def cancel(self) -> bool:
        """Withdraw the claim. True: it will never be attributed. False: it has been, or may be.

        A future that is derived from another (by ``map``, ``filter``, …) withdraws nothing, and
        says False: cancel the claim's own.
        """
        if self._get_hook is not None:
            return False
        error = WaitCancelled(f"cannot {self.what}: it was cancelled", key=self.key)
        return self.withdraw(error) or isinstance(self.error, _NEVER)

    def __enter__(self) -> ClaimFuture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def present(self, value: Any) -> Lease:
        if self._door is None:
            return super().present(value)  # a future derived from another (map, filter, …)
        return _lease(value, self._door)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease(Lease):
    """A lease that is kept alive while the block of its ``hold()`` runs.

    ``lost`` is set at the latest when the lease is not certain any more, whatever hangs. The
    other fields are as they were when it was attributed. It must not outlive its process: in a
    forked child it is lost, and pickled it is a plain ``Lease``.
    """

    lost: threading.Event = field(repr=False, compare=False)
    _share: Share = field(repr=False, compare=False)
    _keeping: Keeping = field(repr=False, compare=False)
    _steady: Callable[[], int] = field(repr=False, compare=False)

    def check(self) -> None:
        """Return if the lease is certain to be held at this moment, else raise ``LeaseLost``.

        It asks nobody but the clock, and takes less than a microsecond.
        """
        if self._share.limit <= self._steady():
            self._keeping.verify(self._share)

    def guard(self, connection_or_session: Any) -> None:
        """As :meth:`Lease.guard`; it waits until the hand-over of the lease is confirmed."""
        self._keeping.confirm(self._share)
        Lease.guard(self, connection_or_session)

    @property
    def deadline(self) -> datetime:
        """Up to when the lease is certain, by this machine's wall clock; moves with each renewal.

        The instant before the last successful request was sent, plus the duration less 0.1 %. It
        waits until the hand-over of the lease is confirmed, as ``remaining()`` does.
        """
        self._keeping.confirm(self._share)
        assert self._clock is not None
        return from_instant(self._clock.wall() + self._share.kept.deadline - self._steady())

    def remaining(self) -> timedelta:
        """For how long the lease is certain from now on; never negative, and zero once it is lost."""
        self._keeping.confirm(self._share)
        return timedelta(microseconds=max(0, self._share.limit - self._steady()))

    def release(self, *, at: datetime | None = None) -> None:
        """End the lease before the block does, now or at the instant ``at`` (of the store, aware).

        With ``at`` it is kept by nobody from now on and ends there, if it does not expire before;
        also if the manager stops meanwhile. A tenure that another ``hold()`` shares goes on until
        that one ends. The rest of the block holds nothing, and leaving it raises nothing. Raises
        ``NotValid`` if ``at`` is not an aware ``datetime``.
        """
        if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
            raise NotValid(
                f"cannot release lease {self.key.lease!r} for holder {self.holder!r}:"
                f" {at!r} is not an aware datetime",
                key=self.key,
            )
        self._share.released = True
        _leave(self._keeping, self._share, None if at is None else to_instant(at))


class Hold:
    """A context manager of a :class:`HeldLease`: claims on entry, keeps the lease alive while the
    block runs, and then releases it.
    """

    def __init__(
        self,
        door: Door,
        keeping: Keeping,
        claim: Callable[[Duration | None], ClaimFuture],
        key: Key,
        holder: str,
        wait: Duration | None,
        on_lost: OnLost | None,
        on_endangered: OnEndangered | None,
    ) -> None:
        self._door, self._keeping, self._claim = door, keeping, claim
        self._key, self._holder, self._wait = key, holder, wait
        self._on_lost, self._on_endangered = on_lost, on_endangered
        self._share: Share | None = None
        self._in_use = threading.Lock()

    def __enter__(self) -> HeldLease:
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError("this hold() is in use: call hold() once for each block")
        try:
            return self._enter()
        except BaseException:
            self._in_use.release()
            raise

    def _enter(self) -> HeldLease:
        entry = Entry(self._on_lost, self._on_endangered)
        try:
            self._keeping.enter(entry, self._key, self._holder)
            held = self._begin(entry)
            self._keeping.entered(entry)
            return held
        except BaseException:  # whatever it has by now, no block will end it
            self._share = None
            try:
                if entry.share is not None:
                    _leave(self._keeping, entry.share)
            finally:
                self._keeping.entered(entry)
            raise

    def _begin(self, entry: Entry) -> HeldLease:
        began, wait = self._door.clock.steady(), self._wait
        while True:
            self._keeping.claiming(entry)
            reply = self._claim(wait)
            reply.takes_offers = True  # what is kept alive has a deadline from the first moment
            try:
                attribution = self._answer(reply)
                assert isinstance(reply.operation, Claim)
                duration = micros(reply.operation.duration)
                share = self._keeping.keep(entry, attribution, duration)
            except BaseException as error:
                if entry.share is None:  # else that is left
                    self._door.abandon(reply, error)
                raise
            if share is not None:
                self._share = share
                return self._held(attribution, share)
            wait = self._left(began)

    def _answer(self, reply: ClaimFuture) -> Attribution:
        self._door.send(reply)
        self._door.wait(reply)
        if reply.error is not None:
            raise reply.error
        value: Any = reply.value
        assert isinstance(value, Attribution)
        return value

    def _left(self, began: int) -> Duration | None:
        """The tenure that was attributed is being released: how long may the next claim take?"""
        whole = None if self._wait is None else as_timedelta(self._wait)
        if not whole:
            return whole
        gone = timedelta(microseconds=self._door.clock.steady() - began)
        return max(timedelta(microseconds=1), whole - gone)

    def _held(self, attribution: Attribution, share: Share) -> HeldLease:
        clock = self._door.clock
        lease = _lease(attribution, self._door)
        values = {name: getattr(lease, name) for name in lease.__slots__}
        return HeldLease(
            **values, lost=share.lost, _share=share, _keeping=self._keeping, _steady=clock.steady
        )

    def keeps(self) -> bool:
        """Whether nobody else can have the lease: also while the manager stops, and ``check`` raises."""
        return self._share is not None and self._keeping.keeps(self._share)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        share = self._share
        assert share is not None
        try:
            _leave(self._keeping, share)
        except BaseException:  # Ctrl-C just here: the block has ended all the same
            self._keeping.leave(share)
            raise
        self._share = None
        self._in_use.release()
        lost = share.reason is not None or share.known is not None
        if lost and not share.released and error is None:
            raise error_of(share)


def _lease(given: Attribution, door: Door) -> Lease:
    return lease_of(given.key, given.tenure, given.pinned, given.until, door.clock, door.guard)


def _leave(keeping: Keeping, share: Share, at: int | None = None) -> None:
    release = keeping.leave(share, at)
    if release is not None and not serves():
        release.signal.wait(_PATIENCE)
