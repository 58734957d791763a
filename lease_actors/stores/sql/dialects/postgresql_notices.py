"""Notices by LISTEN and NOTIFY: how they are written, and a thread that hears them.

One channel is for all managers on the tables, and one for each start: what is offered to a claim
concerns its own manager alone.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from lease_actors.core.model import ClaimId, Key, Notice
from lease_actors.observability.logging import SafeLog
from lease_actors.stores.base import Heard
from lease_actors.stores.sql.compiled import Call

__all__ = ["PostgresqlListener", "notify"]

_log = SafeLog(logging.getLogger(__name__))

_MOST = 7900
"""Bytes of a payload; the server refuses 8000."""
_NOTIFY = "SELECT pg_notify(%s, %s)"


def notify(shared: str, start: str, notices: Sequence[Notice]) -> list[Call]:
    """What passes the notices on, once this transaction is committed."""
    channels: dict[str, list[list[Any]]] = {}
    for key, claim, *offer in notices:
        if claim is None:
            channels.setdefault(shared, []).append([*key])
        else:
            said = offer if offer[0] else ()
            channels.setdefault(_own(claim.start), []).append([*key, claim.number, *said])
    return [Call(_NOTIFY, (channel, _write(start, look))) for channel, look in channels.items()]


def _own(start: str) -> str:
    return "lease_" + start


def _write(start: str, look: list[list[Any]]) -> str:
    payload = json.dumps({"from": start, "look": look})  # in ASCII: any encoding will do
    return payload if len(payload) <= _MOST else json.dumps({"from": start})


def _read(payload: str, me: str) -> list[Notice] | None:
    """The notices; none at all: look at everything; None: they are one's own."""
    said = json.loads(payload)
    if said.get("from") == me:
        return None
    return [
        Notice(Key(*entry[:3]), ClaimId(me, entry[3]), *entry[4:])
        if len(entry) > 3
        else Notice(Key(*entry))
        for entry in said.get("look", ())
    ]


class PostgresqlListener:
    """Hears what other starts tell, on a connection and a thread of its own.

    LISTEN succeeds behind a pooler in transaction mode, and then nothing ever comes. So it counts
    as working only while what it sends to itself, through another connection, arrives. It connects
    anew by itself, and says then that something may have been missed.
    """

    def __init__(
        self,
        engine: sa.Engine,
        shared: str,
        start: str,
        heard: Heard,
        *,
        quiet: float = 10.0,
        patience: float = 3.0,
    ) -> None:
        self.attempts = 0
        """How often it has connected, or tried to."""
        self._engine, self._shared, self._start, self._heard = engine, shared, start, heard
        self._quiet, self._patience = quiet, patience
        self._working = False
        self._sent: str | None = None
        self._pause = _FIRST_PAUSE
        self._ears, self._bell = socket.socketpair()
        self._thread = threading.Thread(
            target=self._run, name=f"lease listener {start[:6]}", daemon=True
        )
        self._thread.start()

    @property
    def working(self) -> bool:
        """Notices have been seen to arrive, and the connection has not failed since."""
        return self._working

    def close(self) -> None:
        """Hear nothing more. Waits a moment for the thread; one that connects just now ends later."""
        self._bell.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(self._patience)

    # -- its thread ----------------------------------------------------------------------

    def _run(self) -> None:
        with self._ears:
            while True:
                self.attempts += 1
                try:
                    self._listen()
                    return
                except Exception as error:
                    _log.debug("listening failed: %s", error)
                finally:
                    self._working, self._sent = False, None
                self._ears.settimeout(self._pause)
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                if self._is_closed():
                    return

    def _is_closed(self) -> bool:
        """Does the bell ring within the pause?"""
        try:
            self._ears.recv(1)
        except TimeoutError:
            return False
        return True

    def _listen(self) -> None:
        """Listen until it is closed; raises when the connection fails, or delivers nothing."""
        proxy = self._engine.raw_connection()
        driver: Any = proxy.driver_connection
        proxy.detach()
        try:
            driver.autocommit = True
            for channel in (self._shared, _own(self._start)):
                driver.execute(f'LISTEN "{channel}"')
            with selectors.DefaultSelector() as selector:
                selector.register(driver.pgconn.socket, selectors.EVENT_READ)
                selector.register(self._ears, selectors.EVENT_READ)
                self._attend(driver.pgconn, selector)
        finally:
            driver.close()

    def _attend(self, pgconn: Any, selector: selectors.BaseSelector) -> None:
        self._test()
        while True:
            ready = selector.select(self._quiet if self._sent is None else self._patience)
            if any(key.fileobj is self._ears for key, _ in ready):
                return
            if ready:
                pgconn.consume_input()
                for channel, payload in _arrived(pgconn):
                    self._take(channel, payload)
            elif self._sent is None:
                self._test()
            else:
                raise ConnectionError("notifications do not arrive here (a pooler in between?)")

    def _test(self) -> None:
        """Say something to oneself, as somebody else would: on another connection."""
        self._sent = f"test {self.attempts}"
        with self._engine.connect() as connection:
            Call(_NOTIFY, (_own(self._start), self._sent)).run(connection)
            connection.connection.commit()

    def _take(self, channel: str, payload: str) -> None:
        if payload == self._sent:
            self._sent = None
            if not self._working:
                self._working, self._pause = True, _FIRST_PAUSE
                self._tell([])  # who knows what was said before
        elif payload.startswith("{"):
            notices = _read(payload, self._start)
            if notices is not None:
                self._tell(notices)

    def _tell(self, notices: list[Notice]) -> None:
        try:
            self._heard(notices)
        except Exception:
            _log.exception("what was heard was not taken")


_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
"""Seconds before it connects anew, doubling."""


def _arrived(pgconn: Any) -> Iterator[tuple[str, str]]:
    while (notice := pgconn.notifies()) is not None:
        yield notice.relname.decode(), notice.extra.decode()
