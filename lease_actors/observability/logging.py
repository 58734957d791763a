"""Log lines: each says whose they are, and carries the same fields for machines to read.

The program's own logging settings decide what is written where; nothing is configured here.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from lease_actors.errors import ClaimDenied, StoreError
from lease_actors.observability.events import (
    CallEnded,
    HoldEndangered,
    HoldLost,
    StoreRetried,
    TenureBegan,
    TenureEnded,
    Ticked,
)
from lease_actors.observability.hooks import Handlers

if TYPE_CHECKING:
    from lease_actors.core.model import Key

__all__ = ["FIELDS", "LoggingHook", "ManagerLog", "SafeLog", "fields"]

FIELDS: Final = (
    "action",
    "entity_uuid",
    "lease_namespace",
    "lease_model",
    "lease_name",
    "lease_holder",
    "lease_term",
)
"""On every record, None where one does not apply: a format string may name any of them."""

_LATE: Final = 1.0
"""From so many seconds on a late tick is worth a warning."""


def fields(
    action: str, key: Key | None = None, *, holder: str | None = None, term: int | None = None
) -> dict[str, object]:
    """The ``extra`` of a log line. ``action`` says in snake_case what happened."""
    extra: dict[str, object] = {"action": action, "lease_holder": holder, "lease_term": term}
    if key is not None:
        extra["lease_namespace"], extra["lease_model"], extra["lease_name"] = key
    return extra


class SafeLog(logging.LoggerAdapter["logging.Logger | logging.LoggerAdapter[Any]"]):
    """What a handler or a filter raises goes no further: the thread that had something to say goes on."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        # The adapter of the standard library would drop the caller's fields for its own.
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the place is not this one
        with contextlib.suppress(Exception):  # whom could it be told?
            super().log(level, msg, *args, **kwargs)


class ManagerLog(SafeLog):
    """A manager's log: each line begins with the first six characters of its entity uuid in
    brackets, and each record has all of :data:`FIELDS`.
    """

    def __init__(self, logger: logging.Logger, entity_uuid: str) -> None:
        super().__init__(logger, dict.fromkeys(FIELDS) | {"entity_uuid": entity_uuid})
        # The line is a format string, in which a % would ask for an argument.
        self._prefix = "[" + entity_uuid[:6].replace("%", "_") + "] "

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        msg, kwargs = super().process(msg, kwargs)
        return self._prefix + str(msg), kwargs


class LoggingHook(Handlers):
    """Writes what happened to a log.

    Debug: a claim denied, a tenure that began or ended. Warning: a transaction tried again, a
    tick more than a second late, a kept lease that is endangered or lost. Error: a call that
    ended in ``StoreError``. Of all other events it is told nothing.
    """

    def __init__(self, log: ManagerLog) -> None:
        self._log = log
        self._enabled = log.logger.isEnabledFor  # not through the adapter: half the cost
        self.handlers = {
            CallEnded: self._call_ended,
            StoreRetried: self._store_retried,
            TenureBegan: self._tenure_began,
            TenureEnded: self._tenure_ended,
            Ticked: self._ticked,
            HoldEndangered: self._hold_endangered,
            HoldLost: self._hold_lost,
        }
        self.wants = {
            CallEnded: None,  # of a call that failed it is told in any case
            TenureBegan: self._debugs,
            TenureEnded: self._debugs,
        }

    def _debugs(self) -> bool:
        return self._enabled(logging.DEBUG)

    def _call_ended(self, event: CallEnded) -> None:
        error = event.error
        if error is None:
            return
        if isinstance(error, ClaimDenied):
            self._claim_denied(event)
        elif isinstance(error, StoreError):
            self._store_failed(event, error)

    def _claim_denied(self, event: CallEnded) -> None:
        if self._debugs():
            call = event.call
            extra = fields("claim_denied", call.key, holder=call.who)
            self._log.debug("claim denied: %s", event.error, extra=extra)

    def _store_failed(self, event: CallEnded, error: StoreError) -> None:
        call = event.call
        self._log.error(
            "%s of lease %r failed for good in the store: %s (cause: %r)",
            call.kind,
            call.key.lease,
            error,
            error.__cause__,
            extra=fields("call_failed", call.key, holder=call.who),
        )

    def _store_retried(self, event: StoreRetried) -> None:
        error = event.error
        self._log.warning(
            "batch %d failed at attempt %d and is tried again in %.3f s: %r (cause: %r)",
            event.number,
            event.attempt,
            event.delay,
            error,
            error.__cause__,
            extra=fields("store_retried"),
        )

    def _tenure_began(self, event: TenureBegan) -> None:
        if not self._debugs():
            return
        queued = "" if event.waited is None else f" after {event.waited:.3f} s in the queue"
        self._log.debug(
            "lease %r attributed to %r under term %d%s",
            event.key.lease,
            event.holder,
            event.term,
            queued,
            extra=fields("tenure_began", event.key, holder=event.holder, term=event.term),
        )

    def _tenure_ended(self, event: TenureEnded) -> None:
        if not self._debugs():
            return
        self._log.debug(
            "lease %r of %r, term %d: %s",
            event.key.lease,
            event.holder,
            event.term,
            event.how,
            extra=fields("tenure_ended", event.key, holder=event.holder, term=event.term),
        )

    def _hold_endangered(self, event: HoldEndangered) -> None:
        self._log.warning(
            "lease %r of %r, term %d, is endangered: two thirds of its duration have passed"
            " without a renewal",
            event.key.lease,
            event.holder,
            event.term,
            extra=fields("hold_endangered", event.key, holder=event.holder, term=event.term),
        )

    def _hold_lost(self, event: HoldLost) -> None:
        level = logging.INFO if event.reason == "stopped" else logging.WARNING
        self._log.log(
            level,
            "lease %r of %r, term %d, is lost: %s",
            event.key.lease,
            event.holder,
            event.term,
            event.reason,
            extra=fields("hold_lost", event.key, holder=event.holder, term=event.term),
        )

    def _ticked(self, event: Ticked) -> None:
        if event.late > _LATE:
            self._log.warning(
                "the alarm for expiries rang %.3f s late: is the machine overloaded, or was it "
                "asleep?",
                event.late,
                extra=fields("tick_late"),
            )
