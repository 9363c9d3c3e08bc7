"""Answer from what is stored what may be answered from it, and keep what may be kept (RFC 9111).

Last of what judges or changes a request: whatever an earlier stage refuses never reaches it, and a fresh answer ends
the exchange inside the listener's read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgeproxy.cache import tags as cache_tags
from edgeproxy.cache.front import Front
from edgeproxy.cache.overrides import YEAR
from edgeproxy.cache.rules import Rules
from edgeproxy.cache.settings import CacheStageConfig
from edgeproxy.cache.targeted import in_force
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, Services
from edgeproxy.pipeline.runner import fetch, store

_NEVER_CHANGES = b"max-age=%d, immutable" % YEAR  # RFC 8246


class Cache(Middleware):
    """Look up, revalidate, store."""

    name = "cache"
    answers_kept = True
    done_when_kept = True
    shapes = True
    Config = CacheStageConfig
    config: CacheStageConfig
    request: Callable[[Exchange], Response | None]

    def __init__(self, config: CacheStageConfig, services: Services) -> None:
        super().__init__(config, services)
        self._recipe = config.key.recipe()
        self._overrides = config.overrides()
        self._targets = config.targets()
        rules = Rules(
            tiers=services.cache,
            clock=services.clock,
            heuristic=config.guess(),
            largest=config.largest,
            grace=config.grace,
            recipe=self._recipe,
            bypass=config.bypass.bypass(),
            overrides=self._overrides,
            targets=self._targets,
        )
        self.request = Front(rules, fetch, store, honour=config.client_directives == "honour").look_up

    def misses(self, beside: Mapping[str, Middleware]) -> str:
        return "key: country is what the geo stage finds" if self.config.key.country and "geo" not in beside else ""

    def uses(self, phase: str) -> bool:
        return phase != "store" or self.config.hashed_names is not None

    def store(self, x: Exchange, response: Response) -> None:
        told = in_force(response.headers(), self._targets)
        if self._overrides.immutable(x.request, response.status, told):
            response.set(b"cache-control", _NEVER_CHANGES)

    def response(self, x: Exchange, response: Response) -> None:
        """What is stored is without tags already; this is for the rest."""
        if not self.services.cache.show_tags:
            for name in cache_tags.FIELDS:
                if response.get(name) is not None:
                    response.drop(name)

    def explain(self, x: Exchange) -> str:
        """The key a request has here, and what it is made of."""
        return f"key {self._recipe.of(x).decode(errors='backslashreplace')} ({self._recipe.text})"
