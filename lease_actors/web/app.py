"""The WSGI application: the page, its JSON, metrics, health."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from lease_actors.errors import LeaseError
from lease_actors.manager import Manager
from lease_actors.web.api import Api, status_of

try:
    from jinja2 import Environment, PackageLoader
    from werkzeug.exceptions import HTTPException, NotFound
    from werkzeug.routing import Map, RequestRedirect, Rule
    from werkzeug.utils import redirect
    from werkzeug.wrappers import Request, Response
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "lease_actors.web needs an extra: pip install 'lease-actors[web]'", name=error.name
    ) from error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["LeasesApp"]

_ROUTES = Map(
    [
        Rule("/", endpoint="page", methods=["GET"]),
        Rule("/static/<name>", endpoint="static", methods=["GET"]),
        Rule("/metrics", endpoint="metrics", methods=["GET"]),
        Rule("/healthz", endpoint="healthz", methods=["GET"]),
        Rule("/api/leases", endpoint="leases", methods=["GET"]),
        Rule("/api/lease", endpoint="lease", methods=["GET"]),
        Rule("/api/history", endpoint="history", methods=["GET"]),
        Rule("/api/report", endpoint="report", methods=["GET"]),
        Rule("/api/revoke", endpoint="revoke", methods=["POST"]),
        Rule("/api/pin", endpoint="pin", methods=["POST"]),
        Rule("/api/unpin", endpoint="unpin", methods=["POST"]),
    ]
)

_STATIC = {
    "app.js": "text/javascript; charset=utf-8",
    "draw.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Nothing but what comes from here is run or shown, whatever a lease may be named."""


class LeasesApp:
    """A WSGI application that shows the leases in the manager's store.

    Mount it anywhere: all it refers to is relative to where it is mounted. Without ``token`` it
    only reads; with one, whoever sends it as a bearer token may revoke and pin. Who may look is
    for the server in front to say. ``registry``: what ``/metrics`` shows, the one that was given
    to the manager as ``prometheus_registerer``, for instance. ``title`` stands at the top.
    """

    def __init__(
        self,
        manager: Manager,
        *,
        token: str | None = None,
        registry: CollectorRegistry | None = None,
        title: str = "leases",
    ) -> None:
        if token is not None and len(token) < 8:
            raise ValueError("a token of less than 8 characters is too easily guessed")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ValueError("a token that is not printable ASCII cannot be sent in a header")
        self._manager = manager
        self._registry = registry
        self._title = title
        self._api = Api(manager, token)
        environment = Environment(loader=PackageLoader("lease_actors.web"), autoescape=True)
        self._page = environment.get_template("page.html")
        self._endpoints: Mapping[str, Callable[..., Response]] = {
            "page": self._show_page,
            "static": self._static,
            "metrics": self._metrics,
            "healthz": self._healthz,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = self._respond(Request(environ))
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        try:
            endpoint, values = _ROUTES.bind_to_environ(request.environ).match()
            if endpoint in self._endpoints:
                return self._endpoints[endpoint](request, **values)
            return _json(self._api.call(endpoint, request))
        except RequestRedirect as elsewhere:  # mounted, and asked for without the last slash
            return redirect(elsewhere.new_url, 308)
        except HTTPException as error:
            status = error.code or 500
            refusal = _json({"error": error.description}, status)
            if status == 405:
                refusal.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
            return refusal
        except LeaseError as error:
            return _json({"error": str(error)}, status_of(error))

    def _show_page(self, request: Request) -> Response:
        page = self._page.render(
            root=request.root_path, title=self._title, writable=self._api.writable
        )
        return Response(page, content_type="text/html; charset=utf-8")

    def _static(self, request: Request, name: str) -> Response:
        if name not in _STATIC:
            raise NotFound()
        data = files("lease_actors.web").joinpath("static", name).read_bytes()
        return Response(data, content_type=_STATIC[name], headers={"Cache-Control": "no-cache"})

    def _metrics(self, request: Request) -> Response:
        if self._registry is None:
            raise NotFound("there are no metrics: the application was made without a registry")
        return Response(generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)

    def _healthz(self, request: Request) -> Response:
        found = self._manager.problems()
        return _json({"healthy": not found, "problems": found}, 503 if found else 200)


def _json(value: Any, status: int = 200) -> Response:
    text = json.dumps(value, ensure_ascii=False)
    return Response(text, status=status, content_type="application/json")
