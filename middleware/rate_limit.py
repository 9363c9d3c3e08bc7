"""Limits how often a client may ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from edgeproxy.config.units import Rate, RateValue
from edgeproxy.http.cookies import cookie
from edgeproxy.http.message import Response
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.gcra import Gate, Limiter
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

KeyOf = Callable[[Exchange], bytes]

_LONGEST = 64  # bytes of a key that are kept as they are; a longer one is kept as its hash
_PLAIN: dict[str, KeyOf] = {
    "client.ip": lambda x: x.client.encode(),
    "host": lambda x: x.request.host,
    "path": lambda x: x.request.path,
    "route": lambda x: x.route.name.encode(),
    "method": lambda x: x.request.method,
}
_NAMED = re.compile(r"(header|cookie|claim):([!#$%&'*+.^_`|~0-9A-Za-z:/-]+)")


def parse_key(text: str) -> str:
    for part in text.split("+"):
        if part.strip() not in _PLAIN and part.strip() != "client.net" and not _NAMED.fullmatch(part.strip()):
            known = ", ".join(["client.net", *_PLAIN, "header:NAME", "cookie:NAME", "claim:NAME"])
            raise ValueError(f"{part.strip()!r} is not something to count by; known are {known}, joined by +")
    return text


KeyExpr = Annotated[str, AfterValidator(parse_key)]


class RateLimit(Middleware):
    """Limit requests per key by the generic cell rate algorithm: `burst` at once, then `rate` evenly. What is over
    gets 429 with `Retry-After` and the `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers), and is not counted.

    Each worker counts by itself: with N workers a client whose connections spread over all of them gets up to N times
    the rate. At `keys` keys the limiter forgets those it has not seen for the longest; they begin anew with a full
    burst, so a flood of new keys can loosen the limit for idle ones, and never takes more memory.
    """

    name = "rate_limit"

    class Config(MiddlewareConfig):
        key: KeyExpr = "client.net"
        """What is counted: `client.ip`, `client.net` (the client's network, see below), `host`, `path`, `route`,
        `method`, `header:NAME`, `cookie:NAME`, `claim:NAME` (of a verified token), or several joined by `+`. Requests
        that lack the field count together as one key. Clients choose fields freely: join them with `client.net`."""

        rate: Rate = RateValue(100, 1)
        """How many requests a key may make in the long run: `100/s`, `600/m`, `5000/h`."""

        burst: int | None = Field(default=None, ge=1, le=1_000_000)
        """How many it may make at once; as many as in one period of `rate` if not given."""

        headers: Literal["always", "refused", "never"] = "refused"
        """Which answers bear `RateLimit` and `RateLimit-Policy`. `always` makes a memory hit a few percent dearer."""

        ipv4_prefix: int = Field(default=32, ge=8, le=32)
        """Bits of an IPv4 address that make up `client.net`; 24 counts neighbours together."""

        ipv6_prefix: int = Field(default=64, ge=16, le=128)
        """Bits of an IPv6 address that make up `client.net`; one customer has at least a /64."""

        keys: int = Field(default=100_000, ge=100, le=10_000_000)
        """How many keys are remembered, about 200 bytes each."""

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        count, period = config.rate.count, config.rate.period
        burst = config.burst or max(1, int(count))
        self._limiter = Limiter(period / count, burst, config.keys)
        key = compile_key(config.key, config.ipv4_prefix, config.ipv6_prefix)
        self.request = Gate(self._limiter, key, self._refuse).enter
        quota = max(burst, ceil(count))
        self._policy = b'"default";q=%d;w=%d' % (quota, ceil(quota * period / count))
        self._always = config.headers == "always"
        self._never = config.headers == "never"
        self._now = services.clock.monotonic
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        services.metrics.gauge("edgeproxy_rate_limit_keys", "Keys the rate limiters remember.", (), self._count_keys)

    def uses(self, phase: str) -> bool:
        return phase != "response" or self._always

    def response(self, x: Exchange, response: Response) -> None:
        if x.arrival:
            now = self._now()
            left = self._limiter.available(x.arrival, now)
            response.set(b"ratelimit-policy", self._policy)
            response.set(b"ratelimit", b'"default";r=%d;t=%d' % (left, ceil(max(0.0, x.arrival - now))))

    def _refuse(self, wait: float) -> Response:
        self._refused.inc(self.name)
        seconds = b"%d" % max(1, ceil(wait))
        headers = {
            b"content-type": b"text/plain; charset=utf-8",
            b"cache-control": b"no-store",
            b"retry-after": seconds,
        }
        if not self._never:
            headers[b"ratelimit-policy"] = self._policy
            headers[b"ratelimit"] = b'"default";r=0;t=%b' % seconds
        return Response(429, headers, b"429 Too many requests; try again in %b s.\n" % seconds)

    def _count_keys(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), len(self._limiter))]


def compile_key(expression: str, ipv4_prefix: int, ipv6_prefix: int) -> KeyOf:
    """The function that gives an exchange's key, at most 64 bytes long."""
    parts = [_compile_part(part.strip(), ipv4_prefix, ipv6_prefix) for part in expression.split("+")]
    if len(parts) == 1:
        part = parts[0]
        if expression.strip() in ("client.ip", "client.net"):
            return part
        return lambda x: _short(part(x))
    return lambda x: _short(b"\0".join([part(x) for part in parts]))


def _compile_part(part: str, ipv4_prefix: int, ipv6_prefix: int) -> KeyOf:
    if part == "client.net":
        return Networks(ipv4_prefix, ipv6_prefix).key
    named = _NAMED.fullmatch(part)
    if named is None:
        return _PLAIN[part]
    kind, name = named.groups()
    if kind == "header":
        field = name.lower().encode()
        return lambda x: x.request.headers.get(field, b"")
    if kind == "cookie":
        crumb = name.encode()
        return lambda x: cookie(x.request.headers.get(b"cookie", b""), crumb) or b""
    return lambda x: _claim(x, name)


def _claim(x: Exchange, name: str) -> bytes:
    value: Any = None if x.claims is None else x.claims.get(name)
    return b"" if value is None else str(value).encode()


def _short(key: bytes) -> bytes:
    return key if len(key) <= _LONGEST else blake2b(key, digest_size=16).digest()
