"""A look-up that memory alone could not answer: collapsing, revalidating, storing, standing in for errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from edgeproxy.cache import policy, vary
from edgeproxy.cache.answer import from_entry
from edgeproxy.cache.collapse import PATIENCE, Flight
from edgeproxy.cache.directives import NONE
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.fill import Fill
from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body
from edgeproxy.http.dates import format_date
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

Fetch = Callable[[Exchange], Awaitable[Response]]
Store = Callable[[Exchange, Response], Awaitable[None]]

# The client's conditions are about its copy, ours are about the stored one (RFC 9111 §4.3.1).
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"if-range", b"range")


# What a 304 cannot change: it describes the body that is stored (RFC 9111 §3.2), and selects it (§4.1).
_OF_THE_BODY = frozenset((b"content-encoding", b"content-length", b"content-range", b"content-type", b"vary"))


class Rules(NamedTuple):
    """How one cache stage is configured. Sizes in bytes, times in seconds."""

    tiers: Tiers
    clock: Clock
    heuristic: policy.Heuristic
    largest: int
    grace: float


class Lookup:
    """One exchange's miss: what was asked for, what stale entry is there, and why it did not do."""

    def __init__(self, rules: Rules, key: bytes, entry: Entry | None, reason: bytes) -> None:
        self._rules = rules
        self._key = key
        self._entry = entry
        self._reason = reason

    async def fetch(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """The answer, from a fetch of this exchange's own or one that is under way. Raises EdgeError."""
        entry = self._entry
        personal = b"authorization" in x.request.headers or x.claims is not None
        # A key may have become one to pass since the request came.
        if personal or (self._key in self._rules.tiers.passing if entry is None else entry.terms.validate):
            return await self._fetch_alone(x, fetch, store)
        flights = self._rules.tiers.flights
        variant = self._variant(x)
        for _ in range(PATIENCE):
            flight = flights.waiting(self._key, variant)
            if flight is None:
                break
            answer = await self._join(x, flight)
            if answer is not None:
                return answer
            if flight.response is not None or (flight.entry is not None and self._unproven(flight)):
                # Not to be shared: who waited for it need not wait for each other.
                return await self._fetch_alone(x, fetch, store)
            variant = self._variant(x)
        flight = Flight()
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
        resource = self._rules.tiers.memory.resources.get(self._key)
        return b"" if resource is None else resource.select(x.request.headers)

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
            x.endpoint, x.tries = own.endpoint, own.tries
        if flight.error is not None:
            x.verdict = b"fwd=" + self._reason
            raise flight.error
        x.verdict = flight.verdict
        if flight.entry is not None:
            return from_entry(flight.entry, x.request, self._rules.clock.wall(), x.verdict)
        if flight.response is None:
            raise EdgeError(Kind.INTERNAL, "edge", "a fetch that brought nothing")
        return flight.response

    def _upstream(self, x: Exchange) -> Exchange:
        """The exchange with the origin: for the whole answer, or to ask whether the stored one still holds (RFC 9111
        §4.3.1). It is a copy, so that the client may leave, and keeps its own conditions."""
        headers = {name: value for name, value in x.request.headers.items() if name not in _CONDITIONS}
        if self._entry is not None:
            if self._entry.etag is not None:
                headers[b"if-none-match"] = self._entry.etag
            if self._entry.last_modified is not None:
                headers[b"if-modified-since"] = self._entry.last_modified
        return x.fork(x.request.with_headers(headers))

    async def _fly(self, x: Exchange, flight: Flight, variant: bytes, fetch: Fetch, store: Store) -> None:
        """The fetch itself, in a task of its own."""
        tiers = self._rules.tiers
        try:
            sent = self._rules.clock.wall()
            response = await fetch(x)
            await self._land(x, flight, response, sent, store)
        except Exception as error:  # noqa: BLE001 -- handed to whoever waits, which reports it
            if not flight.landed:
                self._fail(flight, error)
        finally:
            if not flight.landed:
                flight.fail(EdgeError(Kind.INTERNAL, "edge", "the fetch was cancelled"))
            tiers.flights.remove(self._key, variant, flight)

    def _fail(self, flight: Flight, error: Exception) -> None:
        """No answer came: a stale entry stands in for it, within its terms."""
        entry = self._entry
        if (
            entry is not None
            and isinstance(error, EdgeError)
            and error.source == "origin"
            and self._covers(entry, unreachable=True)
        ):
            flight.share(entry, b"hit; fwd=%b; detail=%b" % (self._reason, error.kind.value.encode()), stands_in=True)
        else:
            flight.fail(error)

    def _covers(self, entry: Entry, *, unreachable: bool) -> bool:
        age = entry.age(self._rules.clock.wall())
        return policy.usable_on_error(entry.terms, age, unreachable=unreachable, grace=self._rules.grace)

    async def _land(self, x: Exchange, flight: Flight, response: Response, sent: float, store: Store) -> None:
        """Decide what the origin's answer is good for, and tell whoever waits."""
        entry, status = self._entry, response.status
        now = self._rules.clock.wall()
        if status == 304 and entry is not None:
            await store(x, response)
            self._freshen(entry, response, sent, now)
            flight.share(entry, b"fwd=%b; fwd-status=304" % self._reason)
            return
        if status in {500, 502, 503, 504} and entry is not None and self._covers(entry, unreachable=False):
            if isinstance(response.body, Body):
                response.body.close()
            flight.share(entry, b"hit; fwd=%b; fwd-status=%d" % (self._reason, status), stands_in=True)
            return
        verdict = b"fwd=%b; fwd-status=%d" % (self._reason, status)
        headers = response.headers()
        if not self._storable(x, response, headers):
            self._rules.tiers.passing.add(self._key)
            flight.deliver(response, verdict)
            return
        if b"date" not in headers:
            response.set(b"date", format_date(now))  # RFC 9110 §6.6.1
        await store(x, response)
        await self._keep(x, flight, response, sent, now, verdict + b"; stored")

    def _storable(self, x: Exchange, response: Response, headers: Headers) -> bool:
        length = len(response.body) if isinstance(response.body, bytes) else response.body.length
        if length is not None and length > self._rules.largest:
            return False
        if not policy.may_store(x.request.headers, response.status, headers, authorized=x.claims is not None):
            return False
        terms = self._terms(response.status, headers, self._rules.clock.wall(), self._rules.clock.wall())
        reusable = terms.lifetime > terms.initial_age and not terms.validate
        return reusable or b"etag" in headers or b"last-modified" in headers or terms.while_revalidate > 0

    def _terms(self, status: int, headers: Headers, sent: float, now: float) -> policy.Terms:
        return policy.terms(status, headers, request_time=sent, response_time=now, heuristic=self._rules.heuristic)

    def _freshen(self, entry: Entry, response: Response, sent: float, now: float) -> None:
        """RFC 9111 §3.2: the fields of a 304 take the place of the stored ones, but for those that tell of the stored
        body, which the store phase may have encoded."""
        stored, told = entry.fields.fields, response.headers()
        headers = stored | {name: value for name, value in told.items() if name not in _OF_THE_BODY}
        if _opaque(told.get(b"etag")) == _opaque(entry.etag) and entry.etag is not None:
            headers[b"etag"] = entry.etag
        headers[b"date"] = response.get(b"date") or format_date(now)
        if response.get(b"age") is None:
            headers.pop(b"age", None)
        larger = entry.renew(headers, self._terms(entry.status, headers, sent, now), now)
        self._rules.tiers.memory.grow(entry, larger)

    async def _keep(
        self, x: Exchange, flight: Flight, response: Response, sent: float, now: float, verdict: bytes
    ) -> None:
        """Make the answer an entry, readable from its head on, and bring its body in."""
        headers = response.headers()
        fields = vary.names(headers.get(b"vary"))
        variant = vary.selector(fields)(x.request.headers)
        terms = self._terms(response.status, headers, sent, now)
        body = response.body
        filters = response.filters or []
        if isinstance(body, bytes):
            for feed in filters:
                body = feed(body) + feed(b"")
            entry = Entry(self._key, fields, variant, response.status, headers, terms, now, body=body)
            self._put(entry, flight)
            flight.share(entry, verdict)
            return
        fill = Fill(None if filters else body.length)
        entry = Entry(self._key, fields, variant, response.status, headers, terms, now, fill=fill)
        self._put(entry, flight)
        flight.share(entry, verdict)
        await asyncio.sleep(0)  # whoever waits begins to read before anything may be given up
        await self._pump(body, response, entry, fill)

    def _put(self, entry: Entry, flight: Flight) -> None:
        if not flight.purged:
            self._rules.tiers.memory.put(entry)

    async def _pump(self, body: Body, response: Response, entry: Entry, fill: Fill) -> None:
        """Bring the body into the fill; what broke off is not kept, nor what grew too large."""
        memory = self._rules.tiers.memory
        kept = True
        try:
            while await fill.room():
                chunk = await body.read()
                data = _through(response, chunk)
                if data:
                    fill.feed(data)
                    if kept:
                        memory.grow(entry, len(data))
                if not chunk:
                    break
                if kept and fill.size > self._rules.largest:
                    kept = False
                    memory.drop(entry)
                    fill.give_up()
            fill.finish()
            if kept:
                entry.body, entry.fill = fill.whole(), None
        except EdgeError as error:
            memory.drop(entry)
            fill.fail(error)
        except BaseException:
            memory.drop(entry)
            fill.fail(EdgeError(Kind.INTERNAL, "edge", "the fetch was cancelled"))
            raise
        finally:
            body.close()


class Invalidation:
    """An unsafe request on its way: once it has succeeded, what is stored for its target is out of date."""

    def __init__(self, rules: Rules, key: bytes) -> None:
        self._rules = rules
        self._key = key

    async def fetch(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """RFC 9111 §4.4."""
        response = await fetch(x)
        if 200 <= response.status < 400:
            self._rules.tiers.purge_key(self._key)
            base, authority = b"%b://%b" % (x.request.scheme, x.request.authority), x.request.authority
            for name in (b"location", b"content-location"):
                self._forget(response.get(name), base, authority)
        return response

    def _forget(self, location: bytes | None, base: bytes, authority: bytes) -> None:
        """Only of the same authority: another's is not this origin's to invalidate."""
        if location is None or not authority:
            return
        url = base + location if location.startswith(b"/") and not location.startswith(b"//") else location
        if url.startswith(base + b"/"):
            try:
                self._rules.tiers.purge(url.decode("ascii"))
            except ValueError:
                return


def _opaque(etag: bytes | None) -> bytes | None:
    """An entity tag without its weakness, which a stored copy may have taken on (RFC 9110 §8.8.3.2)."""
    return etag if etag is None else etag.removeprefix(b"W/")


def _through(response: Response, chunk: bytes) -> bytes:
    """A chunk through the store phase's filters; b"", the end, brings what they held back."""
    last = not chunk
    for feed in response.filters or ():
        chunk = (feed(chunk) if chunk else b"") + (feed(b"") if last else b"")
    return chunk
