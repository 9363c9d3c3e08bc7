"""The cache's front: what a request is answered with at once, and what has to be looked into."""

from __future__ import annotations

from typing import Final

from edgeproxy.cache import policy
from edgeproxy.cache.answer import HIT, HIT_ON_DISK, covered, from_entry
from edgeproxy.cache.bypass import OTHER_METHOD
from edgeproxy.cache.directives import NONE, of_request
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.head import Confirmation
from edgeproxy.cache.landing import Store
from edgeproxy.cache.lookup import Fetch, Lookup
from edgeproxy.cache.no_vary_search import parse
from edgeproxy.cache.parts import passing_key
from edgeproxy.cache.passed import Passed
from edgeproxy.cache.rules import Rules
from edgeproxy.cache.unsafe import Invalidation
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.grpc import is_grpc
from edgeproxy.http.headers import Headers
from edgeproxy.http.loops import was_here
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

HIT_STALE: Final = b"hit; detail=stale"


class Front:
    """One cache stage's way in. ``honour``: follow the client's Cache-Control; ``fetch`` and ``store`` are the
    pipeline's phases, for what is refreshed behind an answer."""

    def __init__(self, rules: Rules, fetch: Fetch, store: Store, *, honour: bool) -> None:
        self._rules = rules
        self._tiers = rules.tiers
        self._recipe = rules.recipe
        rules.tiers.recipes.know(rules.recipe)
        self._bypass = rules.bypass
        self._passing = rules.tiers.passing
        self._resources = rules.tiers.memory.resources
        self._wall = rules.clock.wall
        self._fetch = fetch
        self._store = store
        self._honour = honour

    def look_up(self, x: Exchange) -> Response | None:
        """The stored answer, if it may be used now. Otherwise ``x.lookup`` says how its answer is to be fetched and
        kept, or is None where it is none of the cache's business. Raises EdgeError NOT_CACHED for only-if-cached.
        """
        request = x.request
        headers = request.headers
        if request.method != b"GET" and request.method != b"HEAD":
            x.verdict = b"fwd=method"
            if request.method not in policy.SAFE and not is_grpc(headers):  # a call's path is no resource
                x.lookup = Invalidation(self._rules)
            return None
        if b"if-match" in headers or b"if-unmodified-since" in headers:
            x.verdict = b"fwd=bypass"  # RFC 9111 §4.3.2: these are the origin's to evaluate
            return None
        if self._bypass is not None and self._bypass(request):
            x.verdict = b"fwd=bypass"
            return None
        key = x.key = self._recipe.of(x)
        resource = self._resources.get(key)
        entry = None if resource is None else resource.selected(headers)
        verdict = HIT
        if entry is None:
            entry = self._tiers.below(key, headers) or self._same_search(key, headers)
            if entry is None:
                self._miss(x, key, None, b"uri-miss" if resource is None else b"vary-miss")
                return None
            verdict = HIT_ON_DISK if entry.key == key else HIT
        now = self._wall()
        if now >= entry.fresh_until or b"cache-control" in headers or b"pragma" in headers:
            newer = self._tiers.newer(entry, headers) if now >= entry.fresh_until > 0 else None
            if newer is not None:
                entry, verdict = newer, HIT_ON_DISK
            directives = of_request(headers) if self._honour else NONE
            use = policy.use(entry.terms, entry.age(now), directives)
            if use is policy.Use.REVALIDATE:
                reason = b"stale" if now >= entry.fresh_until else b"request"
                demanded = policy.use(entry.terms, entry.age(now), NONE) is not use
                self._miss(x, key, entry, reason, demanded=demanded)
                return None
            if entry.parts is not None and not covered(entry, request):
                self._miss(x, key, entry, b"partial")
                return None
            if 0 < entry.fresh_until <= now:
                verdict = HIT_STALE
            if use is policy.Use.STALE_MEANWHILE:
                Lookup(self._rules, key, entry, b"stale", part=entry.parts is not None).refresh(
                    x, self._fetch, self._store
                )
        entry.hits += 1
        x.verdict = verdict
        return from_entry(entry, request, now, verdict)

    def _same_search(self, key: bytes, headers: Headers) -> Entry | None:
        """The fresh answer to a URL that differs only in what its No-Vary-Search says does not matter."""
        for rule, other in self._tiers.searches.same_as(key):
            resource = self._resources.get(other)
            entry = None if resource is None else resource.selected(headers)
            if (
                entry is not None
                and self._wall() < entry.fresh_until
                and parse(entry.told.get(b"no-vary-search")) == rule
            ):
                return entry
        return None

    def _miss(self, x: Exchange, key: bytes, entry: Entry | None, reason: bytes, *, demanded: bool = False) -> None:
        """Leave the exchange to the origin, by way of a look-up if its answer may be kept."""
        request = x.request
        headers = request.headers
        if self._honour and b"cache-control" in headers and b"only-if-cached" in of_request(headers):
            raise EdgeError(Kind.NOT_CACHED, "client")  # RFC 9111 §5.2.1.7
        if was_here(headers, self._tiers.node):
            raise EdgeError(Kind.LOOP, "edge")  # it would wait for the very fetch that it is
        in_part = b"range" in headers and (entry is None or entry.parts is not None)
        passing = passing_key(key) if in_part else key
        if request.length or _names_other_method(headers) or b"upgrade" in headers:
            x.verdict = b"fwd=bypass"
        elif request.method == b"HEAD":
            x.verdict = b"fwd=" + reason
            if entry is not None and entry.parts is None:
                x.lookup = Confirmation(self._rules, entry, reason)
        elif entry is None and passing in self._passing:
            x.lookup = Passed(self._rules, passing, reason)
        else:
            x.lookup = Lookup(self._rules, key, entry, reason, part=in_part, demanded=demanded)


def _names_other_method(headers: Headers) -> bool:
    for name in OTHER_METHOD:  # they are three, the fields are fifteen  # noqa: SIM110
        if name in headers:
            return True
    return False
