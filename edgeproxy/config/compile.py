"""Config to Snapshot: pools, stages, chains and the router, built aside and complete, or not at all.

What the last snapshot has and the new configuration leaves as it was is taken over with its state: a stage by its name
and settings, a pool by its settings and those of the pools it falls back on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from edgeproxy.config.errors import ConfigError, ConfigErrors, Loc, located
from edgeproxy.config.phrases import phrase
from edgeproxy.config.schema import Config, PoolConfig, RouteConfig
from edgeproxy.config.snapshot import Origin, Route, Snapshot
from edgeproxy.config.stages import Discovered, chosen, discover
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.loops import pseudonym
from edgeproxy.http.message import Response
from edgeproxy.origin.pool import Pool
from edgeproxy.pipeline.chain import LogHook, compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, Services
from edgeproxy.routing.geo import ByCountry
from edgeproxy.routing.match import Router

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
    if errors:
        raise ConfigErrors(errors)
    models = _Models(config, services, previous)
    services = replace(services, models=models.get)
    builder = _StageBuilder(config, services, stages or discover(), {} if previous is None else previous.stages)
    chains = [compile_chain(builder.build(index), observers) for index in range(len(config.routes))]
    routes = [
        (route.match, Route(route.name, chain, _origin(route, pools), _partition(route)))
        for route, chain in zip(config.routes, chains, strict=True)
    ]
    unrouted = Route("none", compile_chain(builder.build(None), observers), NoRoute())
    if builder.errors:
        raise ConfigErrors(builder.errors)
    return Snapshot(config, Router(routes), unrouted, pools, builder.stages, models.made)


def _origin(route: RouteConfig, pools: dict[str, Pool]) -> Origin:
    """Where the route's misses go."""
    if not route.country_pools:
        return pools[route.pool]
    named = {country: pools[name] for name, countries in route.country_pools.items() for country in countries}
    return ByCountry(pools[route.pool], named)


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
        if previous is not None and same_node and _unchanged(name, config.pools, previous.config.pools):
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


def _unchanged(name: str, now: dict[str, PoolConfig], before: dict[str, PoolConfig]) -> bool:
    """Whether a pool and all it falls back on stayed the same; the way down ends, circles are refused in loading."""
    link: str | None = name
    while link is not None:
        if before.get(link) != now[link]:
            return False
        link = now[link].fallback
    return True


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
            if route.country_pools and "geo" not in stages:
                self._report(("routes", index or 0, "country_pools"), "needs the geo stage on this route")
        return list(stages.values())

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
