"""Exchanges made by hand, for tests of stages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, TypeVar

from edgeproxy.clock import ManualClock
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_authority, parse_target
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.middleware import Middleware, Services

M = TypeVar("M", bound=Middleware)


def services() -> Services:
    """What a stage is lent; it has no cache and no network."""
    return Services(clock=ManualClock(), metrics=Metrics(), memory=None, http=None)  # type: ignore[arg-type]


def stage(kind: type[M], **settings: Any) -> M:
    """A stage with these settings, as configuration would build it. Raises ValidationError."""
    return kind(kind.Config(**settings), services())


def exchange(
    url: str = "http://example.com/", headers: Headers | None = None, *, method: bytes = b"GET", client: str = "192.0.2.7"
) -> Exchange:
    """An exchange as a listener would begin it, on a route named ``site``."""
    scheme, _, rest = url.encode().partition(b"://")
    authority, slash, path = rest.partition(b"/")
    target, host = parse_target(slash + path or b"/"), parse_authority(authority, scheme)
    request = Request(
        method,
        target.target,
        {} if headers is None else headers,
        authority=host.authority,
        host=host.host,
        scheme=scheme,
        path=target.path,
        query=target.query,
    )
    x = Exchange(request, Peer(client, 40000, client, "192.0.2.1", None), 0.0)
    x.route = SimpleNamespace(name="site")  # type: ignore[assignment]
    return x
