"""The base class of every stage. One stage is one file in ``middleware/``: a docstring, a Config, its hooks.

A stage overrides the hooks it needs; a hook it leaves alone costs nothing, because the chain never calls it.
Hooks are plain functions; ``request``, ``fetch`` and ``store`` may also be ``async def``. A plain ``request`` or
``fetch`` may give an awaitable for the rare exchange it cannot decide at once: only that one then takes a task.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from edgeproxy.clock import Clock
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange

if TYPE_CHECKING:
    import aiohttp

    from edgeproxy.cache.tiers import Tiers
    from edgeproxy.config.snapshot import Route
    from edgeproxy.inference.service import Inference
    from edgeproxy.limits.region import Region
    from edgeproxy.observe.metrics import Metrics

Verdict = Response | None


class MiddlewareConfig(BaseModel):
    """What every stage understands; a stage's own Config adds to it, and each field's docstring is the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    mode: Literal["enforce", "observe"] = "enforce"
    """`observe` runs the stage, counts what it would have answered, and lets the exchange go on."""


@dataclass(frozen=True)
class Services:
    """What the engine lends to stages."""

    clock: Clock
    metrics: Metrics
    cache: Tiers
    http: Callable[[], aiohttp.ClientSession]
    """The session for outbound calls (key sets, feeds), made at first use, shared, closed with the worker."""
    node: str = ""
    """The name this node drew at its start, for where configuration gives it none."""
    route: Callable[[Request], Route | None] = lambda _: None
    """The route a request takes by the snapshot in service, for sub-exchanges; None while there is no snapshot."""
    route_named: Callable[[str], Route | None] = lambda _: None
    """The route of that name in the snapshot in service, None if there is none."""
    folder: Path | None = None
    """The folder in memory that all workers of this node share while it runs; None where nothing is served."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """A secret that all workers of this node share, drawn anew at each of its starts."""
    region: Region | None = None
    """What limits that the nodes of a region count together are kept up by; None where nothing is served."""
    models: Callable[[], Inference] | None = None
    """The models of the snapshot being compiled, made at first use; for stages that say they ask them."""


class Middleware:
    """One stage of the pipeline, built once per configuration that uses it; its state lives as long as that stays.

    Everything that depends on configuration alone happens in ``__init__``; per request only look-ups. What every hit
    passes may live in an engine module, compiled in the deployed build: ``__init__`` then assigns its function to the
    hook's name.
    """

    name: ClassVar[str]
    """The stage's key in configuration, in metrics and in the order list."""

    answers_kept: ClassVar[bool] = False
    """Whether every answer its ``request`` gives is a kept one, which has been through the store phase."""

    done_when_kept: ClassVar[bool] = False
    """Whether ``store`` leaves nothing for ``response`` to do on a kept answer."""

    shapes: ClassVar[bool] = False
    """Whether its ``request`` shapes what the cache and the origin are asked for. What another stage needs as a source
    (:mod:`edgeproxy.pipeline.sources`) passes such hooks, and none that judge the client."""

    Config: ClassVar[type[MiddlewareConfig]] = MiddlewareConfig

    def __init__(self, config: Any, services: Services) -> None:
        self.config = config
        self.services = services

    @classmethod
    def asks_models(cls, config: Any, /) -> bool:
        """Whether it uses ``services.models``, configured so. It is then built anew when the configuration's ``models``
        change."""
        return False

    async def start(self) -> None:
        """Begin background work. Called once, when the first snapshot with this stage goes into service."""

    async def stop(self) -> None:
        """End background work. Called once, when no snapshot has this stage any more."""

    def uses(self, phase: str) -> bool:
        """Whether the stage, configured as it is, has anything to do in a phase it overrides. Asked once a snapshot."""
        return True

    def misses(self, beside: Mapping[str, Middleware]) -> str:
        """What the stage, configured as it is, misses in the stages ``beside`` it on a route, by name: a sentence for
        whoever wrote the configuration, "" for nothing."""
        return ""

    def hands_over_to(self) -> Iterable[str]:
        """The names of the routes that it may hand an exchange over to: each must be one of the configuration's."""
        return ()

    def takes_from(self) -> Iterable[str]:
        """The names of the pools that it may have asked in place of a route's own: each must be one of the
        configuration's, and is then in the route's :class:`edgeproxy.routing.pools.Pools`."""
        return ()

    def request(self, x: Exchange, /) -> Verdict | Awaitable[Verdict]:
        """Before the cache look-up. A response ends the request phase and is the answer."""
        raise NotImplementedError

    def fetch(self, x: Exchange, /) -> Verdict | Awaitable[Verdict]:
        """After a miss, before the origin. A response is taken in place of the origin's."""
        raise NotImplementedError

    def store(self, x: Exchange, response: Response, /) -> Awaitable[None] | None:
        """The origin's answer, before it is kept: what is changed here is changed in the kept copy."""
        raise NotImplementedError

    def response(self, x: Exchange, response: Response, /) -> None:
        """Every answer, in reverse order, of the stages that were entered. Changes this copy only."""
        raise NotImplementedError

    def log(self, x: Exchange, /) -> None:
        """Always, exactly once, when the exchange has ended."""
        raise NotImplementedError
