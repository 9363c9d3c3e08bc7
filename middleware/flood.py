"""Notices floods, and treats requests by what state the node and their route are in."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated

from pydantic import Field, model_validator

from edgeproxy.config.units import Duration, Rate, RateValue, Share
from edgeproxy.floods.clients import Clients
from edgeproxy.floods.gate import Gate, Measures
from edgeproxy.floods.judge import Change, Settings
from edgeproxy.floods.settings import MeasuresConfig, WebhookConfig
from edgeproxy.floods.state import STATES
from edgeproxy.floods.watch import Watch
from edgeproxy.floods.webhook import Webhook
from edgeproxy.floods.worst import Worst
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services


class Flood(Middleware):
    """Learn what traffic is usual, for the node, every route and every country (where `geo` tells it), and notice what
    is not: states `normal`, `elevated`, `attack`.

    Watched are requests and new clients a second and the shares of 5xx answers and of misses, by mean and deviation
    over `memory`; a deviation is at least a quarter of the mean, so 8 is three times the usual or more. The shares
    alone raise no higher than `elevated`. An attack teaches nothing, an elevated state a sixth. There is one mean for
    all hours of the week. All workers count together; routes whose settings of detection differ are watched apart.

    What is found stands in the log, in `edgeproxy_flood_state` and `edgeproxy_flood_transitions_total`, goes to the
    webhook, and to `rate_limit`, whose limits may be for alarms alone; what else is done is yours to say by state.
    """

    name = "flood"
    done_when_kept = True

    class Config(MiddlewareConfig):
        floor: Rate = RateValue(50, 1)
        """Nothing below is a flood, however unusual: requests of the node, the route or the country."""

        elevated_at: float = Field(default=8, ge=3, le=1_000)
        """Deviations above the mean that are `elevated`; below half as many that ends."""

        attack_at: float = Field(default=16, ge=3, le=1_000)
        """Deviations above the mean that are an `attack`; below half as many that ends."""

        memory: Duration = Field(default=600, ge=10, le=86_400)
        """The time constant of mean and deviation: 10s to 1d. What has been so for longer is usual."""

        warm_up: Duration = Field(default=30, ge=1, le=3600)
        """How long after the start is only learned: 1s to 1h. A flood that was there from the start is seen when it
        grows."""

        calm: Duration = Field(default=30, ge=1, le=3600)
        """How long it must be quieter before the state goes down a step: 1s to 1h."""

        elevated: MeasuresConfig = MeasuresConfig()
        """Measures while elevated."""

        attack: MeasuresConfig = MeasuresConfig()
        """Measures during an attack."""

        worst_share: Annotated[Share, Field(ge=0.01, le=1)] = 0.1
        """The part of the surge that a network (/24, IPv6 /48) or a fingerprint (JA4, order of fields and agent
        together) must make up to be refused by `worst`."""

        worst_usual: Annotated[Share, Field(ge=0, le=0.5)] = 0.02
        """The part of usual traffic it may make up at most: what visitors share with an attack is spared."""

        retry_after: Duration = Field(default=10, ge=1, le=3600)
        """When those refused may come back: 1s to 1h."""

        webhook: WebhookConfig | None = None
        """Who is told."""

        @model_validator(mode="after")
        def _ordered(self) -> Flood.Config:
            if self.attack_at <= self.elevated_at:
                raise ValueError("attack_at must be more than elevated_at")
            return self

        def settings(self) -> Settings:
            """What detection goes by."""
            floor = self.floor.count / self.floor.period
            return Settings(floor, self.elevated_at, self.attack_at, self.memory, self.warm_up, self.calm)

    config: Config
    request: Callable[[Exchange], Response | None]
    fetch: Callable[[Exchange], Response | None]
    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._retry_after = b"%d" % max(1, round(config.retry_after))
        hook, now = config.webhook, services.clock.monotonic
        self._webhook = None
        if hook is not None:
            headers = {} if hook.secret is None else {hook.header: hook.secret.get_secret_value()}
            self._webhook = Webhook(hook.url, headers, services.http)
        worst = Worst(2, config.worst_share, config.worst_usual)
        told = (MeasuresConfig(), config.elevated, config.attack)
        self.gate = Gate(
            Clients(services.secret, services.folder),
            worst,
            tuple(Measures(one.unknown, one.origin, worst=one.worst) for one in told),
            now,
            self._refuse,
            enforced=config.mode == "enforce",
            retry_after=self._retry_after,
        )
        self.watch = Watch(self.gate, worst, config.settings(), services.metrics, now, self._announce)
        self.request, self.fetch, self.response = self.gate.count, self.gate.shed, self.gate.answered

    async def start(self) -> None:
        url = "" if self.config.webhook is None else self.config.webhook.url
        shared = f"{self.config.settings()!r} {url}".encode()
        self.watch.start(self.services.folder, blake2b(shared, digest_size=8).hexdigest())

    async def stop(self) -> None:
        self.watch.stop()
        if self._webhook is not None:
            await self._webhook.stop()

    def _announce(self, change: Change) -> None:
        if self._webhook is None:
            return
        figures = [
            {"name": name, "value": round(value, 4), "usual": round(usual, 4), "deviations": round(score, 2)}
            for name, value, usual, score in change.figures
        ]
        event = {"node": self.services.node, "scope": change.scope, "at": round(self.services.clock.wall(), 3)}
        states = {"before": STATES[change.before], "state": STATES[change.after]}
        self._webhook.send({"event": "flood", **event, **states, "figures": figures})

    def _refuse(self) -> Response:
        self._refused.inc(self.name)
        headers = {
            b"content-type": b"text/plain; charset=utf-8",
            b"cache-control": b"no-store",
            b"retry-after": self._retry_after,
        }
        return Response(503, headers, b"503 Too many ask at once; try again in %b s.\n" % self._retry_after)
