"""Answer from memory what may be answered from memory, and keep what may be kept (RFC 9111).

Last in the request phase: whatever an earlier stage refuses never reaches it, and a fresh answer ends the exchange
inside the listener's read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeproxy.cache import key as cache_key
from edgeproxy.cache import policy
from edgeproxy.cache.answer import from_entry
from edgeproxy.cache.directives import of_request
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.lookup import Invalidation, Lookup, Rules
from edgeproxy.config.units import Duration, Share, Size
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.pipeline.runner import fetch, store


class HeuristicConfig(BaseModel):
    """Lifetimes guessed where the origin gives none (RFC 9111 §4.2.2)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    share: Share = Field(0.1, ge=0, le=1)
    """Of the time since Last-Modified: 0% (never guess) to 100%."""
    longest: Duration = Field(86_400, ge=0, le=31_536_000)
    """The longest lifetime guessed: 0s to 365d."""


class CacheStageConfig(MiddlewareConfig):
    """What is cached, and for how long, where the origin leaves it open."""

    largest: Size = Field(32_000_000, ge=0, le=10_000_000_000)
    """The largest answer kept; larger ones pass through."""
    grace: Duration = Field(3_600, ge=0, le=31_536_000)
    """How long after its freshness an answer stands in for origins that cannot be reached: 0s to 365d."""
    heuristic: HeuristicConfig = HeuristicConfig()
    client_directives: Literal["honour", "ignore"] = "honour"
    """Whether a client's Cache-Control (no-cache, max-age …) is followed; `ignore` shields the origin from reloads."""


class Cache(Middleware):
    """Look up, revalidate, store."""

    name = "cache"
    default_on = True
    Config = CacheStageConfig
    config: CacheStageConfig

    def __init__(self, config: CacheStageConfig, services: Services) -> None:
        super().__init__(config, services)
        self._tiers = services.cache
        self._memory = services.cache.memory
        self._resources = services.cache.memory.resources
        self._wall = services.clock.wall
        self._honour = config.client_directives == "honour"
        self._rules = Rules(
            tiers=services.cache,
            clock=services.clock,
            heuristic=policy.Heuristic(config.heuristic.share, config.heuristic.longest),
            largest=config.largest,
            grace=config.grace,
        )

    def request(self, x: Exchange) -> Response | None:
        request = x.request
        headers = request.headers
        if request.method != b"GET" and request.method != b"HEAD":
            self._other_method(x)
            return None
        if b"if-match" in headers or b"if-unmodified-since" in headers:
            x.verdict = b"fwd=bypass"  # RFC 9111 §4.3.2: these are the origin's to evaluate
            return None
        key = cache_key.of_request(request)
        resource = self._resources.get(key)
        entry = None if resource is None else resource.variants.get(resource.select(headers))
        if entry is None:
            self._miss(x, key, None, b"uri-miss" if resource is None else b"vary-miss")
            return None
        now = self._wall()
        if now >= entry.fresh_until or (self._honour and (b"cache-control" in headers or b"pragma" in headers)):
            directives = of_request(headers) if self._honour else {}
            use = policy.use(entry.terms, entry.age(now), directives)
            if use is policy.Use.REVALIDATE:
                self._miss(x, key, entry, b"stale" if now >= entry.fresh_until else b"request")
                return None
            if use is policy.Use.STALE_MEANWHILE:
                Lookup(self._rules, key, entry, b"stale").refresh(x, fetch, store)
        entry.hits += 1
        x.verdict = b"hit"
        return from_entry(entry, request, now, b"hit")

    def _miss(self, x: Exchange, key: bytes, entry: Entry | None, reason: bytes) -> None:
        """Leave the exchange to the origin, by way of a look-up if its answer may be kept."""
        request = x.request
        if self._honour and b"only-if-cached" in of_request(request.headers):
            raise EdgeError(Kind.NOT_CACHED, "client")  # RFC 9111 §5.2.1.7
        if request.method == b"HEAD" or request.length or b"range" in request.headers or b"upgrade" in request.headers:
            x.verdict = b"fwd=bypass"
        elif entry is None and key in self._tiers.passing:
            x.verdict = b"fwd=" + reason
        else:
            x.lookup = Lookup(self._rules, key, entry, reason)

    def _other_method(self, x: Exchange) -> None:
        x.verdict = b"fwd=method"
        if x.request.method not in policy.SAFE:
            x.lookup = Invalidation(self._rules, cache_key.of_request(x.request))
