"""Tells browsers, crawlers and tools apart by what they say and how they say it."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, Field

from edgeproxy.bots.agents import Agents
from edgeproxy.bots.catalogue import CATALOGUE
from edgeproxy.bots.probes import Probes
from edgeproxy.bots.ranges import loader
from edgeproxy.bots.score import Actions, Judge, Scorer, Signals, Weights
from edgeproxy.bots.settings import (
    ActionSettings,
    CrawlerSettings,
    Ja4Settings,
    Way,
    WeightSettings,
    operators,
)
from edgeproxy.bots.shape import Shapes
from edgeproxy.bots.verification import Verification
from edgeproxy.config.units import Duration, Rate, RateValue
from edgeproxy.config.values import Many, Name
from edgeproxy.http.message import Response
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_CLASSES = frozenset(("browser", "crawler", "tool", "suspect"))
_CLIENTS = 50_000  # whose pace is remembered


def _deniable(word: str) -> str:
    if word not in _CLASSES | CATALOGUE.categories:
        known = ", ".join([*sorted(_CLASSES), *sorted(CATALOGUE.categories)])
        raise ValueError(f"{word!r} is no class or category of agents; known are {known}")
    return word


def _known(name: str) -> str:
    name = name.lower()
    if name not in CATALOGUE.names:
        close = ", ".join(get_close_matches(name, CATALOGUE.names)) or "curl, googlebot and many others"
        raise ValueError(f"{name!r} is no known agent; known are {close}")
    return name


class BotCheck(Middleware):
    """Class every request as `browser`, `crawler`, `tool`, `suspect` or nothing known, for the log and other stages;
    refuse the classes you name. If you ask for it, verify crawlers, score each request, and act on the score.

    `suspect` is an empty or endless agent, a browser's agent without the fields that browser always sends, and a
    crawler exposed by its address. Without `verify` names are taken at their word. Who has proved to be somebody (a
    client certificate, a signed request, a verified crawler) has score 0. [bots.md](bots.md) has the details.
    """

    name = "bot_check"

    class Config(MiddlewareConfig):
        deny: Annotated[tuple[Annotated[str, AfterValidator(_deniable)], ...], Many] = ()
        """Classes that get 403, and categories of crawlers and tools: `ai-crawler`, `seo`, `scanner`, `http-library`,
        …. `/robots.txt` stays open, so that crawlers can learn that they are not welcome."""

        welcome: Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], Many] = ()
        """Crawlers and tools let in although their class is denied or their score high, by name: `googlebot` (which is
        also `googlebot-image`), `curl`. An agent that signs its requests (`web_bot_auth`) is not denied by class."""

        signs: int = Field(default=2, ge=1, le=3)
        """How many of a browser's usual fields must be missing (Accept-Language, Accept-Encoding, and over https
        Sec-Fetch-Site from Chrome) to make it `suspect`. 1 also catches privacy tools that strip one."""

        verify: Annotated[tuple[Way, ...], Many] = ()
        """How crawlers must prove their name: `ranges` their operator publishes, fetched in the background, `dns`
        names of their addresses, asked in the background, or both, of which one is enough. Until there is an answer
        a crawler is taken at its word."""

        crawlers: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9 ._-]{1,63}$")], CrawlerSettings] = Field(
            {}, max_length=1000
        )
        """How crawlers are known, by name in lower case: other ones than those known, or other ways than theirs."""

        refresh: Annotated[Duration, Field(ge=60, le=604_800)] = 86_400
        """How often published ranges are read anew: 1m to 7d."""

        shape: bool = False
        """Hash the order of each request's fields, for keys of `rate_limit` and for `flood`."""

        score: bool = False
        """Score each request although no `actions` are given, for the `challenge` stage and for measuring."""

        actions: ActionSettings = ActionSettings()
        """What is done from which score on; nothing by default."""

        weights: WeightSettings = WeightSettings()
        """What each signal adds to the score."""

        model: Name | None = None
        """A model, from the section `models`, that is asked about each request's head: `bot-score`. Its probability
        that a program asks counts for the score. Where it does not answer at once the score is without it."""

        model_weight: Annotated[int, Field(ge=1, le=100)] = 50
        """What `model` adds to the score where it is sure; less where it is less so."""

        ja4: Ja4Settings = Ja4Settings()
        """Fingerprints of TLS hellos that count for the score."""

        networks: Annotated[tuple[Annotated[int, Field(ge=1, le=4_294_967_295)], ...], Many] = ()
        """Numbers of autonomous systems that host programs rather than people; needs `geo` with such a file."""

        pace: Rate = RateValue(600, 60)
        """How fast people ask, with all that their pages load; one period's worth may come at once."""

    request: Callable[[Exchange], Response | None]
    log: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        count = services.metrics.counter
        self._refused = count("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        agents = Agents(config.signs, frozenset(config.deny), frozenset(config.welcome), self._refuse)
        scores = config.score or config.actions != ActionSettings() or config.model is not None
        checks = count("edgeproxy_crawler_checks_total", "Crawlers' names checked in DNS, by outcome.", ("outcome",))
        self._verification = None
        if config.verify:
            known, load = operators(config.crawlers, config.verify), loader(services.http)
            self._verification = Verification(known, load, config.refresh, services.clock, checks.inc)
        self._probes = Probes() if scores and config.weights.probes else None
        if self._probes is not None:
            self.log = self._probes.note
        if not (config.verify or config.shape or scores):
            self.request = agents.check
            return
        acted = count("edgeproxy_bot_actions_total", "What bot_check wanted done, by action.", ("action",))
        shapes = Shapes()
        self.request = Judge(
            agents,
            shapes if config.shape else None,
            None if self._verification is None else self._verification.ask,
            self._scorer(config, agents, shapes) if scores else None,
            Actions(*config.actions.thresholds()),
            self._refuse,
            acted.inc,
            observes=config.mode == "observe",
        ).check

    @classmethod
    def asks_models(cls, config: Config) -> bool:
        return config.model is not None

    def uses(self, phase: str) -> bool:
        return phase != "log" or self._probes is not None

    async def start(self) -> None:
        if self._verification is not None:
            await self._verification.start()

    async def stop(self) -> None:
        if self._verification is not None:
            await self._verification.stop()

    def _scorer(self, config: Config, agents: Agents, shapes: Shapes) -> Scorer:
        """The signals' sum, and what a model adds to it; it costs a fifth of a second to load what runs models."""
        weigh = self._signals(config, agents, shapes).score
        models = self.services.models
        if config.model is None or models is None:
            return weigh
        from edgeproxy.inference.score import ModelScore

        return ModelScore(weigh, models(), config.model, config.model_weight, self.services.metrics).score

    def _signals(self, config: Config, agents: Agents, shapes: Shapes) -> Signals:
        weights = config.weights
        limiter = Limiter(config.pace.period / config.pace.count, max(1.0, config.pace.count), _CLIENTS)
        key = Networks(32, 64).key
        return Signals(
            agents,
            Weights(weights.model_dump()),
            shapes if weights.shape else None,
            self._probes,
            (lambda x: limiter.take(key(x), x.started) < 0) if weights.pace else None,
            frozenset(config.ja4.programs),
            frozenset(config.ja4.browsers),
            frozenset(config.networks),
        )

    def _refuse(self) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        return Response(403, headers, b"403 Automated requests are not served here.\n")
