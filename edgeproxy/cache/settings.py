"""The settings of the cache stage: what they may be, and the values they become."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgeproxy.cache import bypass, policy, static
from edgeproxy.cache.overrides import YEAR, Lifetimes, Overrides
from edgeproxy.cache.recipe import TRACKING, Query, Recipe, compose
from edgeproxy.cache.targeted import TARGETS
from edgeproxy.config.units import Duration, Share, Size
from edgeproxy.config.values import FieldName, Host, Many, Path, Regex
from edgeproxy.http.media import media_matcher, media_pattern
from edgeproxy.http.target import parse_target
from edgeproxy.pipeline.middleware import MiddlewareConfig

MOST_NAMES = 64  # of one kind in a key or a bypass

_PATTERN = re.compile(r"[^\s*&=;,]{1,128}\*?|\*")
_COOKIE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 6265 §4.1.1
_STATUS = re.compile(r"[2-5]\d\d|[2-5]xx")


def _name_pattern(value: Any) -> str:
    if not _PATTERN.fullmatch(str(value)):
        raise ValueError(f"{value!r} is not a name; write lang, or utm_* for all that begin so")
    return str(value)


def _cookie_name(value: Any) -> str:
    if not _COOKIE.fullmatch(str(value)):
        raise ValueError(f"{value!r} is not a cookie's name")
    return str(value)


def _keyed_field(name: str) -> str:
    if name == "cookie":
        raise ValueError("cookie would make every visitor's key their own; name the cookies that matter in `cookies`")
    return name


def _kept_as(value: Any) -> str:
    text = str(value).strip().lower()
    if _STATUS.fullmatch(text):
        return text
    try:
        return media_pattern(text)
    except ValueError:
        raise ValueError(f"{value!r} is neither a status (404, 5xx) nor a media type (text/html, image/*)") from None


def _hashed(value: Any) -> Any:
    return static.HASHED if value is True or value == "on" else None if value is False or value == "off" else value


NamePattern = Annotated[str, BeforeValidator(_name_pattern)]
CookieName = Annotated[str, BeforeValidator(_cookie_name)]
KeyedField = Annotated[FieldName, AfterValidator(_keyed_field)]
KeptAs = Annotated[str, BeforeValidator(_kept_as)]


class Section(BaseModel):
    """What the stage's nested sections share."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class QueryConfig(Section):
    """Which parameters of the query tell one resource from another.

    The origin is asked with the query as the key has it, so that nothing outside the key can change what is kept.
    """

    only: Annotated[tuple[NamePattern, ...] | None, Many] = Field(None, max_length=MOST_NAMES)
    """Only these parameters, `*` at the end for any rest: `[id, "page*"]`. `[]` for none; not given: all."""

    without: Annotated[tuple[NamePattern, ...], Many] = Field((), max_length=MOST_NAMES)
    """All but these."""

    tracking: Literal["keep", "drop"] = "keep"
    """`drop` leaves out what only tells where a visitor came from: `utm_*`, `gclid`, `fbclid`, `msclkid` and their
    like (docs/cache.md has the list)."""

    sort: bool = False
    """Take the parameters in the order of their names, so that their order makes no difference."""

    def query(self) -> Query | None:
        without = (*self.without, *(TRACKING if self.tracking == "drop" else ()))
        if self.only is None and not without and not self.sort:
            return None
        return Query(self.only, without, sort=self.sort)


class KeyConfig(Section):
    """What makes two requests ask for the same resource: scheme, host, path and query, unless it says otherwise."""

    scheme: bool = True
    """Whether http and https are two. `false` where both are answered alike; the origin is then asked as for https."""

    hosts: Annotated[tuple[Host, ...], Many] = Field((), max_length=MOST_NAMES)
    """Names of one site that are answered alike; the first stands in the key for all, and the origin is asked for it:
    `[www.example.com, example.com, "*.example.net"]`."""

    query: QueryConfig = QueryConfig()

    headers: Annotated[tuple[KeyedField, ...], Many] = Field((), max_length=16)
    """Request fields that tell resources apart. Those in the origin's Vary do so without being named."""

    cookies: Annotated[tuple[CookieName, ...], Many] = Field((), max_length=16)
    """Cookies that tell resources apart, by name: `[lang, currency]`. Never one that says who somebody is."""

    device: bool = False
    """Tell phones, tablets and desktops apart by their User-Agent, for origins that answer them differently."""

    country: bool = False
    """Tell countries apart, for origins that answer them differently. The `geo` stage says which it is, and tells the
    origin (`pass: {country: x-country}`); all clients of unknown country are one more."""

    @model_validator(mode="after")
    def _first_host_is_one(self) -> Self:
        if self.hosts and self.hosts[0].startswith("*."):
            raise ValueError("hosts: the first stands for all, so it is one name")
        return self

    def recipe(self) -> Recipe:
        return compose(
            scheme=self.scheme,
            hosts=tuple(host.encode() for host in self.hosts),
            query=self.query.query(),
            headers=tuple(name.encode() for name in self.headers),
            cookies=tuple(name.encode() for name in self.cookies),
            device=self.device,
            country=self.country,
        )


class BypassConfig(Section):
    """Requests that the cache lets pass: neither looked up nor kept. One reason is enough."""

    cookies: Annotated[tuple[NamePattern, ...], Many] = Field((), max_length=MOST_NAMES)
    """Cookies that are there, by name: `[session, "wordpress_logged_in_*"]`."""

    headers: dict[FieldName, str | bool] = Field({}, max_length=MOST_NAMES)
    """Fields and their whole value; `true` for any value, `false` for a field that is not there."""

    parameters: Annotated[tuple[NamePattern, ...], Many] = Field((), max_length=MOST_NAMES)
    """Query parameters that are there, by name: `[preview]`."""

    paths: Annotated[tuple[Path, ...], Many] = Field((), max_length=MOST_NAMES)
    """What the path begins with: `/admin` is also `/administrator`, `/admin/` is not `/admin`."""

    def bypass(self) -> bypass.Bypass | None:
        return bypass.bypass(
            cookies=self.cookies,
            headers=tuple(
                (name.encode(), value if isinstance(value, bool) else value.encode())
                for name, value in self.headers.items()
            ),
            parameters=self.parameters,
            paths=tuple(parse_target(path.encode())[1] for path in self.paths),
        )


class HeuristicConfig(Section):
    """Lifetimes guessed where the origin gives none (RFC 9111 §4.2.2)."""

    share: Share = Field(0.1, ge=0, le=1)
    """Of the time since Last-Modified: 0% (never guess) to 100%."""

    longest: Duration = Field(86_400, ge=0, le=YEAR)
    """The longest lifetime guessed: 0s to 365d."""

    cookies: bool = False
    """Keep answers to requests with cookies too, where the origin says nothing of their lifetime. Without it they may
    be one visitor's, and are not kept."""


class CacheStageConfig(MiddlewareConfig):
    """What is cached, under which key, and for how long, where the origin leaves it open."""

    key: KeyConfig = KeyConfig()

    bypass: BypassConfig = BypassConfig()

    origin: Literal["respect", "override"] = "respect"
    """Whether `ttl` and `hashed_names` count only where the origin says nothing of freshness, or in place of what it
    says. What keeps an answer out (`private`, `no-store`, Set-Cookie, Authorization) counts in either case."""

    targeted: Annotated[tuple[FieldName, ...], Many] = Field(tuple(name.decode() for name in TARGETS), max_length=16)
    """Fields in which the origin tells this cache alone (RFC 9213), the first that is there in place of Cache-Control
    and Expires: `[edge-cache-control, cdn-cache-control]`."""

    ttl: dict[KeptAs, Annotated[Duration, Field(ge=0, le=YEAR)]] = Field({}, max_length=MOST_NAMES)
    """Lifetimes by status, hundreds of statuses and, for successes, media type: `{404: 10s, 5xx: 0s, "image/*": 1d}`,
    0s to 365d. A status goes before a media type, and that before hundreds; of two media types the first counts.
    `0s` keeps such answers out."""

    hashed_names: Annotated[Regex | None, BeforeValidator(_hashed)] = None
    """`on`: what has a digest of its content in its name (`app.3f2a91bc.js`) is kept for a year, and browsers are told
    that it never changes. Or an expression that finds such paths, where names look different."""

    shortest: Duration = Field(0, ge=0, le=YEAR)
    """The shortest lifetime of what has one at all: 0s to 365d."""

    longest: Duration = Field(YEAR, ge=0, le=YEAR)
    """The longest lifetime: 0s to 365d."""

    longest_error: Duration = Field(300, ge=0, le=YEAR)
    """The longest lifetime of an error (a status from 400), whatever the origin says of it: 0s to 365d."""

    stale_while_revalidate: Duration = Field(0, ge=0, le=YEAR)
    """How long past its freshness an answer is still given while a new one is fetched, where the origin does not say
    (RFC 5861 §3): 0s to 365d. Never where it forbids stale answers: must-revalidate, proxy-revalidate, s-maxage."""

    stale_if_error: Duration = Field(0, ge=0, le=YEAR)
    """How long past its freshness an answer stands in for an error of the origin, where it does not say (RFC 5861 §4):
    0s to 365d. Never where the origin forbids stale answers."""

    grace: Duration = Field(3_600, ge=0, le=YEAR)
    """How long past its freshness an answer stands in for origins that cannot be reached: 0s to 365d."""

    heuristic: HeuristicConfig = HeuristicConfig()

    deception_guard: bool = True
    """Keep out what is not what its path's extension says (HTML at `/account/x.css`), unless the origin says `public`
    or `s-maxage`: a private page reached under such a name must not become everybody's."""

    largest: Size = Field(32_000_000, ge=0, le=10_000_000_000)
    """The largest answer kept; larger ones pass through."""

    client_directives: Literal["honour", "ignore"] = "honour"
    """Whether a client's Cache-Control (no-cache, max-age …) is followed; `ignore` shields the origin from reloads."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError("shortest must not be more than longest")
        return self

    def guess(self) -> policy.Heuristic:
        return policy.Heuristic(self.heuristic.share, self.heuristic.longest)

    def targets(self) -> tuple[bytes, ...]:
        return tuple(name.encode() for name in self.targeted)

    def overrides(self) -> Overrides:
        return Overrides(
            lifetimes=_lifetimes(self.ttl),
            override=self.origin == "override",
            hashed=None if self.hashed_names is None else re.compile(self.hashed_names.encode()),
            while_revalidate=self.stale_while_revalidate,
            if_error=self.stale_if_error,
            shortest=self.shortest,
            longest=self.longest,
            longest_error=self.longest_error,
            guard=self.deception_guard,
            guess_for_cookies=self.heuristic.cookies,
        )


def _lifetimes(ttl: dict[str, float]) -> Lifetimes:
    return Lifetimes(
        status={int(name): seconds for name, seconds in ttl.items() if name.isdigit()},
        media=tuple((media_matcher([name]), seconds) for name, seconds in ttl.items() if "/" in name),
        hundreds={int(name[0]): seconds for name, seconds in ttl.items() if name.endswith("xx")},
    )
