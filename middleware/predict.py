"""Asks models about what passes, and puts what they say to use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from edgeproxy.config.units import Size
from edgeproxy.http.message import Response
from edgeproxy.identity.refusals import Refusals
from edgeproxy.images.pixels import Pixels
from edgeproxy.images.plan import Bounds
from edgeproxy.images.studio import Studio
from edgeproxy.inference.rule_settings import RuleSettings
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.handover import HandOver
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services, Verdict

if TYPE_CHECKING:
    from edgeproxy.inference.inputs import Decode
    from edgeproxy.inference.rules import Rule

_BUSY = 1.0  # seconds after which a client may try again


class Predict(Middleware):
    """Ask models about what passes: the head of a request, its body, or an answer on its way into the cache; and put
    what they say into fields, tags, the log, the bot score or the choice of a route, or refuse by it.

    Nothing waits for a model longer than its budget, and what it does not answer passes, unless a rule says otherwise.
    Bodies of other types than those a rule is about are not looked at, so an origin should not take them. What a model
    may cost goes by `models`. `edgeproxy_predictions_total` and `edgeproxy_prediction_actions_total` tell how rules
    fare; with `mode: observe` rules on requests are asked and counted and nothing is done, and those on answers rest.
    """

    name = "predict"

    class Config(MiddlewareConfig):
        rules: tuple[RuleSettings, ...] = Field(min_length=1, max_length=64)
        """Each is asked in turn, until one refuses or hands over."""

        memory: Annotated[Size, Field(ge=64_000, le=10_000_000_000)] = 64_000_000
        """Memory for bodies and answers that are held while they are looked at, per worker: 64KB to 10GB. What has no
        place passes as it comes, or is refused, as its rule says."""

        pixels: Annotated[int, Field(ge=10_000, le=500_000_000)] = 50_000_000
        """Pixels of the largest picture that is decoded."""

        decoders: Annotated[int, Field(ge=1, le=64)] = 1
        """Processes that decode pictures, for each worker. They are started when there is one, and end after a while
        without."""

        queue: Annotated[int, Field(ge=0, le=1_024)] = 32
        """How many pictures may wait for one. More are not looked at."""

    config: Config
    request: Callable[[Exchange], Verdict | Awaitable[Verdict]]
    fetch: Callable[[Exchange], Awaitable[Verdict] | None]
    store: Callable[[Exchange, Response], Awaitable[None]]
    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        from edgeproxy.inference.asking import Answers, Bodies, Heads  # late: numpy is needed only where the stage runs
        from edgeproxy.inference.holding import Holding
        from edgeproxy.inference.pixels import decoder
        from edgeproxy.inference.uses import Deeds

        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._refusals = Refusals(partial(refused.inc, self.name))
        self._deeds = Deeds(HandOver(self, services), self._refuse)
        bounds = Bounds(source=max(rule.size for rule in config.rules), pixels=config.pixels)
        self._studio = Studio(config.decoders, config.queue, bounds, services.metrics)
        decode = decoder(Pixels(self._studio).rgb)
        rules = [(rule.on, self._rule(place, rule, decode)) for place, rule in enumerate(config.rules)]
        self._rules = [rule for _, rule in rules]
        self._on = {on for on, _ in rules}
        self._owned = frozenset[bytes]().union(*(rule.owned for rule in self._rules))
        holding = Holding(config.memory)
        self.request = Heads([rule for on, rule in rules if on == "head"], self._owned).request
        self._bodies = Bodies([rule for on, rule in rules if on == "body"], holding)
        self.fetch = self._bodies.fetch
        self.store = Answers([rule for on, rule in rules if on == "answer"], holding).store
        self.response = self._deeds.say

    @classmethod
    def asks_models(cls, config: Config) -> bool:
        return True

    async def start(self) -> None:
        await self._studio.start()

    async def stop(self) -> None:
        await self._studio.stop()

    def uses(self, phase: str) -> bool:
        if phase == "request":
            return "head" in self._on or bool(self._owned)
        if phase == "response":
            return any(rule.tells for rule in self._rules)
        return phase == "log" or {"fetch": "body", "store": "answer"}[phase] in self._on

    def hands_over_to(self) -> Iterable[str]:
        return frozenset[str]().union(*(rule.routes for rule in self._rules))

    def log(self, x: Exchange) -> None:
        self._deeds.forget(x)
        self._bodies.release(x)

    def _rule(self, place: int, settings: RuleSettings, decode: Decode) -> Rule:
        if self.services.models is None:
            raise ValueError("there are no models here")
        from edgeproxy.inference.rules import Rule

        inference, acts = self.services.models(), self.config.mode == "enforce"
        try:
            return Rule(settings, inference, self.services, self._deeds, self._refuse, decode, acts=acts)
        except ValueError as error:
            raise ValueError(f"rules[{place}]: {error}") from None

    def _refuse(self, status: int, why: str) -> Response:
        if status == 503:
            return self._refusals.later(status, why, _BUSY)
        return self._refusals.refuse(status, why)
