"""Which parts of a request say what resource it asks for: a route's recipe for keys, compiled once.

A key begins with a URL. What else a recipe takes stands behind ``#``, with the recipe's own id: a fragment is never
part of a request's target, so nobody can ask for such a key, and two recipes never share one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from edgeproxy.cache import key as cache_key
from edgeproxy.cache import vary
from edgeproxy.http.forwarded import forwarded_element
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

# Read by scripts in the browser to tell where a visitor came from; origins have no use for them. From the public
# documentation of Google, Meta, Microsoft, Yandex, X, TikTok, LinkedIn, Mailchimp, HubSpot, Marketo and Matomo.
TRACKING: Final[tuple[str, ...]] = (
    *("utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "gad_source", "gad_campaignid", "srsltid", "_ga", "_gl"),
    *("fbclid", "igshid", "msclkid", "yclid", "ysclid", "twclid", "ttclid", "li_fat_id", "epik"),
    *("mc_cid", "mc_eid", "_hsenc", "_hsmi", "hsa_*", "mkt_tok", "mtm_*", "pk_campaign", "pk_kwd"),
)

RECIPE_LIMIT: Final = 1024  # recipes known, of all configurations since the start; more than an answer's lifetime sees
VALUE_LONGEST: Final = 64  # bytes of one field or cookie in a key; a longer value stands there as its digest

# What is taken apart for one request; more is taken as it is, which makes a key of its own and no way to burn time.
PARAMETERS_MOST: Final = 256  # of a query
COOKIES_LONGEST: Final = 8_192  # bytes of all cookies

_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._,/+:*-]")

Part = Callable[[Exchange], bytes]


class Recipe:
    """The plain recipe: scheme, authority and target, as they were normalised on arrival."""

    text = "scheme, host, path, query"
    mark = b""  # what its keys have behind the partition

    def of(self, x: Exchange) -> bytes:
        """The key of a request on its route: in the route's partition, if it has one of its own, with the facet that
        is asked for."""
        request = x.request
        partition, facet = x.route.partition, x.facet
        if facet:
            return b"%b://%b%b#%b&%b" % (request.scheme, request.authority, request.target, partition, facet)
        key = b"%b://%b%b" % (request.scheme, request.authority, request.target)
        return cache_key.within(key, partition) if partition else key

    def url(self, url: bytes) -> bytes:
        """What the keys of a normalised URL begin with."""
        return url

    def site(self, site: bytes) -> bytes:
        """The same for a scheme with an authority, ``https://www.example.com``."""
        return site

    def ask(self, x: Exchange, key: bytes) -> None:
        """Have an exchange with the origin, whose fields are its own, ask for what its key says: what the recipe leaves
        out cannot change what is kept."""

    def __repr__(self) -> str:
        return f"<Recipe {self.text}>"


PLAIN: Final = Recipe()


class Composed(Recipe):
    """Any other recipe: :func:`compose` makes it."""

    def __init__(
        self, mark: bytes, scheme: bool, hosts: tuple[bytes, ...], query: Query | None, parts: list[tuple[bytes, Part]]
    ) -> None:
        self.mark = mark
        self._scheme = scheme
        self._host = hosts[0] if hosts else b""
        self._hosts = frozenset(hosts)
        self._suffixes = tuple([host[1:] for host in hosts if host.startswith(b"*.")])
        self._query = query
        self._parts = [part for _, part in parts]
        said = ["scheme"] if scheme else []
        said.append(f"host, taken as {self._host.decode()}" if hosts else "host")
        said += ["path", "query" if query is None else query.text, *(name.decode() for name, _ in parts)]
        self.text = ", ".join(part for part in said if part)

    def of(self, x: Exchange) -> bytes:
        request = x.request
        url = self.url(cache_key.of_request(request))
        whole = b"".join([url, b"#", x.route.partition, self.mark, *[part(x) for part in self._parts]])
        return b"%b&%b" % (whole, x.facet) if x.facet else whole

    def ask(self, x: Exchange, key: bytes) -> None:
        request = x.request
        site, request.target = cache_key.split(cache_key.url_of(key))
        request.query = request.target.partition(b"?")[2]
        if site == b"%b://%b" % (request.scheme, request.authority):
            return
        request.scheme, _, request.authority = site.partition(b"://")
        if self._host:
            request.host = host_of(request.authority)
        told = {
            b"x-forwarded-proto": request.scheme,
            b"x-forwarded-host": request.authority,
            b"forwarded": forwarded_element(x.client, request.scheme, request.authority),
        }
        for name in told.keys() & request.headers.keys():
            request.headers[name] = told[name]

    def url(self, url: bytes) -> bytes:
        site, path = cache_key.split(url)
        path, _, query = path.partition(b"?")
        if self._query is not None:
            query = self._query.selected[query]
        return self.site(site) + (b"%b?%b" % (path, query) if query else path)

    def site(self, site: bytes) -> bytes:
        scheme, _, authority = site.partition(b"://")
        if not self._scheme:
            scheme = b"https"
        if self._host:
            name = host_of(authority)
            if name in self._hosts or name.endswith(self._suffixes):
                authority = self._host + authority[len(name) :]
        return b"%b://%b" % (scheme, authority)


class Recipes:
    """The recipes that stored answers may have their keys from: a purge names what a client would ask for, and each of
    them may have written that another way."""

    def __init__(self) -> None:
        self._known: dict[bytes, Recipe] = {}

    def know(self, recipe: Recipe) -> None:
        """From now on there may be keys by this recipe."""
        self._known.pop(recipe.mark, None)
        self._known[recipe.mark] = recipe
        if len(self._known) > RECIPE_LIMIT:
            del self._known[next(iter(self._known))]

    def spellings(self, kind: str, value: bytes) -> list[bytes]:
        """What a purge of this kind (``url``, ``prefix``, ``host``; others name no URL) has to look for, itself too."""
        found = {value: None}
        for recipe in self._known.values():
            if kind == "url":
                found[recipe.url(value)] = None
            elif kind == "prefix":
                site, rest = cache_key.split(value)
                found[recipe.site(site) + rest] = None
            elif kind == "host":
                found[recipe.site(b"http://" + value).partition(b"://")[2]] = None
        return list(found)


class Query:
    """Which parameters of a query count. ``only`` and ``without`` are names, ``*`` at the end stands for any rest;
    ``only`` is None for all. A name counts percent-decoded; values stay as they were sent."""

    def __init__(self, only: tuple[str, ...] | None, without: tuple[str, ...], *, sort: bool) -> None:
        self._only = None if only is None else names(only)
        self._without = names(without)
        self._sort = sort
        self.settings = (only, without, sort)
        self.selected: Memo[bytes, bytes] = Memo(self._select, 4096)
        said = "query" if only is None else f"query parameters {' '.join(only)}" if only else ""
        said += f" without {' '.join(without)}" if without else ""
        self.text = f"{said} (sorted)" if sort and said else said

    def _select(self, query: bytes) -> bytes:
        if query.count(b"&") >= PARAMETERS_MOST:
            return query
        kept: list[tuple[bytes, bytes]] = []
        for parameter in query.split(b"&"):
            if not parameter:
                continue
            name = parameter_name(parameter)
            if (self._only is None or self._only.fullmatch(name)) and not self._without.fullmatch(name):
                kept.append((name, parameter))
        if self._sort:
            kept.sort(key=_name)  # stable: of several with one name the order may mean something
        return b"&".join([parameter for _, parameter in kept])


def host_of(authority: bytes) -> bytes:
    """An authority without its port."""
    name, colon, _ = authority.rpartition(b":")
    return name if colon and not authority.endswith(b"]") else authority


def _name(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def names(patterns: tuple[str, ...]) -> re.Pattern[bytes]:
    """A pattern whose ``fullmatch`` finds names: ``lang``, or ``utm_*`` for all that begin so."""
    alternatives = [re.escape(name.removesuffix("*")) + (".*" if name.endswith("*") else "") for name in patterns]
    return re.compile("|".join(alternatives or ["(?!)"]).encode(), re.DOTALL)


def parameter_name(parameter: bytes) -> bytes:
    """The name of one ``name=value``, decoded as forms are (WHATWG URL §5.1)."""
    return unquote_to_bytes(parameter.partition(b"=")[0].replace(b"+", b" "))


def compose(
    *,
    scheme: bool = True,
    hosts: tuple[bytes, ...] = (),
    query: Query | None = None,
    headers: tuple[bytes, ...] = (),
    cookies: tuple[bytes, ...] = (),
    device: bool = False,
    country: bool = False,
) -> Recipe:
    """The recipe for these parts.

    ``scheme``: http and https are two. ``hosts``: names of one site, the first stands for all; ``*.example.com`` for
    any below. ``query``: None is the query as it was sent. ``headers`` (lower case) and ``cookies`` by name.
    ``device``: phone, tablet or desktop. ``country``: where the client is.
    """
    parts: list[tuple[bytes, Part]] = [(b"header " + name, _header(name)) for name in headers]
    parts += [(b"cookie " + name, _cookie(name)) for name in cookies]
    if device:
        parts.append((b"device", _device))
    if country:
        parts.append((b"country", _country))
    if scheme and not hosts and query is None and not parts:
        return PLAIN
    settings = repr((scheme, hosts, None if query is None else query.settings, headers, cookies, device, country))
    mark = b"!" + hashlib.blake2b(settings.encode(), digest_size=6).hexdigest().encode()
    return Composed(mark, scheme, hosts, query, parts)


def _header(name: bytes) -> Part:
    label, select = b";%b:" % name, vary.selector((name,))
    return lambda x: label + _framed(select(x.request.headers))


def _cookie(name: bytes) -> Part:
    label = b";%b=" % name

    def part(x: Exchange) -> bytes:
        field = x.request.headers.get(b"cookie", b"")
        if len(field) > COOKIES_LONGEST:
            return label + _framed(field)
        # Every cookie of that name: which of them the origin takes is not known here.
        pairs = [pair.strip(b" \t").partition(b"=") for pair in field.split(b";")]
        return label + _framed(b";".join([b"=" + value for key, equals, value in pairs if equals and key == name]))

    return part


def _framed(value: bytes) -> bytes:
    """A value such that what follows it in the key cannot be taken for a part of it."""
    if len(value) <= VALUE_LONGEST:
        return _UNSAFE.sub(_escape, value)
    return b"~" + hashlib.blake2b(value, digest_size=16).hexdigest().encode()


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def _country(x: Exchange) -> bytes:
    return b";in=" + x.place.country.encode()


def _device(x: Exchange) -> bytes:
    return b";" + _DEVICES[x.request.headers.get(b"user-agent", b"")]


def device(agent: bytes) -> bytes:
    """``phone``, ``tablet`` or ``desktop``, as a User-Agent says. An iPad's Safari says it is a desktop."""
    agent = agent.lower()
    if _TABLET.search(agent) or (_ANDROID.search(agent) and not _PHONE.search(agent)):
        return b"tablet"
    return b"phone" if _PHONE.search(agent) else b"desktop"


# Words as the makers' agents have them; Android tablets leave "Mobile" out (Chrome and Firefox document it).
_TABLET: Final = re.compile(rb"\b(?:ipad|tablet|kindle|silk|playbook)\b")
_PHONE: Final = re.compile(rb"\b(?:mobile|mobi|iphone|ipod|opera mini|windows phone|blackberry|bb10)\b")
_ANDROID: Final = re.compile(rb"\bandroid\b")
_DEVICES: Final[Memo[bytes, bytes]] = Memo(device, 4096)
