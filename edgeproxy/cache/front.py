"""The cache's front: what a request is answered with at once, and what has to be looked into."""

from __future__ import annotations

from edgeproxy.cache import key as cache_key
from edgeproxy.cache import policy
from edgeproxy.cache.answer import from_entry
from edgeproxy.cache.directives import NONE, of_request
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.lookup import Fetch, Invalidation, Lookup, Rules, Store
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class Front:
    """One cache stage's way in. ``honour``: follow the client's Cache-Control; ``fetch`` and ``store`` are the
    pipeline's phases, for what is refreshed behind an answer."""

    def __init__(self, rules: Rules, fetch: Fetch, store: Store, *, honour: bool) -> None:
        self._rules = rules
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
            if request.method not in policy.SAFE:
                x.lookup = Invalidation(self._rules, cache_key.of_request(request))
            return None
        if b"if-match" in headers or b"if-unmodified-since" in headers:
            x.verdict = b"fwd=bypass"  # RFC 9111 §4.3.2: these are the origin's to evaluate
            return None
        key = cache_key.of_exchange(x)
        resource = self._resources.get(key)
        if resource is None:
            self._miss(x, key, None, b"uri-miss")
            return None
        entry = resource.variants.get(resource.select(headers))
        if entry is None:
            self._miss(x, key, None, b"vary-miss")
            return None
        now = self._wall()
        if now >= entry.fresh_until or b"cache-control" in headers or b"pragma" in headers:
            directives = of_request(headers) if self._honour else NONE
            use = policy.use(entry.terms, entry.age(now), directives)
            if use is policy.Use.REVALIDATE:
                self._miss(x, key, entry, b"stale" if now >= entry.fresh_until else b"request")
                return None
            if use is policy.Use.STALE_MEANWHILE:
                Lookup(self._rules, key, entry, b"stale").refresh(x, self._fetch, self._store)
        entry.hits += 1
        x.verdict = b"hit"
        return from_entry(entry, request, now, b"hit")

    def _miss(self, x: Exchange, key: bytes, entry: Entry | None, reason: bytes) -> None:
        """Leave the exchange to the origin, by way of a look-up if its answer may be kept."""
        request = x.request
        if self._honour and b"only-if-cached" in of_request(request.headers):
            raise EdgeError(Kind.NOT_CACHED, "client")  # RFC 9111 §5.2.1.7
        if request.method == b"HEAD" or request.length or b"range" in request.headers or b"upgrade" in request.headers:
            x.verdict = b"fwd=bypass"
        elif entry is None and key in self._passing:
            x.verdict = b"fwd=" + reason
        else:
            if x.route.partition:
                self._rules.tiers.open(x.route.partition)
            x.lookup = Lookup(self._rules, key, entry, reason)
