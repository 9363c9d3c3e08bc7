"""Limits how often a client may ask, and how much it may get."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import compress
from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, computed_field

from edgeproxy.http.message import Response
from edgeproxy.limits.build import build_counter
from edgeproxy.limits.gate import Gates, Limit, build_gate
from edgeproxy.limits.keys import compile_key
from edgeproxy.limits.limiter import Counter
from edgeproxy.limits.prices import Prices
from edgeproxy.limits.settings import DEFAULT, LimitSettings, NamedLimit, differ, has_own
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


class RateLimit(Middleware):
    """Limit requests, or the bytes of answers, per key: `burst` at once, then `rate` evenly (the generic cell rate
    algorithm), or so many in any period (a sliding window). What is over gets 429 with `Retry-After` and the
    `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-11), and is not counted.

    Of several limits all are asked before any counts: what one refuses is counted by none, and the answer names the one
    that takes longest. At `keys` keys a limit forgets those it has not seen for the longest; they begin anew with a
    full burst, so a flood of new keys can loosen the limit for idle ones, and never takes more memory.
    """

    name = "rate_limit"

    class Config(LimitSettings, MiddlewareConfig):
        limits: Annotated[tuple[NamedLimit, ...], Field(max_length=16), AfterValidator(differ)] = ()
        """More limits, each with a `name` and the settings described beside this list. Those themselves are a limit
        called `default`, left out if nothing is said of it."""

        headers: Literal["always", "refused", "never"] = "refused"
        """Which answers bear `RateLimit` and `RateLimit-Policy`. `always` makes a memory hit a few percent dearer."""

        status: int = Field(default=429, ge=400, le=599)
        """The status of a refusal."""

        @computed_field  # type: ignore[prop-decorator]
        @property
        def own(self) -> bool:
            """Whether the limit beside ``limits`` counts: in the dump, since settings with and without it differ."""
            return has_own(self, LimitSettings, self.limits)

    request: Callable[[Exchange], Response | None]
    log: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        named: list[tuple[str, LimitSettings]] = [(DEFAULT, config)] if config.own else []
        named += [(limit.name, limit) for limit in config.limits]
        self._counters = [build_counter(settings, services) for _, settings in named]
        self._names = [name.encode() for name, _ in named]
        limits = [_limit(name, one, counter) for (name, one), counter in zip(named, self._counters, strict=True)]
        policies = [_policy(name, settings) for name, settings in named]
        self._advertised = b", ".join(compress(policies, [limit.public for limit in limits]))
        self._policies = [
            b", ".join(
                policy for limit, policy in zip(limits, policies, strict=True) if limit.public or limit is refusing
            )
            for refusing in limits
        ]
        self._gate = build_gate(limits, self._refuse, services.clock.monotonic)
        self.request = self._gate.enter
        self._always = config.headers == "always"
        self._settles = any(limit.later for limit in limits)
        if isinstance(self._gate, Gates):
            self.log = self._gate.settle
        self._now = services.clock.monotonic
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._over = services.metrics.counter(
            "edgeproxy_rate_limit_refused_total", "Requests that were over a rate limit.", ("limit",)
        )
        services.metrics.gauge("edgeproxy_rate_limit_keys", "Keys the rate limiters remember.", (), self._count_keys)

    async def start(self) -> None:
        for counter in self._counters:
            await counter.start()

    async def stop(self) -> None:
        for counter in self._counters:
            await counter.stop()

    def uses(self, phase: str) -> bool:
        return self._always if phase == "response" else phase != "log" or self._settles

    def response(self, x: Exchange, response: Response) -> None:
        told = self._gate.told(x, self._now())
        if told:
            response.set(b"ratelimit-policy", self._advertised)
            response.set(b"ratelimit", told)

    def _refuse(self, index: int, wait: float) -> Response:
        name = self._names[index]
        self._refused.inc(self.name)
        self._over.inc(name.decode())
        status, seconds = self.config.status, b"%d" % max(1, ceil(wait))
        headers = {
            b"content-type": b"text/plain; charset=utf-8",
            b"cache-control": b"no-store",
            b"retry-after": seconds,
        }
        if self.config.headers != "never":
            headers[b"ratelimit-policy"] = self._policies[index]
            headers[b"ratelimit"] = b'"%b";r=0;t=%b' % (name, seconds)
        return Response(status, headers, b"%d Too many requests; try again in %b s.\n" % (status, seconds))

    def _count_keys(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), sum(map(len, self._counters)))]


def _limit(name: str, settings: LimitSettings, counter: Counter) -> Limit:
    key = compile_key(settings.key, settings.ipv4_prefix, settings.ipv6_prefix)
    return Limit(
        name,
        counter,
        key,
        settings.whom(),
        Prices(settings.cost),
        size=settings.count == "bytes",
        public=settings.applies_to == "everyone",  # the others learn of it when it refuses them
    )


def _policy(name: str, settings: LimitSettings) -> bytes:
    """A limit's item of the RateLimit-Policy field: what there is at once, and the seconds it is for."""
    count, period = settings.rate.count, settings.rate.period
    quota = max(ceil(settings.quota), ceil(count))
    unit = b';qu="content-bytes"' if settings.count == "bytes" else b""
    return b'"%b";q=%d%b;w=%d' % (name.encode(), quota, unit, ceil(quota * period / count))
