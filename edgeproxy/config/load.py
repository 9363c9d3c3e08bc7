"""YAML to Config. All mistakes of a file are found in one go, each with its line, column and what would be right."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from edgeproxy.config.document import MAX_BYTES, Document
from edgeproxy.config.errors import ConfigError, ConfigErrors, Loc
from edgeproxy.config.phrases import TEXT_WANTED, nearest, phrase
from edgeproxy.config.schema import Config
from edgeproxy.config.stages import Discovered, StageSettings, chosen, discover

STARTUP = "edgeproxy.yaml"


class Finding(NamedTuple):
    """A mistake before it has its place. ``text_wanted``: the scalar's text may be right where its value is not."""

    loc: Loc
    message: str
    at_key: bool = False
    text_wanted: bool = False


def load_file(path: str | Path, env: Mapping[str, str] = os.environ, stages: Discovered | None = None) -> Config:
    """The configuration in a file. Raises ConfigErrors with all that is wrong, also when it cannot be read."""
    return load_text(read_file(path), str(path), env, stages)


def read_file(path: str | Path) -> str:
    """A file's text. Raises ConfigErrors."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigErrors([ConfigError(str(path), line, 1, "", "not UTF-8")]) from None
    except OSError as error:
        raise ConfigErrors([ConfigError(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from None


def load_text(
    text: str, file: str = STARTUP, env: Mapping[str, str] = os.environ, stages: Discovered | None = None
) -> Config:
    """The configuration in a text; ``file`` names it in errors, and its folder is where relative paths start.

    Raises ConfigErrors with all that is wrong.
    """
    document = Document(text, file, env)
    discovered = stages or discover()
    config, findings = _check(document.data, discovered, Path(file).parent)
    if [finding for finding in findings if finding.text_wanted and document.take_text(finding.loc)]:
        config, findings = _check(document.data, discovered, Path(file).parent)
    errors = set(document.errors)
    unread = {(error.line, error.column) for error in errors}
    for found in findings:
        error = document.error(found.loc, found.message, at_key=found.at_key)
        if (error.line, error.column) not in unread:  # what could not be read has no further mistake
            errors.add(error)
    if config is None or errors:
        raise ConfigErrors(sorted(errors, key=lambda error: (error.line, error.column, error.path)))
    return config


def placed(errors: ConfigErrors, text: str, file: str, env: Mapping[str, str] = os.environ) -> ConfigErrors:
    """The errors of compiling a configuration, with their places in its text."""
    document = Document(text, file, env)
    return ConfigErrors([document.error(error.loc, error.message) for error in errors.errors])


def _check(data: Any, discovered: Discovered, folder: Path) -> tuple[Config | None, list[Finding]]:
    config, findings = None, []
    try:
        config = Config.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        findings = _findings(error, Config, ())
    if isinstance(data, dict):
        findings += [*_check_routes(data), *_check_pools(data), *_check_stages(data, discovered, folder)]
        findings += [*_check_scopes(data), *_check_acme(data)]
    return config, findings


def _findings(error: ValidationError, model: type[BaseModel], prefix: Loc) -> list[Finding]:
    details = error.errors(include_url=False)
    # A list whose only entries are wrong counts as empty; that it is so is no second mistake.
    above = {found["loc"][:depth] for found in details for depth in range(len(found["loc"]))}
    return [
        Finding(
            (*prefix, *found["loc"]),
            phrase(found, model),
            at_key=found["type"] == "extra_forbidden",
            text_wanted=found["type"] in TEXT_WANTED,
        )
        for found in details
        if not (found["type"] == "too_short" and found["loc"] in above)
    ]


# -- What the schema alone cannot say. The data may be of any shape here; a wrong one is the schema's to find.


def _map(value: Any, key: str | None = None) -> dict[str, Any]:
    found = value.get(key) if key is not None and isinstance(value, dict) else value if key is None else None
    return found if isinstance(found, dict) else {}


def _routes(data: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    routes = data.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, dict):
            yield index, route


def _check_routes(data: dict[str, Any]) -> Iterator[Finding]:
    pools = _map(data, "pools")
    first: dict[str, int] = {}
    for index, route in _routes(data):
        pool, name = route.get("pool"), route.get("name")
        if isinstance(pool, str) and pool not in pools:
            yield Finding(("routes", index, "pool"), f"there is no pool {pool!r}{nearest(pool, pools)}")
        yield from _check_country_pools(_map(route, "country_pools"), pools, ("routes", index, "country_pools"))
        if isinstance(name, str):
            if name in first:
                yield Finding(("routes", index, "name"), f"the name {name!r} is taken by routes[{first[name]}]")
            first.setdefault(name, index)


def _check_country_pools(given: dict[str, Any], pools: dict[str, Any], place: Loc) -> Iterator[Finding]:
    taken: dict[str, str] = {}
    for pool, countries in given.items():
        if pool not in pools:
            yield Finding((*place, pool), f"there is no pool {pool!r}{nearest(pool, pools)}", at_key=True)
        for country in map(str, countries if isinstance(countries, list) else [countries]):
            other = taken.setdefault(country.upper(), pool)
            if other != pool:
                yield Finding((*place, pool), f"{country.upper()} has a pool already: {other}")


def _check_pools(data: dict[str, Any]) -> Iterator[Finding]:
    pools = _map(data, "pools")
    fallback = {name: pool["fallback"] for name, pool in pools.items() if isinstance(_map(pool).get("fallback"), str)}
    reported: set[str] = set()
    for name, target in fallback.items():
        if target not in pools:
            yield Finding(
                ("pools", name, "fallback"), f"there is no pool {target!r}{nearest(target, set(pools) - {name})}"
            )
            continue
        way = [name]
        while target is not None and target not in way:
            way.append(target)
            target = fallback.get(target)
        if target == name and name not in reported:
            reported.update(way)
            yield Finding(("pools", name, "fallback"), f"goes round in a circle: {' → '.join([*way, name])}")


def _check_stages(data: dict[str, Any], discovered: Discovered, folder: Path) -> Iterator[Finding]:
    everywhere, place = _map(data, "middleware"), ("middleware",)
    yield from _check_names(everywhere, place, discovered)
    for name in sorted(discovered.on - set(everywhere)):  # it may guard something
        if why := discovered.broken(name):
            yield Finding(place, f"{name} is installed, but cannot be loaded: {why}; mend it, or write '{name}: off'")
    yield from _check_settings(discovered, everywhere, None, place, folder)
    for index, route in _routes(data):
        if here := _map(route, "middleware"):
            place_here = ("routes", index, "middleware")
            yield from _check_names(here, place_here, discovered)
            yield from _check_settings(discovered, everywhere, here, place_here, folder)


def _check_scopes(data: dict[str, Any]) -> Iterator[Finding]:
    if _map(data, "cache").get("redis") is not None:
        return
    stages: list[tuple[Loc, Any]] = [(("middleware", name), one) for name, one in _map(data, "middleware").items()]
    for index, route in _routes(data):
        here = _map(route, "middleware").items()
        stages += [(("routes", index, "middleware", name), settings) for name, settings in here]
    for place, settings in stages:
        limits = _map(settings).get("limits")
        each = [((*place, "limits", at), one) for at, one in enumerate(limits if isinstance(limits, list) else ())]
        for loc, one in [(place, settings), *each]:
            if _map(one).get("scope") == "region":
                yield Finding((*loc, "scope"), "region needs cache.redis: its nodes count there together")


def _check_acme(data: dict[str, Any]) -> Iterator[Finding]:
    acme, listeners = _map(data, "acme"), data.get("listeners")
    if acme.get("storage") == "redis" and _map(data, "cache").get("redis") is None:
        yield Finding(("acme", "storage"), "redis needs cache.redis: nodes share certificates there")
    for index, listener in enumerate(listeners if isinstance(listeners, list) else ()):
        tls = _map(_map(listener), "tls")
        names, place = tls.get("acme"), ("listeners", index, "tls")
        if tls.get("on_demand") is True and not acme.get("on_demand"):
            yield Finding((*place, "on_demand"), "needs acme.on_demand: which names that may be")
        if names and not acme:
            yield Finding((*place, "acme"), "needs acme: the authority that gives these certificates")
        elif acme.get("challenge") != "dns-01":
            for at, name in enumerate(names if isinstance(names, list) else [names]):
                if str(name).startswith("*."):
                    loc: Loc = (*place, "acme", at) if isinstance(names, list) else (*place, "acme")
                    yield Finding(loc, f"{name} can be proved by acme.challenge: dns-01 alone")


def _check_names(given: Mapping[str, Any], place: Loc, discovered: Discovered) -> Iterator[Finding]:
    for name, settings in given.items():
        if name not in discovered.stages:
            yield Finding((*place, name), f"unknown stage{nearest(name, discovered.stages)}", at_key=True)
        elif settings is not False and (why := discovered.broken(name)):
            yield Finding((*place, name), f"installed, but cannot be loaded: {why}", at_key=True)
        elif not (settings is None or isinstance(settings, dict | bool)):
            yield Finding((*place, name), "must be a map of settings, on or off")


def _check_settings(
    discovered: Discovered, everywhere: StageSettings, here: StageSettings | None, place: Loc, folder: Path
) -> Iterator[Finding]:
    for name, settings in chosen(discovered, everywhere, here).items():
        if discovered.broken(name):
            continue  # said already
        model = discovered.stages[name].Config
        own = _map(here, name) if here is not None else _map(everywhere, name)
        try:
            model.model_validate(settings, context={"folder": folder})
        except ValidationError as error:
            for found in _findings(error, model, ()):
                # A setting the route took over is wrong where it stands; what is missing is missing here.
                elsewhere = here is not None and found.loc and found.loc[0] not in own and found.loc[0] in settings
                yield found._replace(loc=(*(("middleware",) if elsewhere else place), name, *found.loc))
