"""The five capabilities: each bound to one namespace of one model, each as narrow as its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from lease_actors.actors.door import Door
from lease_actors.actors.keeping import Keeping
from lease_actors.actors.kept import OnEndangered, OnLost
from lease_actors.actors.reads import Reads
from lease_actors.actors.reply import EndOfTenure, Reply, describe
from lease_actors.clock import from_instant, micros
from lease_actors.core.decide import standing_offer, stands
from lease_actors.core.model import ClaimId, Key, LeaseState
from lease_actors.core.operations import Check, Claim, Operation, Pin, Revoke, Unpin, Wait
from lease_actors.durations import Duration, as_timedelta, as_wait
from lease_actors.errors import NotValid, WaitCancelled
from lease_actors.held import ClaimFuture, Hold
from lease_actors.lease import Lease, Waiter, lease_of
from lease_actors.past import PastTenure, past_tenure_of, query_of

__all__ = ["Checker", "Claimer", "Pinner", "Reader", "Revoker", "Token"]

_CANCEL_POLL = 0.02
"""A cancel event of the caller's own is looked at so often (seconds of real time: the event is
outside the manager's clock)."""

NewClaimId: TypeAlias = Callable[[], ClaimId]


class _Capability:
    """Bound to one namespace of one model."""

    def __init__(self, door: Door, namespace: str, model_uuid: str) -> None:
        self._door = door
        self._namespace = namespace
        self._model_uuid = model_uuid

    @property
    def _scope(self) -> tuple[str, str]:
        return self._namespace, self._model_uuid

    def _key(self, lease: str) -> Key:
        return Key(self._namespace, self._model_uuid, lease)

    def _ask(self, operation: Operation, patience: int | None = None) -> Any:
        return self._door.ask(self._door.reply(Reply, operation, patience=patience))


class Claimer(_Capability):
    """Claims leases, and waits for their end."""

    def __init__(
        self,
        door: Door,
        namespace: str,
        model_uuid: str,
        new_id: NewClaimId,
        keeping: Keeping,
    ) -> None:
        super().__init__(door, namespace, model_uuid)
        self._new_id = new_id
        self._keeping = keeping

    def claim(
        self, lease: str, holder: str, duration: Duration, *, wait: Duration | None = 0
    ) -> Lease:
        """The holder has the lease until at least ``duration`` after this call began.

        Held by the same holder it is extended, never shortened. ``wait``: 0, have it at once or
        raise ``ClaimDenied``; a duration, queue for so long, then raise ``WaitTimeout``; None,
        queue for as long as it takes. A duration is a ``timedelta`` or seconds.

        Raises ``NotValid``, ``ClaimDenied`` (the holder certainly does not have it),
        ``WaitTimeout``, ``LeaseTimeout`` (infer nothing), ``StoreError``, ``ManagerStopped``.
        An exception that ends the call from outside (Ctrl-C) withdraws the claim.
        Source: SEMANTICS, "Claim".
        """
        result: Lease = self._door.ask(self._claim(lease, holder, duration, wait))
        return result

    def claim_future(
        self, lease: str, holder: str, duration: Duration, *, wait: Duration | None = None
    ) -> ClaimFuture:
        """The claim as a future: returns at once; everything that goes wrong comes out of it."""
        try:
            reply = self._claim(lease, holder, duration, wait)
        except NotValid as error:
            reply = ClaimFuture(claim_of(self._key(lease), holder, duration))
            reply.fail(error)
        else:
            self._door.post(reply)
        return reply

    def hold(
        self,
        lease: str,
        holder: str,
        duration: Duration,
        *,
        wait: Duration | None = None,
        on_lost: OnLost | None = None,
        on_endangered: OnEndangered | None = None,
    ) -> Hold:
        """A context manager: the lease is claimed, kept alive while the block runs, then released.

        Entering it claims as :meth:`claim` does, ``wait`` included (None: as long as it takes),
        raises what that raises, and gives a :class:`HeldLease`. (On PostgreSQL one that has waited
        begins as soon as its lease is on offer, which is confirmed a moment later.) The lease is
        renewed at a third of the duration. ``on_endangered()`` is called when two thirds have
        passed without a renewal; ``on_lost(reason)`` once, when it is lost. Leaving a block whose
        lease was lost raises ``LeaseLost``, unless the block raised something itself.
        Source: SEMANTICS, "Keeping".
        """
        key = self._key(lease)
        for name, callback in (("on_lost", on_lost), ("on_endangered", on_endangered)):
            if callback is not None and not callable(callback):
                raise NotValid(
                    f"cannot hold lease {lease!r} for holder {holder!r}:"
                    f" {name}={callback!r} cannot be called",
                    key=key,
                )
        claim = partial(self._claim, lease, holder, duration)
        return Hold(self._door, self._keeping, claim, key, holder, wait, on_lost, on_endangered)

    def wait_until_expired(
        self,
        lease: str,
        *,
        timeout: Duration | None = None,
        cancel: threading.Event | None = None,
        started: threading.Event | None = None,
    ) -> None:
        """Return when the tenure that stands now has ended; at once if none stands.

        ``started`` is set when the wait is registered, also if none stood. Raises ``WaitTimeout``
        after ``timeout``, ``WaitCancelled`` when ``cancel`` is set: nothing of it remains then.
        """
        operation = Wait(self._key(lease))
        if started is not None and not callable(getattr(started, "set", None)):
            what = f"cannot {describe(operation)}"
            raise NotValid(f"{what}: started={started!r} cannot be set", key=operation.key)
        wait = _wait_of(timeout, operation)
        reply = self._door.reply(
            EndOfTenure, operation, wait=wait, started=started, log=self._door.log
        )
        if cancel is None:
            self._door.ask(reply)
        else:
            self._watch(reply, cancel)

    def _watch(self, reply: EndOfTenure, cancel: threading.Event) -> None:
        error = WaitCancelled(f"cannot {reply.what}: it was cancelled", key=reply.key)
        try:
            self._door.post(reply)  # this thread looks after the event meanwhile
            while not (cancel.is_set() or reply.signal.wait(_CANCEL_POLL)):
                pass
            reply.withdraw(error)  # unless it is settled
            reply.get()
        except BaseException as cause:
            self._door.abandon(reply, cause)
            raise

    def _claim(
        self, lease: str, holder: str, duration: Duration, wait: Duration | None
    ) -> ClaimFuture:
        """A claim that is not on its way yet."""
        operation = claim_of(self._key(lease), holder, duration)
        limit = _wait_of(wait, operation)
        if limit != 0:  # it may be queued
            operation = replace(operation, claim=self._new_id())
        return self._door.reply(ClaimFuture, operation, wait=limit, door=self._door)


class Token:
    """Says whether a holder has a lease. Made without any check of its names."""

    def __init__(self, door: Door, key: Key, holder: str) -> None:
        self._door = door
        self._operation = Check(key, holder)

    def check(self) -> None:
        """Return if that holder's lease stands in the store at this moment, else ``NotHeld``.

        Asks the manager, in line with every other operation. Raises ``NotValid`` for the lease
        first, then for the holder.
        """
        self._door.ask(self._door.reply(Reply, self._operation))


class Checker(_Capability):
    """Hands out tokens."""

    def token(self, lease: str, holder: str) -> Token:
        """A token for that lease and holder; nothing is checked before its ``check``."""
        return Token(self._door, self._key(lease), holder)


class Pinner(_Capability):
    """Keeps leases from expiry and revocation."""

    def __init__(self, door: Door, namespace: str, model_uuid: str, reads: Reads) -> None:
        super().__init__(door, namespace, model_uuid)
        self._reads = reads

    def pin(self, lease: str, entity: str) -> None:
        """The lease neither expires nor is revoked until every entity that pinned it unpins it.

        Pinning twice is once. A lease that nobody holds may be pinned: the next claimant gets it
        pinned.
        """
        self._ask(Pin(self._key(lease), entity))

    def unpin(self, lease: str, entity: str) -> None:
        """Take that entity's pin away; the last one gone, the holder has its full duration again."""
        self._ask(Unpin(self._key(lease), entity))

    def pinned(self) -> dict[str, list[str]]:
        """The pinned leases of this namespace and model, each with the entities that pin it."""
        states, _ = self._reads.read(self._key(""), lambda store: store.leases(*self._scope))
        return {s.key.lease: sorted(s.pins) for s in states if s.pins}

    @contextmanager
    def pinning(self, lease: str, entity: str) -> Iterator[None]:
        """Pinned while the block runs.

        If it is not entered after all (``LeaseTimeout``, Ctrl-C), a pin that may have been written
        is taken away as soon as the store answers, within the manager's call_timeout.
        """
        try:
            self.pin(lease, entity)
        except NotValid:
            raise
        except BaseException:
            # Not waited for: whatever kept the pin from being answered may keep this, too.
            self._door.post(self._door.reply(Reply, Unpin(self._key(lease), entity)))
            raise
        try:
            yield
        finally:
            self.unpin(lease, entity)


class Reader(_Capability):
    """Reads snapshots; never delays a claim."""

    def __init__(self, door: Door, namespace: str, model_uuid: str, reads: Reads) -> None:
        super().__init__(door, namespace, model_uuid)
        self._reads = reads

    def leases(self) -> dict[str, str]:
        """The standing leases of exactly this namespace and model, each with its holder.

        One that is on offer already names the holder it is offered to, until the offer lapses.
        """
        states, now = self._reads.read(self._key(""), lambda store: store.leases(*self._scope))
        return {s.key.lease: holder for s in states if (holder := _holder(s, now)) is not None}

    def get(self, lease: str) -> Lease | None:
        """The lease as it stands, or None."""
        clock = self._door.clock
        sent = clock.steady()
        key = self._key(lease)
        state, now = self._reads.read(key, lambda store: store.get(key))
        tenure = state.tenure
        if tenure is None or not stands(state, now):
            return None
        until = sent + tenure.expiry - now
        return lease_of(state.key, tenure, bool(state.pins), until, clock, self._door.guard)

    def waiting(self, lease: str) -> list[Waiter]:
        """The blocked claims on the lease, in the order of the queue."""
        key = self._key(lease)
        waiters = self._reads.read(key, lambda store: store.waiting(key))
        return [Waiter(w.holder, i, from_instant(w.since)) for i, w in enumerate(waiters, 1)]

    def history(
        self,
        lease: str | None = None,
        *,
        limit: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[PastTenure]:
        """The tenures that ended while the store's history was on, the last to end first.

        Of one lease, or of all of this namespace and model; at most ``limit`` of them; ended at
        ``since`` or later, and before ``until`` (aware datetimes, of the store's time). Empty where
        the history was never on: ``store.set_history`` switches it on. Raises ``NotValid``.
        """
        query = query_of(*self._scope, lease, limit, since, until)
        records = self._reads.read(self._key(lease or ""), lambda store: store.history(query))
        return [past_tenure_of(past) for past in records]


class Revoker(_Capability):
    """Ends tenures."""

    def revoke(self, lease: str, holder: str, *, timeout: Duration | None = None) -> None:
        """That holder does not have the lease any more; it has gone to the queue's first.

        A lease that is missing or free is revoked already. Raises ``NotHeld`` if another holds
        it, ``LeasePinned``, and ``LeaseTimeout`` after ``timeout`` (the manager's call_timeout): if
        that was spent waiting for a guard it says so, and the tenure ends with that.
        """
        operation = Revoke(self._key(lease), holder)
        self._ask(operation, patience=_wait_of(timeout, operation))


# -- what the capabilities share ---------------------------------------------------------


def claim_of(key: Key, holder: str, duration: Any) -> Claim:
    """A claim with its duration as a ``timedelta``. What is none is left for the secretary to
    refuse, who refuses a wrong lease or holder first."""
    converted = as_timedelta(duration)
    return Claim(key, holder, duration if converted is None else converted)


def _wait_of(wait: Any, operation: Operation) -> int | None:
    if wait is None:
        return None
    return micros(as_wait(wait, lambda: describe(operation), operation.key))


def _holder(state: LeaseState, now: int) -> str | None:
    if state.tenure is not None and stands(state, now):
        return state.tenure.holder
    offer = standing_offer(state, now)
    return None if offer is None else offer.holder
