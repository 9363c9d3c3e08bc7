"""A look-up that memory alone could not answer: collapsing, revalidating, storing, standing in for errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from edgeproxy.cache import policy, vary
from edgeproxy.cache.answer import from_entry
from edgeproxy.cache.bypass import OTHER_METHOD
from edgeproxy.cache.collapse import PATIENCE, Flight
from edgeproxy.cache.directives import NONE
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.landing import Landing, Store, answer_of
from edgeproxy.cache.parts import passing_key, strong
from edgeproxy.cache.redis import RedisTier
from edgeproxy.cache.rules import Rules
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

Fetch = Callable[[Exchange], Awaitable[Response]]

# The client's conditions are about its copy, ours are about the stored one (RFC 9111 §4.3.1).
_CONDITIONS: Final = (
    b"if-none-match",
    b"if-modified-since",
    b"if-match",
    b"if-unmodified-since",
    b"if-range",
    b"range",
)

_NOT_ASKED: Final = OTHER_METHOD.union(_CONDITIONS)


class Lookup:
    """One exchange's miss: what was asked for, what stale entry is there, and why it did not do."""

    keeps: ClassVar[bool] = True

    def __init__(
        self,
        rules: Rules,
        key: bytes,
        entry: Entry | None,
        reason: bytes,
        *,
        part: bool = False,
        demanded: bool = False,
    ) -> None:
        """``part``: the client asks for a part, and its Range is sent on. ``demanded``: the entry would have done, but
        the client wants more (a reload)."""
        self._rules = rules
        self._key = key
        self._entry = entry
        self._reason = reason
        self._part = part
        self._demanded = demanded
        self._passing = passing_key(key) if part else key

    async def fetch(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """The answer, from a fetch of this exchange's own or one that is under way. Raises EdgeError."""
        entry = self._entry
        personal = b"authorization" in x.request.headers or x.claims is not None or x.identity != ""
        # A key may have become one to pass since the request came.
        if personal or (self._passing in self._rules.tiers.passing if entry is None else entry.terms.validate):
            return await self._fetch_alone(x, fetch, store)
        flights = self._rules.tiers.flights
        variant = self._variant(x)
        for _ in range(PATIENCE):
            flight = flights.waiting(self._key, variant)
            if flight is None or (self._demanded and not flight.demanded):
                break  # a reload is not answered by what was asked before somebody reloaded (RFC 9111 §5.2.1.4)
            answer = await self._join(x, flight)
            if answer is not None:
                return answer
            if flight.response is not None or (flight.entry is not None and self._unproven(flight)):
                # Not to be shared: who waited for it need not wait for each other.
                return await self._fetch_alone(x, fetch, store)
            variant = self._variant(x)
        flight = Flight(demanded=self._demanded)
        flights.add(self._key, variant, flight)
        return await self._lead(x, flight, variant, fetch, store)

    async def _fetch_alone(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """A fetch that nobody joins: its variant is one that nobody selects. A purge reaches it like any other."""
        flight = Flight()
        variant = b"\0%d" % id(flight)
        self._rules.tiers.flights.add(self._key, variant, flight)
        return await self._lead(x, flight, variant, fetch, store)

    def refresh(self, x: Exchange, fetch: Fetch, store: Store) -> None:
        """Revalidate in the background, while the stale entry is served (RFC 5861 §3)."""
        flights, variant = self._rules.tiers.flights, self._variant(x)
        if flights.waiting(self._key, variant) is not None:
            return
        flight = Flight()
        flights.add(self._key, variant, flight)
        self._rules.tiers.spawn(self._fly(self._upstream(x), flight, variant, fetch, store))
        flight.leave()

    def _variant(self, x: Exchange) -> bytes:
        """What this request selects, as far as is known by now."""
        headers = x.request.headers
        resource = self._rules.tiers.memory.resources.get(self._key)
        variant = b"" if resource is None else resource.select(headers)
        if self._part:
            variant += b"\0%b\0%b" % (headers[b"range"], headers.get(b"if-range", b""))
        return variant

    async def _join(self, x: Exchange, flight: Flight) -> Response | None:
        """Wait for a flight; None if what it brings is not for this exchange."""
        await flight.head()
        error = flight.shared_error
        if error is not None:
            x.verdict = b"fwd=%b; collapsed" % self._reason
            raise EdgeError(error.kind, error.source, error.detail)
        entry = flight.entry
        if entry is None or vary.selector(entry.vary)(x.request.headers) != entry.variant or self._unproven(flight):
            return None
        x.verdict = b"fwd=%b; collapsed" % self._reason
        return from_entry(entry, x.request, self._rules.clock.wall(), x.verdict)

    def _unproven(self, flight: Flight) -> bool:
        """Whether what a flight brought must be validated before every use, and so answers its leader alone: one that
        waited made its request before that validation, and may not be who it was for (RFC 9111 §5.2.2.4)."""
        entry = flight.entry
        if entry is None or flight.stands_in:
            return False
        return policy.use(entry.terms, entry.age(self._rules.clock.wall()), NONE) is policy.Use.REVALIDATE

    async def _lead(self, x: Exchange, flight: Flight, variant: bytes, fetch: Fetch, store: Store) -> Response:
        own = self._upstream(x)
        self._rules.tiers.spawn(self._fly(own, flight, variant, fetch, store))
        try:
            await flight.head()
        except asyncio.CancelledError:
            flight.leave()
            raise
        finally:
            x.endpoint, x.tries, x.choice = own.endpoint, own.tries, own.choice
        if flight.error is not None:
            x.verdict = b"fwd=" + self._reason
            raise flight.error
        return answer_of(flight, x, self._rules.clock.wall())

    def _upstream(self, x: Exchange) -> Exchange:
        """The exchange with the origin: for the whole answer, or to ask whether the stored one still holds (RFC 9111
        §4.3.1). It is a copy, so that the client may leave, and keeps its own conditions. It asks for what the key
        says."""
        headers = {name: value for name, value in x.request.headers.items() if name not in _NOT_ASKED}
        if self._part:
            for name in (b"range", b"if-range"):
                if name in x.request.headers:
                    headers[name] = x.request.headers[name]
        elif self._entry is not None:
            headers |= _asks_about(self._entry, self._rest_from())
        own = x.fork(x.request.with_headers(headers))
        own.request.method = b"GET"  # a HEAD may be what a stale answer is refreshed behind
        self._rules.recipe.ask(own, self._key)
        return own

    def _rest_from(self) -> int:
        """From where on the body is asked for, because what stands before is here; 0 for the whole."""
        entry = self._entry
        if self._part or entry is None or entry.parts is None or entry.parts.length > self._rules.largest:
            return 0
        return len(entry.parts.beginning())

    async def _fly(self, x: Exchange, flight: Flight, variant: bytes, fetch: Fetch, store: Store) -> None:
        """The fetch itself, in a task of its own."""
        rules = self._rules
        landing = Landing(rules, self._key, self._entry, self._reason, store, self._rest_from())
        try:
            if rules.tiers.redis is not None and not self._part:
                await self._ask_region(rules.tiers.redis, x, flight)
                if flight.landed:
                    return
                landing = Landing(rules, self._key, self._entry, self._reason, store, self._rest_from())
            sent = rules.clock.wall()
            if not await landing.land(x, flight, await fetch(x), sent):
                landing = Landing(rules, self._key, None, self._reason, store)
                unconditional = {name: value for name, value in x.request.headers.items() if name not in _CONDITIONS}
                x.request = x.request.with_headers(unconditional)
                sent = rules.clock.wall()
                await landing.land(x, flight, await fetch(x), sent)
        except Exception as error:  # noqa: BLE001 -- handed to whoever waits, which reports it
            if not flight.landed:
                landing.fail(flight, error)
        finally:
            if not flight.landed:
                flight.fail(EdgeError(Kind.INTERNAL, "edge", "the fetch was cancelled"))
            rules.tiers.flights.remove(self._key, variant, flight)

    async def _ask_region(self, redis: RedisTier, x: Exchange, flight: Flight) -> None:
        """Share what L3 has, if it is fresh; what is stale there is what the origin is asked about."""
        tiers, asked = self._rules.tiers, self._rules.clock.wall()
        entry, flight.ticket = await redis.get(self._key, x.request.headers)
        if entry is None or self._reason == b"request":
            return
        now = self._rules.clock.wall()  # not `asked`: what a soft purge is about was ended since
        if policy.use(entry.terms, entry.age(now), NONE) is policy.Use.FRESH:
            tiers.put(entry, asked)
            tiers.whole(entry, asked)
            flight.share(entry, b"hit; detail=l3")
        elif self._entry is None:
            self._entry = entry
            x.request.headers.update(_asks_about(entry, 0))


def _asks_about(entry: Entry, rest_from: int) -> Headers:
    """The fields that ask whether what is stored still holds, or for what it lacks from this position on."""
    if entry.parts is None:
        headers = {b"if-none-match": entry.etag, b"if-modified-since": entry.last_modified}
        return {name: value for name, value in headers.items() if value is not None}
    if not rest_from:
        return {}
    etag = strong(entry.etag)
    asked = {b"range": b"bytes=%d-" % rest_from}
    return asked if etag is None else asked | {b"if-range": etag}
