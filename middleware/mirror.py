"""Sends copies of requests to another pool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgeproxy.config.fields import EditableField
from edgeproxy.config.units import Duration, Share, Size
from edgeproxy.config.values import Many, Method, Name
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.routing.mirror import Mirror as Copies
from edgeproxy.routing.mirror import Terms


class Mirror(Middleware):
    """Send copies of requests to another pool, whose answers nobody gets: to try a new version with real traffic.

    No client waits for a copy, and none is sent twice: what bears the field `mark` is not copied again. A copy is sent
    by the settings of its pool (`host`, time limits, retries). `edgeproxy_mirror_total` counts what became of them:
    `same`, `status` (another class of status than the client's), `differs` (another body), `unknown` (the client's own
    answer failed or was not read, or one of the two was a 304), `failed`, `timeout`, `dropped` (`concurrency`), `body`
    (not here as a whole, or larger than `body_size`), `given_up` (the stage ended). With `mode: observe` nothing is
    copied.
    """

    name = "mirror"

    class Config(MiddlewareConfig):
        pool: Name
        """The pool that gets the copies."""

        share: Share = Field(default=1, gt=0, le=1)
        """How much of the requests is copied, drawn at random: up to 100%."""

        on: Literal["fetch", "request"] = "fetch"
        """`fetch`: what the route's own origin is asked, the cache's questions for itself included. `request`: what
        clients ask and the stages above let in, what the cache answers too."""

        methods: Annotated[tuple[Method, ...], Many] = Field(default=("GET", "HEAD"), min_length=1, max_length=16)
        """Methods that are copied. Copies of others change what the other pool keeps, and what that shares with the
        route's own: a database, a queue, a mail server."""

        remove: Annotated[tuple[EditableField, ...], Many] = ("authorization", "cookie")
        """Fields that copies do not get. `[]` for all of them: then whoever runs the pool can act as the clients."""

        mark: EditableField = "x-mirror"
        """The field, with the value 1, that copies bear."""

        body_size: Size = Field(default=65_536, ge=0, le=1_000_000)
        """Largest request body that is copied: 0 to 1MB. A body that is not here as a whole when its request is passed
        on is not copied."""

        read: Size = Field(default=262_144, ge=0, le=16_000_000)
        """How much of an answer's body is read, and compared: 0 to 16MB. Then the connection is closed."""

        compare: Literal["status", "body"] = "status"
        """What must be alike: the class of the status, or the body's beginning too (`fetch` only)."""

        concurrency: int = Field(default=32, ge=1, le=10_000)
        """Most copies under way, a worker: 1 to 10000. What is more is not copied."""

        timeout: Duration = Field(default=10, ge=0.1, le=300)
        """How long a copy may take, with the wait for what it is compared with: 100ms to 5m."""

        @model_validator(mode="after")
        def _comparable(self) -> Self:
            if self.on == "request" and self.compare == "body":
                raise ValueError("compare: body needs on: fetch; a client's answer may be a part, or none at all")
            return self

    config: Config
    fetch: Callable[[Exchange], Awaitable[Response] | None]
    request: Callable[[Exchange], None]
    log: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        outcomes = services.metrics.counter(
            "edgeproxy_mirror_total", "Copies of requests, by what became of them.", ("pool", "outcome")
        )
        terms = Terms(
            config.pool,
            config.share,
            frozenset(method.encode() for method in config.methods),
            config.mark.encode(),
            frozenset(name.encode() for name in config.remove),
            config.body_size,
            config.read,
            config.concurrency,
            config.timeout,
            config.compare == "body",
        )
        self._copies = Copies(terms, partial(outcomes.inc, config.pool))
        self.fetch = self._copies.fetch
        self.request = self._copies.request
        self.log = self._copies.log

    async def stop(self) -> None:
        await self._copies.stop()

    def uses(self, phase: str) -> bool:
        return self.config.mode == "enforce" and (phase == "fetch") == (self.config.on == "fetch")

    def takes_from(self) -> Iterable[str]:
        return (self.config.pool,)
