"""Answer from memory what may be answered from memory, and keep what may be kept (RFC 9111).

Last in the request phase: whatever an earlier stage refuses never reaches it, and a fresh answer ends the exchange
inside the listener's read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeproxy.cache import policy
from edgeproxy.cache.front import Front
from edgeproxy.cache.lookup import Rules
from edgeproxy.config.units import Duration, Share, Size
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
    answers_kept = True
    Config = CacheStageConfig
    config: CacheStageConfig

    def __init__(self, config: CacheStageConfig, services: Services) -> None:
        super().__init__(config, services)
        rules = Rules(
            tiers=services.cache,
            clock=services.clock,
            heuristic=policy.Heuristic(config.heuristic.share, config.heuristic.longest),
            largest=config.largest,
            grace=config.grace,
        )
        self._look_up = Front(rules, fetch, store, honour=config.client_directives == "honour").look_up

    def request(self, x: Exchange) -> Response | None:
        return self._look_up(x)
