"""Limits how much a client may have under way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, computed_field

from edgeproxy.config.units import Duration
from edgeproxy.http.message import Response
from edgeproxy.limits.concurrency import Crowd, Places
from edgeproxy.limits.keys import compile_key
from edgeproxy.limits.settings import DEFAULT, ConcurrencySettings, NamedConcurrency, differ, has_own
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


class ConcurrencyLimit(Middleware):
    """Limit how many exchanges a key has under way at once, from the request's head to the answer's last byte, or to a
    WebSocket's end. What is over gets 429 with `Retry-After` at once; nothing waits in a queue.

    Each worker counts by itself. Only keys with something under way are remembered, so memory is bounded by the
    listener's connections.
    """

    name = "concurrency_limit"

    class Config(ConcurrencySettings, MiddlewareConfig):
        limits: Annotated[tuple[NamedConcurrency, ...], Field(max_length=16), AfterValidator(differ)] = ()
        """More limits, each with a `name` and the settings described beside this list. Those themselves are a limit
        called `default`, left out if nothing is said of it. An exchange takes a place in all of them, or in none."""

        status: int = Field(default=429, ge=400, le=599)
        """The status of a refusal."""

        retry_after: Duration = Field(default=1, ge=1, le=3600)
        """What `Retry-After` says; nobody knows when a place will be free."""

        @computed_field  # type: ignore[prop-decorator]
        @property
        def own(self) -> bool:
            """Whether the limit beside ``limits`` counts: in the dump, since settings with and without it differ."""
            return has_own(self, ConcurrencySettings, self.limits)

    request: Callable[[Exchange], Response | None]
    log: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        named: list[tuple[str, ConcurrencySettings]] = [(DEFAULT, config)] if config.own else []
        named += [(limit.name, limit) for limit in config.limits]
        self._names = [name for name, _ in named]
        self._places = [_places(settings) for _, settings in named]
        crowd = Crowd(self._places, self._refuse)
        self.request, self.log = crowd.enter, crowd.leave
        self._policy = b", ".join(
            b'"%b";q=%d;qu="concurrent-requests"' % (name.encode(), settings.most) for name, settings in named
        )
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        services.metrics.gauge(
            "edgeproxy_concurrency_limit_keys", "Keys with something under way.", (), self._count_keys
        )

    def _refuse(self, index: int) -> Response:
        self._refused.inc(self.name)
        status, seconds = self.config.status, b"%d" % self.config.retry_after
        headers = {
            b"content-type": b"text/plain; charset=utf-8",
            b"cache-control": b"no-store",
            b"retry-after": seconds,
            b"ratelimit-policy": self._policy,
            b"ratelimit": b'"%b";r=0' % self._names[index].encode(),
        }
        return Response(status, headers, b"%d Too many requests under way; try again in %b s.\n" % (status, seconds))

    def _count_keys(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), sum(map(len, self._places)))]


def _places(settings: ConcurrencySettings) -> Places:
    return Places(settings.most, compile_key(settings.key, settings.ipv4_prefix, settings.ipv6_prefix), settings.whom())
