"""Divides a route's requests into arms: A/B tests, canaries, testers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Self

from pydantic import Field, model_validator

from edgeproxy.config.values import Name
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.message import Response
from edgeproxy.limits.keys import compile_key
from edgeproxy.observe.metrics import DURATIONS
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.routing import split as core
from edgeproxy.routing.split_settings import ArmSettings, SplitSettings, WhenSettings

MOST = 64  # combinations of arms on one route


class Split(Middleware):
    """Divide requests into arms, each with a pool or fields of its own: A/B tests, canaries, testers.

    Arms never share what the cache keeps: they are part of its key. The log has them among its tags (`NAME=ARM`),
    `edgeproxy_split_requests_total` and `edgeproxy_split_seconds` count by arm. Answers say in `Vary` which fields and
    cookies they were divided by; caches of others cannot tell apart what is divided by address.
    `mode: observe` draws, logs and counts, and changes nothing. More in [splits.md](splits.md).
    """

    name = "split"
    shapes = True

    class Config(MiddlewareConfig):
        splits: dict[Name, SplitSettings] = Field(min_length=1, max_length=8)
        """Splits by name: 1 to 8. The draws of one have nothing to do with those of another."""

        @model_validator(mode="after")
        def _together(self) -> Self:
            number = prod(len(split.arms) for split in self.splits.values())
            if number > MOST:
                raise ValueError(f"splits: {number} combinations of arms; {MOST} at most")
            choosing = [name for name, split in self.splits.items() if any(arm.pool for arm in split.arms.values())]
            if len(choosing) > 1:
                raise ValueError(f"splits: {' and '.join(choosing)} both name pools; one of them may")
            return self

    config: Config
    request: Callable[[Exchange], None]
    response: Callable[[Exchange, Response], None]
    log: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        metrics = services.metrics
        requests = metrics.counter(
            "edgeproxy_split_requests_total", "Requests by split and arm: ok, error (5xx).", ("split", "arm", "result")
        )
        seconds = metrics.histogram("edgeproxy_split_seconds", "How long answers took.", ("split", "arm"))

        def tally(split: str, arm: str) -> core.Tally:
            ok, error = requests.cell(split, arm, "ok"), requests.cell(split, arm, "error")
            return core.Tally(ok, error, seconds.cells((split, arm)), DURATIONS)

        drawn = [_split(name, settings) for name, settings in config.splits.items()]
        self._splits = core.Splits(drawn, tally, _consulted(config.splits.values()), enforced=config.mode == "enforce")
        self.request = self._splits.request
        self.response = self._splits.response
        self.log = self._splits.log

    def takes_from(self) -> Iterable[str]:
        arms = [arm for split in self.config.splits.values() for arm in split.arms.values()]
        return [arm.pool for arm in arms if arm.pool is not None]

    def misses(self, beside: Mapping[str, Middleware]) -> str:
        parts = {part.strip() for split in self.config.splits.values() for part in split.key.split("+")}
        return "keys go by country or asn, which the geo stage finds" if parts & _PLACES and "geo" not in beside else ""

    def explain(self, x: Exchange) -> str:
        """The arms that a request is in; the exchange then goes their way."""
        self.request(x)
        return "" if x.arms is None else ", ".join(x.arms.names)


_PLACES = frozenset(("country", "asn"))


def _consulted(splits: Iterable[SplitSettings]) -> tuple[bytes, ...]:
    """The request fields that decide, for Vary."""
    names: dict[str, None] = {}
    for split in splits:
        for part in split.key.split("+"):
            kind, _, name = part.strip().partition(":")
            if kind in ("cookie", "header", "random"):
                names[name.lower() if kind == "header" else "cookie"] = None
        for when in [arm.when for arm in split.arms.values() if arm.when is not None]:
            names |= dict.fromkeys([*when.header, *(["cookie"] if when.cookie else [])])
    return tuple(name.encode() for name in names)


def _split(name: str, settings: SplitSettings) -> core.Split:
    arms = [_arm(arm, each) for arm, each in settings.arms.items()]
    if settings.key != "random":
        return core.Split(name, arms, compile_key(settings.key, 32, 64))
    attributes = b"; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax" % settings.max_age
    return core.Split(name, arms, None, b"split-" + name.encode(), attributes)


def _arm(name: str, settings: ArmSettings) -> core.Arm:
    request, response = _fields(settings.request), _fields(settings.response)
    return core.Arm(name, settings.share or 0.0, _when(settings.when), settings.pool or "", request, response)


def _when(settings: WhenSettings | None) -> core.When | None:
    if settings is None:
        return None
    wanted = [
        (name.encode(), value if isinstance(value, bool) else value.encode()) for name, value in settings.header.items()
    ]
    return core.When(tuple(wanted), _fields(settings.cookie), AddressSet(settings.client) if settings.client else None)


def _fields(given: Mapping[str, str]) -> core.Fields:
    return tuple((name.encode(), value.encode()) for name, value in given.items())
