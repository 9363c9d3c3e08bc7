"""Which route a request takes: the most specific one whose conditions all hold.

Compared in this order: the host (exact, then the longest wildcard, then any), the path (exact, then the longest
prefix, then regular expressions, then any; a prefix ``/`` is any), the number of further conditions (method, header
fields), and last the order in the file. A route that loses on its method or a field leaves the request to the next.

Routes are laid out once per host and path, so a request costs one look-up for its host and one per segment of its path,
however many routes there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from edgeproxy.config.schema import MatchConfig
from edgeproxy.config.snapshot import Route
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_target

Fields = tuple[tuple[bytes, bytes | None], ...]  # name and the whole value, None for any value


class Candidate(NamedTuple):
    """A route where host and path are settled already; ``methods`` None for every method."""

    methods: frozenset[bytes] | None
    fields: Fields
    route: Route


_SLASH: Final = 0x2F
_DOT: Final = 0x2E


class Tier(NamedTuple):
    """The candidates of one host, by path. Prefixes stand without a slash at their end; ``lengths`` are theirs, the
    longest first: one look-up for each finds the most specific."""

    exact: dict[bytes, tuple[Candidate, ...]]
    prefixes: dict[bytes, tuple[Candidate, ...]]
    lengths: tuple[int, ...]
    regexes: tuple[tuple[re.Pattern[bytes], Candidate], ...]
    rest: tuple[Candidate, ...]


class Rule(NamedTuple):
    """One route's conditions as bytes. No hosts, no paths of any kind: all of them."""

    hosts: tuple[bytes, ...]
    exact: frozenset[bytes]
    prefixes: tuple[bytes, ...]
    regexes: tuple[re.Pattern[bytes], ...]
    methods: frozenset[bytes] | None
    fields: Fields
    order: int
    route: Route

    @property
    def conditions(self) -> int:
        return (self.methods is not None) + len(self.fields)


class Considered(NamedTuple):
    """A route as :meth:`Router.explain` saw it."""

    route: Route
    won: bool
    why: str


class Rank(NamedTuple):
    """How specific a match is; each part beats all behind it, greater wins."""

    host: int
    path: tuple[int, int]
    conditions: int
    order: int


class Router:
    """The routes of one snapshot. Never changes. ``own`` may take requests for the node's own well-known URIs (RFC
    8615), on any host, before the routes."""

    def __init__(
        self, routes: Sequence[tuple[MatchConfig, Route]], own: Callable[[Request], Route | None] | None = None
    ) -> None:
        self._own = own
        self._rules = [_rule(match, route, order) for order, (match, route) in enumerate(routes)]
        self._named = {route.name: route for _, route in routes}
        of_host: dict[bytes, list[Rule]] = {}
        for rule in self._rules:
            for host in dict.fromkeys(rule.hosts or (b"",)):
                of_host.setdefault(host, []).append(rule)
        tiers = {host: _tier(rules) for host, rules in of_host.items()}
        self._any: tuple[Tier, ...] = (tiers[b""],) if b"" in tiers else ()
        self._wildcards = {host[1:]: tier for host, tier in tiers.items() if host.startswith(b"*")}
        self._exact = {
            host: (tier, *self._below(host)) for host, tier in tiers.items() if host and not host.startswith(b"*")
        }

    def match(self, request: Request) -> Route | None:
        """The route to take, None if there is none."""
        path = request.path
        if self._own is not None and len(path) > 1 and path[1] == _DOT and (taken := self._own(request)) is not None:
            return taken
        tiers = self._exact.get(request.host)
        if tiers is None:
            tiers = self._below(request.host) if self._wildcards else self._any
        for exact, prefixes, lengths, regexes, rest in tiers:
            if path in exact and (route := _first(exact[path], request)) is not None:
                return route
            size = len(path)
            for length in lengths:
                if size < length or (size > length and path[length] != _SLASH):
                    continue
                candidates = prefixes.get(path[:length])
                if candidates is not None:
                    route = _first(candidates, request)
                    if route is not None:
                        return route
            for pattern, candidate in regexes:
                if pattern.search(path) is not None and _holds(candidate, request):
                    return candidate.route
            if (route := _first(rest, request)) is not None:
                return route
        return None

    def named(self, name: str) -> Route | None:
        """The route of that name."""
        return self._named.get(name)

    def explain(self, request: Request) -> list[Considered]:
        """Every route, the winner first, with why it won or lost. For people; it looks at all of them."""
        judged = [(rule, _judge(rule, request)) for rule in self._rules]
        ranks = {rule.order: rank for rule, rank in judged if isinstance(rank, Rank)}
        if not ranks:
            return [Considered(rule.route, False, str(reason)) for rule, reason in judged]
        best = max(ranks.values())
        out = []
        for rule, verdict in judged:
            if isinstance(verdict, str):
                out.append(Considered(rule.route, False, verdict))
            elif verdict is best:
                out.insert(0, Considered(rule.route, True, _describe(rule, verdict)))
            else:
                out.append(Considered(rule.route, False, f"matches too, but {_difference(best, verdict)}"))
        return out

    def _below(self, host: bytes) -> tuple[Tier, ...]:
        """The tiers less specific than the exact host: its wildcards, longest first, then any."""
        found = []
        dot = host.find(b".")
        while dot >= 0:
            tier = self._wildcards.get(host[dot:])
            if tier is not None:
                found.append(tier)
            dot = host.find(b".", dot + 1)
        return (*found, *self._any)

    def __repr__(self) -> str:
        return f"<Router {len(self._rules)} routes, {len(self._exact)} hosts, {len(self._wildcards)} wildcards>"


def _rule(match: MatchConfig, route: Route, order: int) -> Rule:
    methods = {method.encode() for method in match.method}
    if b"GET" in methods:
        methods.add(b"HEAD")  # RFC 9110 §9.3.2: the same, but for the content
    prefixes = {_as_matched(path).rstrip(b"/") for path in match.path}
    return Rule(
        hosts=tuple(host.encode() for host in match.host),
        exact=frozenset(map(_as_matched, match.path_exact)),
        prefixes=tuple(sorted(prefixes, key=len, reverse=True)),
        regexes=tuple(re.compile(pattern.encode()) for pattern in match.path_regex),
        methods=frozenset(methods) or None,
        fields=tuple((name.encode(), None if value == "*" else value.encode()) for name, value in match.header.items()),
        order=order,
        route=route,
    )


def _as_matched(path: str) -> bytes:
    """A path of the configuration in the form requests' paths are matched in."""
    _, matched, _ = parse_target(path.encode())
    return matched


def _tier(rules: Sequence[Rule]) -> Tier:
    """The tier of a host that all of these rules name."""
    exact: dict[bytes, list[Candidate]] = {}
    prefixes: dict[bytes, list[Candidate]] = {}
    regexes: list[tuple[re.Pattern[bytes], Candidate]] = []
    for rule in sorted(rules, key=lambda rule: (-rule.conditions, rule.order)):
        candidate = Candidate(rule.methods, rule.fields, rule.route)
        for path in rule.exact:
            exact.setdefault(path, []).append(candidate)
        for prefix in rule.prefixes or (() if rule.exact or rule.regexes else (b"",)):
            prefixes.setdefault(prefix, []).append(candidate)
        regexes += [(pattern, candidate) for pattern in rule.regexes]
    rest = tuple(prefixes.pop(b"", ()))
    return Tier(
        {path: tuple(found) for path, found in exact.items()},
        {prefix: tuple(found) for prefix, found in prefixes.items()},
        tuple(sorted({len(prefix) for prefix in prefixes}, reverse=True)),
        tuple(regexes),
        rest,
    )


def _first(candidates: tuple[Candidate, ...], request: Request) -> Route | None:
    for methods, fields, route in candidates:
        if (methods is None or request.method in methods) and (not fields or _fields_hold(fields, request)):
            return route
    return None


def _holds(candidate: Candidate, request: Request) -> bool:
    return _first((candidate,), request) is not None


def _fields_hold(fields: Fields, request: Request) -> bool:
    headers = request.headers
    return all(name in headers if value is None else headers.get(name, b"").strip() == value for name, value in fields)


# -- explaining ------------------------------------------------------------------------------------------------------


def _judge(rule: Rule, request: Request) -> Rank | str:
    """How specifically the rule matches, or why it does not."""
    host = max(_host_ranks(rule, request.host), default=-1)
    if host < 0:
        return f"host: {_text(request.host)} is not {_alternatives(rule.hosts)}"
    path = max(_path_ranks(rule, request.path), default=None)
    if path is None:
        wanted = (*sorted(rule.exact), *(prefix + b"/" for prefix in rule.prefixes), *(r.pattern for r in rule.regexes))
        return f"path: {_text(request.path)} is not {_alternatives(wanted)}"
    if rule.methods is not None and request.method not in rule.methods:
        return f"method: {_text(request.method)} is not {_alternatives(sorted(rule.methods))}"
    for field in rule.fields:
        if not _fields_hold((field,), request):
            name, value = field
            return (
                f"header: {_text(name)} is missing" if value is None else f"header: {_text(name)} is not {_text(value)}"
            )
    return Rank(host, path, rule.conditions, -rule.order)


def _host_ranks(rule: Rule, host: bytes) -> Iterator[int]:
    if not rule.hosts:
        yield 0
    for wanted in rule.hosts:
        if wanted == host:
            yield 1 << 16
        elif wanted.startswith(b"*") and host.endswith(wanted[1:]) and host != wanted[1:]:
            yield len(wanted)


def _path_ranks(rule: Rule, path: bytes) -> Iterator[tuple[int, int]]:
    if not (rule.exact or rule.prefixes or rule.regexes) or b"" in rule.prefixes:
        yield (0, 0)
    if path in rule.exact:
        yield (3, 0)
    for prefix in rule.prefixes:
        if prefix and (path == prefix or path.startswith(prefix + b"/")):
            yield (2, len(prefix))
    if any(pattern.search(path) is not None for pattern in rule.regexes):
        yield (1, 0)


def _describe(rule: Rule, rank: Rank) -> str:
    host = "any host" if rank.host == 0 else "exact host" if rank.host == 1 << 16 else "wildcard host"
    kinds = {3: "exact path", 2: f"path prefix of {rank.path[1]} bytes", 1: "path expression", 0: "any path"}
    more = f", {rule.conditions} further condition{'s' * (rule.conditions != 1)}" if rule.conditions else ""
    return f"most specific: {host}, {kinds[rank.path[0]]}{more}"


def _difference(best: Rank, other: Rank) -> str:
    if best.host != other.host:
        return "its host is less specific"
    if best.path != other.path:
        return "its path is less specific"
    if best.conditions != other.conditions:
        return "it has fewer conditions"
    return "it stands later in the file"


def _alternatives(values: Sequence[bytes]) -> str:
    return " or ".join(_text(value) for value in values[:5]) + (" or …" if len(values) > 5 else "")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
