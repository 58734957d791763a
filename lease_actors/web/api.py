"""What is under ``/api``: leases, queues and history as JSON; revoke and pin for who may."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import BadRequest, Forbidden, Unauthorized
from werkzeug.wrappers import Request

from lease_actors import errors
from lease_actors.core.model import Key
from lease_actors.manager import Manager
from lease_actors.overview import past_dict, recognised, waiter_dict

__all__ = ["Api", "status_of"]

_MOST_TENURES = 1000
_MOST_BODY = 64 * 1024

_STATUS: dict[type[BaseException], int] = {
    errors.NotValid: 400,
    errors.NotHeld: 409,
    errors.LeasePinned: 409,
    errors.LeaseTimeout: 504,
    errors.LeaseError: 503,
}


def status_of(error: errors.LeaseError) -> int:
    """The HTTP status that stands for the error: that of its own kind, or of the nearest above."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


class Api:
    """Answers with values that are ready for JSON; raises ``LeaseError`` or ``HTTPException``."""

    def __init__(self, manager: Manager, token: str | None) -> None:
        self._manager = manager
        self._token = token
        self._overview = manager.overview()
        self._reads: dict[str, Callable[[Request], Any]] = {
            "leases": self._leases,
            "lease": self._lease,
            "history": self._history,
            "report": lambda request: self._manager.report(),
        }
        self._writes = {"revoke": self._revoke, "pin": self._pin, "unpin": self._unpin}

    @property
    def writable(self) -> bool:
        """Whether anybody may change anything."""
        return self._token is not None

    def call(self, endpoint: str, request: Request) -> Any:
        """The answer of that endpoint."""
        if endpoint in self._reads:
            return self._reads[endpoint](request)
        self._admit(request)
        return self._writes[endpoint](_body(request))

    # -- looking -------------------------------------------------------------------------

    def _leases(self, request: Request) -> Any:
        namespace = request.args.get("namespace")
        place = () if namespace is None else (namespace, request.args.get("model", ""))
        return {"leases": [view.as_dict() for view in self._overview.leases(*place)]}

    def _lease(self, request: Request) -> Any:
        key = _key(request.args)
        queue = [waiter_dict(w) for w in self._overview.waiting(key)]
        return {**recognised(self._overview, key).as_dict(), "queue": queue}

    def _history(self, request: Request) -> Any:
        key, limit = _key(request.args), request.args.get("limit", default=100, type=int)
        tenures = self._overview.history(*key, limit=min(max(limit, 1), _MOST_TENURES))
        if not tenures:
            recognised(self._overview, key)
        return {
            "kept": self._overview.retention() is not None,
            "tenures": [past_dict(tenure) for tenure in tenures],
        }

    # -- changing ------------------------------------------------------------------------

    def _admit(self, request: Request) -> None:
        """A bearer token is never sent by a browser of its own accord, so no foreign page can
        make it act."""
        if self._token is None:
            raise Forbidden("this page only reads: it was started without a token")
        # Not as werkzeug parses it, which takes a token with a "=" in it for something else.
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Unauthorized("send the token: Authorization: Bearer …")
        if not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            raise Unauthorized("that is not the token")

    def _revoke(self, body: dict[str, Any]) -> Any:
        key = _key(body)
        self._manager.revoker(*key[:2]).revoke(key.lease, _text(body, "holder"))
        return self._overview.lease(key).as_dict()

    def _pin(self, body: dict[str, Any]) -> Any:
        key = _key(body)
        self._manager.pinner(*key[:2]).pin(key.lease, _text(body, "entity"))
        return self._overview.lease(key).as_dict()

    def _unpin(self, body: dict[str, Any]) -> Any:
        key = _key(body)
        self._manager.pinner(*key[:2]).unpin(key.lease, _text(body, "entity"))
        return self._overview.lease(key).as_dict()


def _body(request: Request) -> dict[str, Any]:
    if (request.content_length or 0) > _MOST_BODY:
        raise BadRequest("the body is too long")
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _key(values: Any) -> Key:
    model = values.get("model") or ""
    if not isinstance(model, str):
        raise BadRequest("'model' must be text")
    return Key(_text(values, "namespace"), model, _text(values, "lease"))


def _text(values: Any, name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name!r} is missing")
    return value
