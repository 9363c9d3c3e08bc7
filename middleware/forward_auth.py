"""Asks an HTTP service whether a request may pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from edgeproxy.config.fields import EditableField, OwnField
from edgeproxy.config.units import Duration
from edgeproxy.config.values import Many
from edgeproxy.http.message import Response
from edgeproxy.identity.forward import Asking, ForwardCheck
from edgeproxy.identity.refusals import Refusals
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

if TYPE_CHECKING:
    import aiohttp

_ANSWER = ("location", "set-cookie", "www-authenticate", "retry-after")


def _url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("https", "http") or not url.hostname or "@" in url.netloc or url.fragment:
        raise ValueError(f"{text!r} is not a URL like http://auth.internal:9000/verify")
    return text


def _sendable(name: str) -> str:
    if name.startswith("x-forwarded-") or name == "x-request-id":
        raise ValueError(f"{name} is told to the service at any rate, and by the edge")
    return name


class ForwardAuth(Middleware):
    """Ask an HTTP service about each request, before the cache is looked at. 2xx lets it pass; 3xx and 4xx are the
    answer to the client: a redirect to a login page, a 401, a 403.

    The service gets a GET without a body, the fields of `send`, and `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and
    `-For`. No redirect is followed. On its routes a memory hit costs a task and the service's answer; `remember` spares
    that. If it tells who somebody is (`copy`), answers to them are kept, for all who may pass, only if the origin says
    that they may be shared (`public`, `s-maxage`; RFC 9111 §3.5).
    """

    name = "forward_auth"

    class Config(MiddlewareConfig):
        url: Annotated[str, AfterValidator(_url)]
        """Where the service is asked: `http://auth.internal:9000/verify`. It gets credentials: https, or a way there
        that is trusted."""

        send: Annotated[tuple[Annotated[EditableField, AfterValidator(_sendable)], ...], Many] = (
            "authorization",
            "cookie",
        )
        """Fields of the request that the service gets."""

        copy_: Annotated[tuple[OwnField, ...], Many] = Field(default=(), alias="copy")
        """Fields of its answer that the origin gets: `[x-user, x-groups]`. What clients send there is removed. The
        first of them is the request's `identity`, for limits and logs."""

        answer: Annotated[tuple[EditableField, ...], Many] = _ANSWER
        """Fields of a refusal that the client gets, beside those about its body."""

        timeout: Duration = Field(default=1, ge=0.01, le=30)
        """How long its answer may take, connecting included: 10ms to 30s."""

        on_error: Literal["refuse", "allow"] = "refuse"
        """What happens while the service is away: no answer in time, or a 5xx. `refuse` answers 503; `allow` lets
        everybody pass, as nobody, so whoever can overload the service walks in."""

        concurrency: int = Field(default=128, ge=1, le=10_000)
        """How many questions a worker asks at once; more requests get 503."""

        remember: Duration = Field(default=0, ge=0, le=3600)
        """For how long a yes holds without asking again, up to 1h; 0s asks every time. Somebody who is signed out
        passes for so long."""

        remember_by: Literal["request", "who"] = "request"
        """What a remembered yes is for: `request`, the same method, URL, client and `send` fields; `who`, the same
        `send` fields, whatever is asked for: only where the service decides by nothing else."""

    request: Callable[[Exchange], Response | Awaitable[Response | None] | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        outcomes = services.metrics.counter(
            "edgeproxy_forward_auth_total", "Questions to services that decide who may pass.", ("outcome",)
        )
        asking = Asking(
            config.url,
            _fields(config.send),
            _fields(config.copy_),
            frozenset(_fields(config.answer)),
            config.timeout,
            config.on_error == "allow",
            config.concurrency,
            config.remember,
            config.remember_by == "who",
        )
        self._own: aiohttp.ClientSession | None = None
        self.request = ForwardCheck(
            asking,
            self._session,
            Refusals(partial(refused.inc, self.name)),
            outcomes.inc,
            services.clock.monotonic,
        ).check

    async def stop(self) -> None:
        if self._own is not None:
            self._own.detach()  # the connections are the shared session's

    def _session(self) -> aiohttp.ClientSession:
        """One of its own over the shared connections: it keeps no cookies, which would be one client's for the next,
        and passes bodies on as they come."""
        if self._own is None:
            import aiohttp

            self._own = aiohttp.ClientSession(
                connector=self.services.http().connector,
                connector_owner=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding"),
            )
        return self._own


def _fields(names: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in names)
