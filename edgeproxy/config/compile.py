"""Config to Snapshot: pools, stages, chains and the router, built aside and complete, or not at all.

What the last snapshot has and the new configuration leaves as it was is taken over with its state: a stage by its name
and settings, a pool by its settings, the models' where it asks one, and those of the pools it falls back on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from edgeproxy.acme.answers import Answers
from edgeproxy.config.errors import ConfigError, ConfigErrors, Loc, located
from edgeproxy.config.phrases import nearest, phrase
from edgeproxy.config.schema import Config, RouteConfig
from edgeproxy.config.snapshot import Origin, Route, Snapshot
from edgeproxy.config.stages import Discovered, chosen, discover
from edgeproxy.config.values import writable
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.loops import pseudonym
from edgeproxy.http.message import Request, Response
from edgeproxy.origin.pool import Pool
from edgeproxy.pipeline.chain import Chain, LogHook, compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, Services
from edgeproxy.routing.geo import ByCountry
from edgeproxy.routing.match import Router
from edgeproxy.routing.pools import Pools

if TYPE_CHECKING:
    from edgeproxy.inference.service import Inference

__all__ = ["activate", "compile_config", "discover"]


class NoRoute:
    """The origin of what no route matches."""

    name = "none"

    async def fetch(self, x: Exchange) -> Response:
        raise EdgeError(Kind.NO_ROUTE, "edge")


def compile_config(
    config: Config,
    services: Services,
    previous: Snapshot | None = None,
    observers: Sequence[LogHook] = (),
    stages: Discovered | None = None,
) -> Snapshot:
    """A snapshot, nothing of it started yet; ``observers`` see the end of every exchange.

    Raises ConfigErrors, and leaves ``previous`` as it was.
    """
    pools, errors = _build_pools(config, services, previous)
    models = _Models(config, services, previous)
    if not errors:
        errors = _give_models(config, services, pools, previous, models)
    if errors:
        raise ConfigErrors(errors)
    services = replace(services, models=models.get)
    builder = _StageBuilder(config, services, stages or discover(), {} if previous is None else previous.stages)
    chains = [compile_chain(builder.build(index), observers) for index in range(len(config.routes))]
    unrouted = Route("none", compile_chain(builder.build(None), observers), NoRoute())
    if builder.errors:
        raise ConfigErrors(builder.errors)
    routes = [
        (route.match, Route(route.name, chain, _origin(route, chain, pools), _partition(route)))
        for route, chain in zip(config.routes, chains, strict=True)
    ]
    return Snapshot(config, Router(routes, _own(config, observers)), unrouted, pools, builder.stages, models.made)


def _own(config: Config, observers: Sequence[LogHook]) -> Callable[[Request], Route | None] | None:
    """What the node answers itself: challenges, where certificates are got."""
    if config.acme is None:
        return None
    try:
        folder = writable(config.acme.folder, "folder")
    except ValueError as error:
        raise ConfigErrors([located(("acme",), str(error))]) from None
    return Answers(folder, compile_chain((), observers)).route


def _origin(route: RouteConfig, chain: Chain, pools: dict[str, Pool]) -> Origin:
    """Where the route's misses go."""
    origin: Origin = pools[route.pool]
    if route.country_pools:
        named = {country: pools[name] for name, countries in route.country_pools.items() for country in countries}
        origin = ByCountry(origin, named)
    others = {name: pools[name] for stage in chain.stages for name in stage.takes_from()}
    return Pools(origin, others) if others else origin


def _partition(route: RouteConfig) -> bytes:
    """The route's own partition of the cache, if more than the URL decides whether a GET or HEAD takes it.

    Of the routes without one, a URL has exactly one winner, so two routes never share a key.
    """
    methods = route.match.method
    told_apart = bool(route.match.header) or ("HEAD" in methods and "GET" not in methods)
    return route.name.encode() if told_apart else b""


async def activate(
    snapshot: Snapshot, previous: Snapshot | None, swap: Callable[[Snapshot], None] = lambda _: None
) -> None:
    """Put a snapshot into service: start what is new, ``swap``, stop what is used no more.

    What raises in starting undoes the start, and is raised: ``previous`` goes on.
    """
    before = [] if previous is None else _parts(previous)
    after = _parts(snapshot)
    kept = {id(part) for part in before} & {id(part) for part in after}
    started: list[Middleware | Pool | Inference] = []
    try:
        for part in after:
            if id(part) not in kept:
                started.append(part)
                await part.start()
    except BaseException:
        for part in reversed(started):
            await part.stop()
        raise
    swap(snapshot)
    for part in before:
        if id(part) not in kept:
            await part.stop()


def _parts(snapshot: Snapshot) -> list[Middleware | Pool | Inference]:
    models = [] if snapshot.models is None else [snapshot.models]
    return [*snapshot.pools.values(), *models, *snapshot.stages.values()]


class _Models:
    """The snapshot's models, made when the first stage asks for them: what they need takes a fifth of a second and
    40 MB to load."""

    def __init__(self, config: Config, services: Services, previous: Snapshot | None) -> None:
        self.made: Inference | None = None
        self._services = services
        self._settings = config.models
        same = previous is not None and previous.config.models == config.models
        self._before = previous.models if previous is not None and same else None

    def get(self) -> Inference:
        """Raises ValueError."""
        if self.made is None:
            self.made = self._before
        if self.made is None:
            from edgeproxy.inference.service import Inference

            self.made = Inference(self._settings, self._services)
        return self.made


# -- pools -----------------------------------------------------------------------------------------------------------


def _build_pools(
    config: Config, services: Services, previous: Snapshot | None
) -> tuple[dict[str, Pool], list[ConfigError]]:
    pools: dict[str, Pool] = {}
    new: list[str] = []
    errors: list[ConfigError] = []
    node = pseudonym(config.node or services.node)
    same_node = previous is not None and previous.config.node == config.node
    for name, pool in config.pools.items():
        if previous is not None and same_node and _unchanged(name, config, previous.config):
            pools[name] = previous.pools[name]
            continue
        try:
            pools[name] = Pool(name, pool, services.clock, services.metrics, node)
            new.append(name)
        except (ValueError, OSError) as error:  # a file that cannot be used
            errors.append(located(("pools", name), str(error)))
    if not errors:
        for name in new:
            fallback = config.pools[name].fallback
            pools[name].fallback = None if fallback is None else pools[fallback]
    return pools, errors


def _unchanged(name: str, now: Config, before: Config) -> bool:
    """Whether a pool, the models it asks, and all it falls back on stayed the same; the way down ends, circles are
    refused in loading."""
    link: str | None = name
    while link is not None:
        pool = now.pools[link]
        if before.pools.get(link) != pool or (pool.balance == "learned" and now.models != before.models):
            return False
        link = pool.fallback
    return True


def _give_models(
    config: Config, services: Services, pools: dict[str, Pool], previous: Snapshot | None, models: _Models
) -> list[ConfigError]:
    """Pools that ask a model get it; one that was taken over goes on with the same."""
    errors: list[ConfigError] = []
    for name, pool in pools.items():
        if pool.learning is None:
            continue
        try:
            inference = models.get()
            if previous is None or previous.pools.get(name) is not pool:
                from edgeproxy.inference.latency import Latency

                model = Latency(inference, config.pools[name].learned.model, name, services.clock)
                pool.learning.use(model.predict)
        except ValueError as error:
            errors.append(located(("pools", name, "learned", "model"), str(error)))
    return errors


# -- stages ----------------------------------------------------------------------------------------------------------


class _StageBuilder:
    """Builds every stage once: routes that have one with the same settings share it."""

    def __init__(
        self, config: Config, services: Services, discovered: Discovered, previous: dict[str, Middleware]
    ) -> None:
        self.stages: dict[str, Middleware] = {}
        self.errors: list[ConfigError] = []
        self._config = config
        self._services = services
        self._discovered = discovered
        self._previous = previous

    def build(self, index: int | None) -> list[Middleware]:
        """The stages of a route in order; of what has no route (None), without the cache."""
        route: RouteConfig | None = None if index is None else self._config.routes[index]
        settings = chosen(self._discovered, self._config.middleware, route.middleware if route else None)
        if route is None:
            settings.pop("cache", None)
        stages: dict[str, Middleware] = {}
        places: dict[str, Loc] = {}
        for name, given in settings.items():
            from_route = index is not None and route is not None and name in route.middleware
            place: Loc = (
                ("routes", index, "middleware", name) if from_route and index is not None else ("middleware", name)
            )
            stage = self._stage(name, given, place)
            if stage is not None:
                stages[name], places[name] = stage, place
        if route is not None and not self.errors:
            for name, stage in stages.items():
                if missing := stage.misses(stages):
                    self._report(places[name], f"on route {route.name!r}: {missing}")
                for other in {*stage.hands_over_to()} - {each.name for each in self._config.routes}:
                    self._report(places[name], f"on route {route.name!r}: there is no route {other!r}")
                for pool in {*stage.takes_from()} - self._config.pools.keys():
                    self._report(places[name], f"there is no pool {pool!r}{nearest(pool, self._config.pools)}")
            if "geo" not in stages:
                self._check_placeless(index or 0, route, stages)
        return list(stages.values())

    def _check_placeless(self, index: int, route: RouteConfig, stages: dict[str, Middleware]) -> None:
        """Nothing tells where the clients of this route are: it and its pools must not go by that."""
        if route.country_pools:
            self._report(("routes", index, "country_pools"), "needs the geo stage on this route")
        taken = [pool for stage in stages.values() for pool in stage.takes_from()]
        for name in self._with_fallbacks(route.pool, *route.country_pools, *taken):
            prefer = self._config.pools[name].prefer
            if prefer is not None and prefer.by == "distance":
                self._report(("pools", name, "prefer"), f"distance needs the geo stage on route {route.name!r}")

    def _with_fallbacks(self, *names: str) -> list[str]:
        """These pools, and all they fall back on."""
        found: list[str] = []
        for first in names:
            link: str | None = first
            while link is not None and link in self._config.pools and link not in found:
                found.append(link)
                link = self._config.pools[link].fallback
        return found

    def _stage(self, name: str, settings: dict[str, Any], place: Loc) -> Middleware | None:
        made = self._discovered.stages[name]
        try:
            config = made.Config.model_validate(settings, context={"folder": self._config.folder})
            asks_models = made.asks_models(config)
            key = stage_key(name, config, self._config.models if asks_models else None)
            stage = self.stages.get(key) or self._previous.get(key) or made(config, self._services)
            if asks_models and self._services.models is not None:
                self._services.models()  # a stage that was taken over goes on with the same ones
        except ValidationError as error:
            for found in error.errors(include_url=False):
                self._report((*place, *found["loc"]), phrase(found, made.Config))
            return None
        except (ValueError, OSError) as error:  # what the settings name cannot be had
            self._report(place, str(error))
            return None
        self.stages[key] = stage
        return stage

    def _report(self, loc: Loc, message: str) -> None:
        error = located(loc, message)
        if error not in self.errors:
            self.errors.append(error)


def stage_key(name: str, *configs: BaseModel | None) -> str:
    """What a stage is known by from one snapshot to the next: its name and a digest of its settings, secrets too, and
    of what else it is made from."""
    dumped = [config.model_dump(mode="python") for config in configs if config is not None]
    settings = json.dumps(dumped, sort_keys=True, default=_plain)
    return f"{name}:{hashlib.sha256(settings.encode()).hexdigest()[:32]}"


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr | SecretBytes):
        return str(value.get_secret_value())
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return str(value)
