"""Limits as configuration says them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from edgeproxy.config.units import Network, RateValue, Share, parse_network, parse_rate, parse_size
from edgeproxy.config.values import Many, Name
from edgeproxy.limits.keys import parse_key
from edgeproxy.limits.prices import ROWS, Prices, parse_row
from edgeproxy.limits.whom import Whom

_ALARMS = {"everyone": 0, "treated": 0, "alarm": 1, "attack": 2}
_WORD = re.compile(r"(?:identity|agent):(.+)")


def _quota(value: Any) -> RateValue:
    """A rate of requests or of bytes: ``100/s``, ``10MB/s``, ``1GB/d``."""
    size, slash, unit = str(value).partition("/")
    if isinstance(value, str) and slash and re.search("[kKmMgGtT]", size):
        return parse_rate(f"{parse_size(size)}/{unit}")
    return parse_rate(value)


def _exempt(value: Any) -> Network | str:
    word = _WORD.fullmatch(str(value).strip())
    if word is not None:
        return word[0]
    try:
        return parse_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is no address, no block, no identity:NAME and no agent:NAME") from None


def _table(value: Any) -> Any:
    return {str(key): cost for key, cost in value.items()} if isinstance(value, Mapping) else {"default": value}


KeyExpr = Annotated[str, AfterValidator(parse_key)]
QuotaRate = Annotated[
    RateValue,
    BeforeValidator(_quota),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["100/s", "600/m", "10MB/s"]}),
]
Quantity = Annotated[  # of requests, or of bytes
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["integer", "string"], "examples": [200, "10MB"]}),
]
Exempt = Annotated[
    Network | str,
    PlainValidator(_exempt),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8", "identity:partner", "agent:googlebot"]}),
]
Cost = Annotated[float, Field(ge=0, le=1_000_000)]
CostTable = Annotated[
    dict[Annotated[str, AfterValidator(parse_row)], Cost],
    BeforeValidator(_table),
    Field(max_length=ROWS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
            ],
            "examples": [{"POST": 5, "default": 1}],
        }
    ),
]


class KeyedSettings(BaseModel):
    """What limits of every kind have: what they count by, and for whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    key: KeyExpr = "client.net"
    """What is counted by: `client.ip`, `client.net` (the client's network, see below), `host`, `path`, `route`,
    `method`, `country`, `asn`, `identity`, `agent`, `bot`, `ja4`, `shape`, `header:NAME`, `cookie:NAME`, `query:NAME`,
    `claim:NAME` (of a verified token; `claim:org.id` reaches into objects), or several joined by `+`. Requests that
    lack it count together as one key. Clients choose fields, cookies and parameters freely: join them with
    `client.net`."""

    ipv4_prefix: int = Field(default=32, ge=8, le=32)
    """Bits of an IPv4 address that make up `client.net`; 24 counts neighbours together."""

    ipv6_prefix: int = Field(default=64, ge=16, le=128)
    """Bits of an IPv6 address that make up `client.net`; one customer has at least a /64."""

    applies_to: Literal["everyone", "treated", "alarm", "attack"] = "everyone"
    """Whom the limit is about: `treated` are those that a check above (`bot_check`, `reputation`, `flood`) wants
    limited; `alarm` is everyone while the flood stage's alarm is elevated or higher, `attack` while it is at its
    highest."""

    exempt: Annotated[tuple[Exempt, ...], Many] = ()
    """Who is not counted: addresses, blocks, `identity:NAME` (who proved to be that: an API key's name, a user, a
    certificate's subject), `agent:NAME` (a verified crawler)."""

    def whom(self) -> Whom:
        return Whom(treated=self.applies_to == "treated", alarm=_ALARMS[self.applies_to], exempt=self.exempt)


class LimitSettings(KeyedSettings):
    """One limit on how often, or how much."""

    rate: QuotaRate = RateValue(100, 1)
    """How many requests a key may make in the long run: `100/s`, `600/m`, `5000/h`; with `count: bytes` how many bytes
    it may get: `10MB/s`, `20GB/d`."""

    burst: Annotated[Quantity, Field(ge=1, le=10**12)] | None = None
    """How much at once; as much as in one period of `rate` if not given. Of `algorithm: gcra` alone."""

    algorithm: Literal["gcra", "window"] = "gcra"
    """How it is counted. `gcra`: `burst` at once, and what was used comes back evenly at `rate`. `window`: as much as
    `rate` says in any one of its periods, however spread, and never more: what was used comes back after one period, at
    the latest after nine eighths of it."""

    count: Literal["requests", "bytes"] = "requests"
    """What is counted. `bytes` are those of the answers' bodies, known only once sent: who is over the limit is refused
    until enough time has passed, and what is under way may exceed it."""

    cost: CostTable = {"default": 1}
    """What a request counts for: a number, or a table like `{POST: 5, /search: 10, GET /search: 2, default: 1}`. The
    longest path decides, then the method; 0 is not counted, and not limited. What a status costs (`401: 10`, `4xx: 2`)
    comes on top once the answer is there, so who keeps asking for what is not there, or guesses, runs out sooner; it
    costs nothing if a stage above answered."""

    scope: Literal["worker", "node", "region"] = "worker"
    """Who counts together. `worker`: each worker by itself, so that with N workers a client whose connections spread
    over all of them gets up to N times the rate. `node`: all workers of this node, in memory they share. `region`: all
    nodes that share the Redis of `cache.redis`; most requests are let through without asking it. While it is away each
    worker goes on with its share."""

    batch: Annotated[Quantity, Field(ge=2, le=10**12)] | None = None
    """How far a worker may be ahead of what Redis has counted, with `scope: region`; a tenth of the burst, at least 2,
    if not given. In any stretch of time the region lets through at most workers x `batch` more than the limit says. A
    larger one asks Redis less often."""

    share: Annotated[Share, Field(gt=0, le=1)] | None = None
    """Which part of the limit each worker has while Redis is away, with `scope: region`; if not given, an equal one of
    all workers that Redis knew last."""

    keys: int = Field(default=100_000, ge=100, le=10_000_000)
    """How many keys each worker remembers for the limit, about 200 bytes each (600 with `window`): by default 20 MB, a
    million keys 200 MB. Beyond that those are forgotten that were not seen for the longest, and begin anew. With
    `scope: region` it is 460 bytes; with `scope: node` 16 bytes for all workers together, reserved from the start, and
    what is forgotten are keys that have nearly their whole burst back."""

    @property
    def quota(self) -> float:
        """How much at once."""
        return self.rate.count if self.algorithm == "window" else self.burst or max(1, int(self.rate.count))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.algorithm == "window":
            if self.burst is not None:
                raise ValueError("a window has no burst: its rate is what may come at once")
            if self.rate.count < 1:
                raise ValueError(f"a window of {self.rate} lets nothing through; write it as one in a longer period")
            if self.scope != "worker":
                raise ValueError(f"a window is counted in one worker; with scope: {self.scope} use algorithm: gcra")
        if self.scope != "region" and (self.batch is not None or self.share is not None):
            raise ValueError(f"{'share' if self.batch is None else 'batch'} is of scope: region")
        if self.count == "bytes":
            if self.cost != {"default": 1}:
                raise ValueError("bytes cost what they are: leave cost out")
        elif Prices(self.cost).most() > self.quota:
            raise ValueError(f"a request that costs more than the {self.quota:g} there is at once never passes")
        return self


class NamedLimit(LimitSettings):
    """One limit of several."""

    name: Name
    """What it is called in the answers' RateLimit fields and in metrics."""


class ConcurrencySettings(KeyedSettings):
    """One limit on how much is under way."""

    most: int = Field(default=100, ge=1, le=1_000_000)
    """How many exchanges a key may have under way at once."""


class NamedConcurrency(ConcurrencySettings):
    """One limit of several."""

    name: Name
    """What it is called in the answers' RateLimit fields and in metrics."""


DEFAULT = "default"
N = TypeVar("N", NamedLimit, NamedConcurrency)


def differ(limits: tuple[N, ...]) -> tuple[N, ...]:
    """Limits whose names differ, also from that of the one beside their list. Raises ValueError."""
    if len({DEFAULT, *(limit.name for limit in limits)}) <= len(limits):
        raise ValueError(f"each limit has a name of its own; the one beside the list is called {DEFAULT}")
    return limits


def has_own(config: BaseModel, own: type[BaseModel], limits: Sequence[BaseModel]) -> bool:
    """Whether a stage's settings describe a limit beside those in its list, or have none there."""
    return not limits or not config.model_fields_set.isdisjoint(own.model_fields)
