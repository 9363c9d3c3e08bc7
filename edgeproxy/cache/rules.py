"""How one cache stage is configured, and what that makes of an answer."""

from __future__ import annotations

from typing import NamedTuple

from edgeproxy.cache import policy, targeted
from edgeproxy.cache import tags as cache_tags
from edgeproxy.cache.bypass import Bypass
from edgeproxy.cache.overrides import Overrides
from edgeproxy.cache.recipe import PLAIN, Recipe
from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock
from edgeproxy.http.headers import Headers
from edgeproxy.http.media import is_event_stream
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class Rules(NamedTuple):
    """How one cache stage is configured. Sizes in bytes, times in seconds; ``targets`` as RFC 9213 §2.2 has them."""

    tiers: Tiers
    clock: Clock
    heuristic: policy.Heuristic
    largest: int
    grace: float
    recipe: Recipe = PLAIN
    bypass: Bypass | None = None
    overrides: Overrides = Overrides()
    targets: tuple[bytes, ...] = targeted.TARGETS

    def told(self, x: Exchange, status: int, headers: Headers) -> Headers | None:
        """The fields policy goes by for an answer with these; None if the route's rules keep it out."""
        return self.overrides.fields(x.request, status, targeted.in_force(headers, self.targets), made=x.facet != b"")

    def terms(self, x: Exchange, status: int, headers: Headers, sent: float, now: float) -> policy.Terms:
        """The terms of an answer to a request that was sent at this wall time and answered at that."""
        told = self.told(x, status, headers) or headers
        terms = policy.terms(status, told, request_time=sent, response_time=now, heuristic=self.heuristic)
        return self.overrides.terms(status, told, terms)

    def allowed(self, x: Exchange, status: int, headers: Headers) -> bool:
        """Whether an answer with these fields may be stored."""
        told = self.told(x, status, headers)
        if told is None or not x.keep or cache_tags.of(headers) is None:
            return False
        return policy.may_store(x.request.headers, status, told, authorized=x.claims is not None or x.identity != "")

    def storable(self, x: Exchange, status: int, headers: Headers) -> bool:
        """Whether it may be stored, and would be of any use."""
        if not self.allowed(x, status, headers):
            return False
        now = self.clock.wall()
        terms = self.terms(x, status, headers, now, now)
        reusable = terms.lifetime > terms.initial_age and not terms.validate
        return reusable or b"etag" in headers or b"last-modified" in headers or terms.while_revalidate > 0

    def for_others(self, x: Exchange, status: int, headers: Headers) -> bool:
        """Whether what keeps an answer out is this request alone: its no-store, its credentials, its cookies. Then the
        next one is worth waiting for, and nobody can keep a key out of the cache by asking for it so."""
        told = self.told(x, status, headers)
        return told is not None and not self.allowed(x, status, headers) and policy.may_store({}, status, told)

    def fits(self, response: Response) -> bool:
        """Whether the body is small enough to be kept, as far as its length is known. A stream of events has no end:
        whoever shared it would get it at the pace of its slowest reader."""
        length = len(response.body) if isinstance(response.body, bytes) else response.body.length
        return not is_event_stream(response.get(b"content-type")) if length is None else length <= self.largest

    def kept(self, x: Exchange, status: int, headers: Headers) -> tuple[Headers, Headers]:
        """The fields that are stored, and those that only the one who asked may have."""
        shown = headers if self.tiers.show_tags else cache_tags.without(headers)
        withheld = policy.withheld(self.told(x, status, headers) or headers)
        if withheld.isdisjoint(shown):
            return shown.copy(), {}
        own = {name: value for name, value in shown.items() if name in withheld}
        return {name: value for name, value in shown.items() if name not in withheld}, own

    def covers(self, terms: policy.Terms, age: float, *, unreachable: bool) -> bool:
        """Whether a stale answer may stand in for an error."""
        return policy.usable_on_error(terms, age, unreachable=unreachable, grace=self.grace)
