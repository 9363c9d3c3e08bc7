"""What a shared cache may store and reuse (RFC 9111): pure functions over values, the section beside each rule."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from edgeproxy.cache.cookies import tells_nobody
from edgeproxy.cache.directives import Directives, fields, parse, seconds
from edgeproxy.http.dates import parse_date
from edgeproxy.http.headers import Headers, members, tokens

# RFC 9110 §15.1: may be stored without being told to, if a lifetime can be guessed.
HEURISTICALLY_CACHEABLE: Final = frozenset((200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501))

# Statuses this cache understands in the sense of RFC 9111 §3 and §5.2.2.3 (must-understand).
UNDERSTOOD: Final = HEURISTICALLY_CACHEABLE | {302, 303, 307, 400, 403, 500, 502, 503, 504}

# What says that an answer may be kept, in so many words (RFC 9111 §3).
_EXPLICIT: Final = (b"public", b"max-age", b"s-maxage", b"no-cache")

_NO_FIELDS: Final[frozenset[bytes]] = frozenset()

SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))  # RFC 9110 §9.2.1


class Heuristic(NamedTuple):
    """A guessed lifetime for an answer with Last-Modified alone: a share of its age, at most ``longest`` seconds."""

    share: float = 0.1
    longest: float = 86_400.0


class Terms(NamedTuple):
    """On what terms a stored answer may be reused. Seconds.

    ``lifetime`` and ``initial_age`` as RFC 9111 §4.2 defines them; ``validate`` demands revalidation before every use
    (no-cache), ``strict`` once it is stale (must-revalidate and its like). ``while_revalidate`` and ``if_error`` are
    the windows of RFC 5861, 0 where none was granted. ``immutable``: nothing changes while it is fresh (RFC 8246).
    """

    lifetime: float
    initial_age: float
    validate: bool
    strict: bool
    while_revalidate: float
    if_error: float
    immutable: bool = False


def may_store(request: Headers, status: int, response: Headers, *, authorized: bool = False) -> bool:
    """Whether a shared cache may store this answer to a GET (RFC 9111 §3).

    ``authorized``: the request said who it is by other means than Authorization, and counts as if by that. Stricter
    than the RFC in one point: what sets cookies must be meant for keeping, made for nobody known, and set none that
    could tell users apart. Of a 206 this says whether its part may be stored.
    """
    if status == 304 or status < 200:  # RFC 9111 §4.3.3: a 304 is about what is stored already
        return False
    directives = parse(response.get(b"cache-control"))
    understood = status in UNDERSTOOD
    if b"must-understand" in directives and not understood:
        return False
    if b"no-store" in directives and b"must-understand" not in directives:  # RFC 9111 §5.2.2.3
        return False
    if directives.get(b"private") == b"" or b"no-store" in parse(request.get(b"cache-control")):
        return False
    if (authorized or b"authorization" in request) and not _shared_with_authorization(directives):
        return False
    if b"*" in tokens(response.get(b"vary")):
        return False
    explicit = b"expires" in response or any(name in directives for name in _EXPLICIT)
    if b"set-cookie" in response and b"set-cookie" not in withheld(response):
        known = authorized or b"authorization" in request or b"cookie" in request
        if known or not explicit or not tells_nobody(response[b"set-cookie"]):
            return False
    return explicit or status in HEURISTICALLY_CACHEABLE


def withheld(response: Headers) -> frozenset[bytes]:
    """The fields of an answer that are not stored with it: those that ``private`` and ``no-cache`` are limited to (RFC
    9111 §5.2.2.4, §5.2.2.7)."""
    directives = parse(response.get(b"cache-control"))
    if b"private" not in directives and b"no-cache" not in directives:
        return _NO_FIELDS
    return fields(directives, b"private") | fields(directives, b"no-cache")


def _shared_with_authorization(directives: Directives) -> bool:
    """RFC 9111 §3.5."""
    return any(name in directives for name in (b"public", b"s-maxage", b"must-revalidate"))


def terms(
    status: int,
    response: Headers,
    *,
    request_time: float,
    response_time: float,
    heuristic: Heuristic = Heuristic(),  # noqa: B008 -- immutable
) -> Terms:
    """The terms of a storable answer; times are wall seconds when the request was sent and the answer came."""
    directives = parse(response.get(b"cache-control"))
    date = parse_date(response.get(b"date", b""), response_time)
    made = response_time if date is None else date
    return Terms(
        lifetime=_lifetime(status, response, directives, made, heuristic),
        initial_age=_initial_age(response, made, request_time, response_time),
        validate=directives.get(b"no-cache") == b"",  # limited to fields, it withholds those instead
        # RFC 9111 §5.2.2.10: s-maxage implies proxy-revalidate.
        strict=any(name in directives for name in (b"must-revalidate", b"proxy-revalidate", b"s-maxage")),
        while_revalidate=seconds(directives, b"stale-while-revalidate") or 0,
        if_error=seconds(directives, b"stale-if-error") or 0,
        immutable=b"immutable" in directives,
    )


def _lifetime(status: int, response: Headers, directives: Directives, made: float, heuristic: Heuristic) -> float:
    """RFC 9111 §4.2.1: the first that is there of s-maxage, max-age, Expires; else a guess (§4.2.2)."""
    for name in (b"s-maxage", b"max-age"):
        told = seconds(directives, name)
        if told is not None:
            return told
    expires = response.get(b"expires")
    if expires is not None:
        until = parse_date(expires, made)
        return 0.0 if until is None else max(0.0, until - made)  # §5.3: invalid means past
    modified = parse_date(response.get(b"last-modified", b""), made)
    if modified is None or (status not in HEURISTICALLY_CACHEABLE and b"public" not in directives):
        return 0.0
    return min(heuristic.longest, max(0.0, (made - modified) * heuristic.share))


def _initial_age(response: Headers, made: float, request_time: float, response_time: float) -> float:
    """RFC 9111 §4.2.3; of several Age values the first, an invalid one ignored (§5.1)."""
    ages = members(response.get(b"age", b""))
    told = int(ages[0]) if ages and ages[0].isdigit() and len(ages[0]) < 32 else 0
    apparent = max(0.0, response_time - made)
    return max(apparent, told + (response_time - request_time))


class Use(Enum):
    """What may be done with a stored answer now."""

    FRESH = "fresh"
    STALE_MEANWHILE = "stale while it is revalidated"
    REVALIDATE = "revalidate first"


def use(stored: Terms, age: float, request: Directives) -> Use:
    """RFC 9111 §4.2, §5.2.1 and RFC 5861 §3, for a stored answer ``age`` seconds old."""
    if stored.validate or b"no-cache" in request:
        return Use.REVALIDATE
    wanted = seconds(request, b"max-age")
    if wanted is not None and age > wanted and not (stored.immutable and age < stored.lifetime):
        return Use.REVALIDATE  # RFC 8246 §2: reloading is no reason to ask about what does not change
    over = age - stored.lifetime + (seconds(request, b"min-fresh") or 0)
    if over < 0:
        return Use.FRESH
    if stored.strict:
        return Use.REVALIDATE
    if b"max-stale" in request and (not request[b"max-stale"] or over <= (seconds(request, b"max-stale") or 0)):
        return Use.FRESH
    if b"min-fresh" in request:  # RFC 9111 §5.2.1.3: who wants more than fresh is not given less
        return Use.REVALIDATE
    return Use.STALE_MEANWHILE if over < stored.while_revalidate else Use.REVALIDATE


def usable_on_error(stored: Terms, age: float, *, unreachable: bool, grace: float) -> bool:
    """Whether a stale answer may stand in for an error (RFC 9111 §4.2.4, RFC 5861 §4).

    ``unreachable``: the origin gave no answer at all, so the cache counts as disconnected and its own ``grace``
    (seconds) holds too; an error the origin did answer needs its leave in advance.
    """
    if stored.strict or stored.validate:
        return False
    over = age - stored.lifetime
    return over < stored.if_error or (unreachable and over < grace)
