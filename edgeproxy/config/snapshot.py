"""A compiled configuration. Immutable: an exchange keeps the one it started with, a reload swaps it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.chain import Chain
from edgeproxy.pipeline.exchange import Exchange

if TYPE_CHECKING:
    from edgeproxy.config.schema import Config
    from edgeproxy.inference.service import Inference
    from edgeproxy.origin.pool import Pool
    from edgeproxy.pipeline.middleware import Middleware
    from edgeproxy.routing.match import Router


class Origin(Protocol):
    """Where a route's misses go."""

    name: str

    async def fetch(self, x: Exchange) -> Response:
        """The origin's answer to the exchange's request. Raises EdgeError."""


class Route:
    """One route, ready to run.

    ``partition`` is the part of the cache the route has to itself; b"" is the one that all routes share which the URL
    alone selects.
    """

    __slots__ = ("chain", "name", "origin", "partition")

    def __init__(self, name: str, chain: Chain, origin: Origin, partition: bytes = b"") -> None:
        self.name = name
        self.chain = chain
        self.origin = origin
        self.partition = partition

    def __repr__(self) -> str:
        return f"<Route {self.name}>"


class Snapshot:
    """Everything an exchange needs to know of the configuration.

    ``unrouted`` takes what no route matches. ``stages`` and ``pools`` are keyed by what configures them, so that the
    next snapshot takes over those that stay the same, with their state. ``models``: None where no stage asks any.
    """

    __slots__ = ("config", "models", "pools", "router", "stages", "unrouted")

    def __init__(
        self,
        config: Config,
        router: Router,
        unrouted: Route,
        pools: dict[str, Pool],
        stages: dict[str, Middleware],
        models: Inference | None = None,
    ) -> None:
        self.config = config
        self.models = models
        self.router = router
        self.unrouted = unrouted
        self.pools = pools
        self.stages = stages

    def route(self, request: Request) -> Route:
        return self.router.match(request) or self.unrouted

    def __repr__(self) -> str:
        return f"<Snapshot {len(self.pools)} pools, {len(self.stages)} stages>"
