"""Lets requests in or refuses them by address, place, path, method and header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgeproxy.config.units import Cidr
from edgeproxy.config.values import Country, FieldName, Many, Method, Name, Path
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_SLASHES = re.compile(rb"/{2,}")


def _asn(value: Any) -> int:
    digits = str(value).upper().removeprefix("AS")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or int(digits) >= 2**32:
        raise ValueError(f"{value!r} is not the number of an autonomous system; write AS64496 or 64496")
    return int(digits)


class Match(BaseModel):
    """What a rule is about. All conditions given must hold, each for one of its values; none given is everything."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    client: Annotated[tuple[Cidr, ...], Many] = ()
    """Addresses and blocks the client's address lies in."""

    path: Annotated[tuple[Path, ...], Many] = ()
    """What the path begins with: `/admin` is also `/administrator`, `/admin/` is not `/admin`. Repeated slashes
    count as one."""

    method: Annotated[tuple[Method, ...], Many] = ()
    """Methods."""

    header: dict[FieldName, str | bool] = {}
    """Fields and their whole value; `true` for any value, `false` for a field that is not there."""

    country: Annotated[tuple[Literal["unknown"] | Country, ...], Many] = ()
    """Where the client is, as the `geo` stage has found: ISO 3166-1 codes, `unknown` for a client whose country is not
    known: `[DE, AT, unknown]`."""

    asn: Annotated[tuple[Annotated[int, BeforeValidator(_asn)], ...], Many] = ()
    """Networks by the number of their autonomous system, as the `geo` stage has found: `[AS64496, 64511]`; 0 for a
    client whose network is not known."""

    feed: Annotated[tuple[Name, ...], Many] = ()
    """Names of feeds the client is in, as the `reputation` stage has found."""


class Rule(BaseModel):
    """One rule: `allow` or `deny`, and what it is about."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    allow: Match | None = None
    """Let in what matches; no further rule is asked."""

    deny: Match | None = None
    """Refuse what matches; no further rule is asked."""

    @model_validator(mode="after")
    def _one(self) -> Rule:
        if (self.allow is None) == (self.deny is None):
            raise ValueError("a rule has either allow or deny; write {} for a rule that matches everything")
        return self


class _Test(NamedTuple):
    """A rule without its addresses, ready to ask. Empty and None hold for every request."""

    denies: bool
    paths: tuple[bytes, ...] = ()
    methods: frozenset[bytes] = frozenset()
    fields: tuple[tuple[bytes, bytes | bool], ...] = ()
    countries: frozenset[str] = frozenset()
    asns: frozenset[int] = frozenset()
    feeds: frozenset[str] = frozenset()

    def unconditional(self) -> bool:
        return not any(self[1:])

    def holds(self, x: Exchange, path: bytes) -> bool:
        request = x.request
        if self.countries and x.place.country not in self.countries:
            return False
        if self.asns and x.place.asn not in self.asns:
            return False
        if self.feeds and self.feeds.isdisjoint(x.feeds):
            return False
        if self.paths and not path.startswith(self.paths):
            return False
        if self.methods and request.method not in self.methods:
            return False
        for name, wanted in self.fields:
            value = request.headers.get(name)
            if (value is not None) is not wanted and (value is None or value.strip() != wanted):
                return False
        return True


class AccessRules(Middleware):
    """Allow or deny requests by an ordered list of rules; the first that matches decides.

    Which rules can concern a client at all is worked out once per address, so long lists of networks cost nothing.
    """

    name = "access_rules"

    class Config(MiddlewareConfig):
        rules: tuple[Rule, ...] = ()
        """Asked in order."""

        default: Literal["allow", "deny"] = "allow"
        """What happens to a request no rule matches."""

        status: int = Field(default=403, ge=400, le=499)
        """The status of a refusal."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._rules = [_compile(rule) for rule in config.rules]
        if config.default == "deny":
            self._rules.append((None, _Test(denies=True)))
        self._concerning: Memo[str, tuple[_Test, ...]] = Memo(self._select, 16_384)
        self._status = config.status
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))

    def misses(self, beside: Mapping[str, Middleware]) -> str:
        tests = [test for _, test in self._rules]
        if any(test.countries or test.asns for test in tests) and "geo" not in beside:
            return "rules go by country or asn, which the geo stage finds"
        wanted = sorted({name for test in tests for name in test.feeds})
        judge = beside.get("reputation")
        known = {feed.name for feed in judge.config.feeds} if judge is not None else set()
        missing = [name for name in wanted if name not in known]
        return f"rules go by the feed {missing[0]!r}, which the reputation stage does not have" if missing else ""

    def request(self, x: Exchange) -> Response | None:
        tests = self._concerning[x.client]
        if not tests:
            return None
        path = x.request.path
        if b"//" in path:
            path = _SLASHES.sub(b"/", path)
        for test in tests:
            if test.holds(x, path):
                return self._refuse() if test.denies else None
        return None

    def _select(self, client: str) -> tuple[_Test, ...]:
        """The rules that can concern this client, up to the first that certainly decides. Country and feeds are asked
        each time: their files change."""
        tests: list[_Test] = []
        for addresses, test in self._rules:
            if addresses is None or client in addresses:
                tests.append(test)
                if test.unconditional():
                    break
        while tests and not tests[-1].denies:  # an allow at the end says what happens anyway
            tests.pop()
        return tuple(tests)

    def _refuse(self) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        return Response(self._status, headers, b"%d Access denied.\n" % self._status)


def _compile(rule: Rule) -> tuple[AddressSet | None, _Test]:
    match = rule.allow or rule.deny or Match()
    test = _Test(
        denies=rule.deny is not None,
        paths=tuple(path.encode() for path in match.path),
        methods=frozenset(method.encode() for method in match.method),
        fields=tuple(
            (name.encode(), wanted if isinstance(wanted, bool) else wanted.encode())
            for name, wanted in match.header.items()
        ),
        countries=frozenset("" if code == "unknown" else code for code in match.country),
        asns=frozenset(match.asn),
        feeds=frozenset(match.feed),
    )
    return AddressSet(match.client) if match.client else None, test
