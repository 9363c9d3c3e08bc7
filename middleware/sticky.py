"""Brings clients back to the endpoint they were at."""

from __future__ import annotations

from pydantic import Field

from edgeproxy.cache.directives import parse
from edgeproxy.challenge.clearance import take_out
from edgeproxy.config.units import Duration
from edgeproxy.config.values import LongSecret
from edgeproxy.http.message import Response
from edgeproxy.origin.sticky import Words
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


class Sticky(Middleware):
    """Bring a client back to the endpoint that answered it, by a cookie, for origins that keep sessions to themselves.

    When that endpoint is not fit, or gone, the pool's `balance` chooses another, and the cookie follows. It is
    encrypted and authenticated: it shows nobody where an origin is, and none can be made up. Answers that a shared
    cache may keep get none; what the cache answers needs no endpoint, and gets none either.
    """

    name = "sticky"

    class Config(MiddlewareConfig):
        cookie: str = Field(default="edge_endpoint", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
        """The cookie. It never reaches the cache or the origin. Where all is https, `__Host-` before the name keeps
        other hosts of the domain from setting it."""

        lifetime: Duration | None = Field(default=None, ge=1, le=400 * 86400)
        """How long browsers keep it after it was set, 1s to 400d; until they are closed by default."""

        secret: LongSecret | None = None
        """What the cookie is encrypted with, 32 bytes or more; write it as `${NAME}`. Needed where clients come to
        several nodes, or are to be brought back after a restart; without it the node draws one."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        secret = config.secret.get_secret_value().encode() if config.secret else services.secret
        self._words = Words(secret)
        self._name = config.cookie.encode()
        lasts = b"" if config.lifetime is None else b"; Max-Age=%d" % config.lifetime
        self._ending = lasts + b"; Path=/; HttpOnly; SameSite=Lax"
        self._counter = services.metrics.counter(
            "edgeproxy_sticky_total", "Requests with and without the endpoint they ask for.", ("outcome",)
        )

    def request(self, x: Exchange) -> None:
        headers = x.request.headers
        if b"cookie" in headers:
            word = take_out(headers, self._name)
            if word is not None:
                x.wanted = self._words.read(word)

    def response(self, x: Exchange, response: Response) -> None:
        if not x.endpoint:
            return
        endpoint = x.endpoint.encode()
        if endpoint == x.wanted:
            self._counter.inc("kept")
        elif not _shared(response):
            self._counter.inc("moved" if x.wanted else "new")
            secure = b"; Secure" if x.request.scheme == b"https" else b""
            cookie = self._name + b"=" + self._words.of(endpoint) + self._ending + secure
            response.add(b"set-cookie", cookie)


def _shared(response: Response) -> bool:
    """Whether a cache on the way may give the answer to others: then it says nothing of whom it was for."""
    directives = parse(response.get(b"cache-control"))
    if b"no-store" in directives or directives.get(b"private") == b"":
        return False
    if {b"public", b"s-maxage", b"max-age"} & directives.keys():
        return True
    return response.get(b"expires") is not None or response.get(b"last-modified") is not None
