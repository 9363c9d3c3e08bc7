"""No-Vary-Search: which parameters of a query do not matter (draft-ietf-httpbis-no-vary-search).

An answer that says so is also the answer to other URLs of the same path. ``Searches`` remembers, by path, what was said
and under which key the answer is stored that a canonical query stands for.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from edgeproxy.cache import key as cache_key
from edgeproxy.http.structured import InnerList, Item, Member, parse_dictionary

PATHS = 16_384  # paths remembered, the one stored last stays longest
RULES = 4  # different rules of one path
QUERIES = 256  # canonical queries of one path
NAMES = 64  # parameters that one rule names


class Rule(NamedTuple):
    """``params`` do not matter (None: none does), but for those in ``but``; nor does their order unless ``ordered``."""

    params: frozenset[bytes] | None
    but: frozenset[bytes]
    ordered: bool

    def canonical(self, query: bytes) -> bytes:
        """One form for all queries that are equal by this rule: what matters, decoded as forms are (WHATWG URL §5)."""
        kept: list[tuple[bytes, bytes]] = []
        for parameter in query.split(b"&"):
            if parameter:
                name, _, value = parameter.partition(b"=")
                name = _decoded(name)
                if name in self.but or (self.params is not None and name not in self.params):
                    kept.append((name, _decoded(value)))
        if not self.ordered:
            kept.sort(key=_name)  # stable: of several with one name the order matters
        return repr(kept).encode()


def parse(value: bytes | None) -> Rule | None:
    """The rule a field tells; None if there is none, it is malformed, or it says that all of a query matters."""
    told = parse_dictionary(value) if value else None
    if not told:
        return None
    ordered, params, but = not _is_true(told.get("key-order")), told.get("params"), told.get("except")
    ignored: frozenset[bytes] | None = frozenset()
    kept: frozenset[bytes] = frozenset()
    if isinstance(params, InnerList):
        ignored = _names(params)
        if ignored is None or but is not None:
            return None
    elif params is not None:
        if not isinstance(params.value, bool):
            return None
        ignored = None if params.value else frozenset()
    if but is not None:
        excepted = _names(but) if isinstance(but, InnerList) else None
        if excepted is None or ignored is not None:
            return None
        kept = excepted
    return None if ordered and ignored is not None and not ignored else Rule(ignored, kept, ordered)


class Searches:
    """By path, the rules that were told and the keys their canonical queries stand for."""

    def __init__(self) -> None:
        self._paths: OrderedDict[bytes, dict[Rule, OrderedDict[bytes, bytes]]] = OrderedDict()

    def stored(self, key: bytes, value: bytes) -> None:
        """Note what an answer under this key told."""
        rule = parse(value)
        if rule is None:
            return
        path, query = _split(key)
        rules = self._paths.setdefault(path, {})
        self._paths.move_to_end(path)
        if rule not in rules and len(rules) >= RULES:
            del rules[next(iter(rules))]
        queries = rules.setdefault(rule, OrderedDict())
        canonical = rule.canonical(query)
        queries[canonical] = key
        queries.move_to_end(canonical)
        if len(queries) > QUERIES:
            queries.popitem(last=False)
        if len(self._paths) > PATHS:
            self._paths.popitem(last=False)

    def same_as(self, key: bytes) -> list[tuple[Rule, bytes]]:
        """The keys that may have the answer to a request with this one, which has none of its own, and by what rule."""
        if not self._paths:
            return []
        path, query = _split(key)
        rules = self._paths.get(path)
        if rules is None:
            return []
        found = [(rule, queries.get(rule.canonical(query))) for rule, queries in rules.items()]
        return [(rule, other) for rule, other in found if other is not None and other != key]

    def __repr__(self) -> str:
        return f"<Searches {len(self._paths)} paths>"


def _split(key: bytes) -> tuple[bytes, bytes]:
    """A key without its query, and that query."""
    url = cache_key.url_of(key)
    path, _, query = url.partition(b"?")
    return path + key[len(url) :], query


def _names(members: InnerList) -> frozenset[bytes] | None:
    """None if there is another thing than a string among them, or too many."""
    names = [item.value for item in members.items]
    if len(names) > NAMES or not all(isinstance(name, str) for name in names):
        return None
    return frozenset([_decoded(str(name).encode()) for name in names])


def _is_true(member: Member | None) -> bool:
    return isinstance(member, Item) and member.value is True


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _name(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]
