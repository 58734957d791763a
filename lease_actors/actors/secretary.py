"""The SecretaryActor: one a namespace; what it finds valid goes on to the manager."""

from __future__ import annotations

from typing import Any

import pykka

from lease_actors.actors.base import Gone, LeaseActor, tell
from lease_actors.actors.failures import stopped
from lease_actors.actors.reply import Reply
from lease_actors.errors import NotValid
from lease_actors.secretaries import Secretary, validate


class SecretaryActor(LeaseActor):
    """Validates and passes on; never waits for an answer. A slow one delays its own namespace only."""

    def __init__(
        self, namespace: str, secretary: Secretary, manager: pykka.ActorRef[Any], gone: Gone
    ) -> None:
        super().__init__(gone)
        self._namespace = namespace
        self._secretary = secretary
        self._manager = manager

    def thread_name(self) -> str:
        return f"lease SecretaryActor {self._namespace}"

    def handle(self, message: object) -> None:
        assert isinstance(message, Reply)
        if message.is_settled or message.operation is None:
            return  # its caller has gone
        try:
            validate(self._secretary, message.operation)
        except NotValid as error:
            message.fail(error)
            return
        if not tell(self._manager, message):
            message.fail(stopped(message))
