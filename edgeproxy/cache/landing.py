"""What an origin's answer is good for: freshening, storing whole or in part, standing aside for what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from edgeproxy.cache import groups, policy, vary
from edgeproxy.cache import tags as cache_tags
from edgeproxy.cache.answer import from_entry
from edgeproxy.cache.collapse import Flight
from edgeproxy.cache.cookies import tells_nobody
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.fill import Fill
from edgeproxy.cache.parts import LARGEST as LARGEST_PART
from edgeproxy.cache.parts import Parts, passing_key, strong
from edgeproxy.cache.rules import Rules
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Continued
from edgeproxy.http.dates import format_date
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.http.ranges import parse_content_range
from edgeproxy.pipeline.exchange import Exchange

Store = Callable[[Exchange, Response], Awaitable[None]]

# What a 304 does not change: how the stored body is encoded and framed, and what selects it (RFC 9111 §3.2, §4.1).
_OF_THE_BODY: Final = frozenset((b"content-encoding", b"content-length", b"content-range", b"vary"))
# What describes a part and not the whole it is of (RFC 9110 §15.3.7).
_OF_THE_PART: Final = (b"content-length", b"content-range")
_FAILED: Final = frozenset((500, 502, 503, 504))  # RFC 5861 §4


class Landing:
    """The end of one fetch for ``key``.

    ``entry`` is what is stored and did not do, for the ``reason`` given; ``rest_from`` the position from which on its
    body was asked for, 0 if nothing of it counts.
    """

    def __init__(
        self, rules: Rules, key: bytes, entry: Entry | None, reason: bytes, store: Store, rest_from: int = 0
    ) -> None:
        self._rules = rules
        self._key = key
        self._entry = entry
        self._reason = reason
        self._store = store
        self._rest_from = rest_from

    async def land(self, x: Exchange, flight: Flight, response: Response, sent: float) -> bool:
        """Make what can be made of an answer to a request sent at this wall time, and tell whoever waits.

        False if it is about something else than what is stored, so that the origin has to be asked anew.
        """
        entry, status = self._entry, response.status
        if status == 304 and entry is not None:
            if not _is_about(response.get(b"etag"), entry.etag):
                return False
            await self.freshen(x, flight, entry, response, sent)
            return True
        if status in _FAILED and entry is not None and self._covers(entry, unreachable=False):
            _close(response)
            flight.share(entry, b"hit; fwd=%b; fwd-status=%d" % (self._reason, status), stands_in=True)
            return True
        if status not in {200, 206} and b"range" in x.request.headers:  # it may be about the range, as 416 is
            if self._rest_from:
                _close(response)
                return False
            flight.deliver(response, self._verdict(status))
        elif status == 206 and self._rest_from:
            return await self._complete(x, flight, response, sent)
        elif status == 206:
            await self._land_part(x, flight, response, sent)
        elif self.storable(x, response):
            await self.keep(x, flight, response, sent)
        else:
            if not (self._rules.fits(response) and self._rules.for_others(x, status, response.headers())):
                self._rules.tiers.passing.add(self._key)
            flight.deliver(response, self._verdict(status))
        return True

    def fail(self, flight: Flight, error: Exception) -> None:
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

    def storable(self, x: Exchange, response: Response) -> bool:
        return self._rules.fits(response) and self._rules.storable(x, response.status, response.headers())

    async def keep(self, x: Exchange, flight: Flight, response: Response, sent: float) -> None:
        """Make the answer an entry, readable from its head on, and bring its body in."""
        entry, fill = await self._make(x, flight, response, sent)
        self._rules.tiers.put(entry, sent)
        self._note_search(entry)
        flight.share(entry, self._verdict(response.status) + b"; stored")
        if fill is not None:
            await self._pump(response, entry, fill)
        self._rules.tiers.whole(entry, sent, flight.ticket, x.improvement)

    def _note_search(self, entry: Entry) -> None:
        told = entry.told.get(b"no-vary-search")
        if told is not None:
            self._rules.tiers.searches.stored(entry.key, told)

    def _verdict(self, status: int) -> bytes:
        return b"fwd=%b; fwd-status=%d" % (self._reason, status)

    def _covers(self, entry: Entry, *, unreachable: bool) -> bool:
        age = entry.age(self._rules.clock.wall())
        return entry.parts is None and self._rules.covers(entry.terms, age, unreachable=unreachable)

    async def _make(self, x: Exchange, flight: Flight, response: Response, sent: float) -> tuple[Entry, Fill | None]:
        """The entry an answer becomes, and what its body comes in by if it is not all here."""
        now = self._rules.clock.wall()
        if response.get(b"date") is None:
            response.set(b"date", format_date(now))  # RFC 9110 §6.6.1
        await self._store(x, response)
        headers = response.headers()
        terms = self._rules.terms(x, response.status, headers, sent, now)
        tags = (cache_tags.of(headers) or cache_tags.NONE) + groups.of(headers, self._key)
        headers, flight.own = self._rules.kept(x, response.status, headers)
        fields = vary.names(headers.get(b"vary"), cookies=b"set-cookie" in headers)
        if x.settled:
            fields = tuple([name for name in fields if name not in x.settled])
        variant = vary.selector(fields)(x.request.headers)
        body: bytes | None = None
        fill: Fill | None = None
        filters = response.filters or []
        if isinstance(response.body, bytes):
            body = response.body
            for feed in filters:
                body = feed(body) + feed(b"")
        else:
            fill = Fill(None if filters else response.body.length)
        status = response.status
        return Entry(self._key, fields, variant, status, headers, terms, now, body=body, fill=fill, tags=tags), fill

    # What a 304 says.

    async def freshen(self, x: Exchange, flight: Flight, entry: Entry, response: Response, sent: float) -> None:
        """Its fields take the place of the stored ones, if the answer may be stored so (RFC 9111 §3.2, §4.3.4)."""
        await self._store(x, response)
        now = self._rules.clock.wall()
        told = response.headers()
        merged = _merged(entry, told, now)
        tags = ((cache_tags.of(told) or cache_tags.NONE) + groups.of(told, self._key)) or entry.tags
        terms = self._rules.terms(x, entry.status, merged, sent, now)
        cookies = told.get(b"set-cookie")
        if cookies is not None and not (b"cookie" in entry.vary and tells_nobody(cookies)):
            del merged[b"set-cookie"]  # for the one who asked
        headers, flight.own = self._rules.kept(x, entry.status, merged)
        if cookies is not None and b"set-cookie" not in merged:
            flight.own[b"set-cookie"] = cookies
        tiers = self._rules.tiers
        if not self._rules.allowed(x, entry.status, merged):
            # For the one who asked alone, and out of the cache if it had been for everybody.
            if not policy.may_store({}, entry.status, self._rules.told(x, entry.status, merged) or _PRIVATE):
                tiers.invalidate(self._key)
            alone = Entry(self._key, (), b"", entry.status, headers, terms, now, body=entry.body, fill=entry.fill)
            alone.source = entry.source
            verdict = self._verdict(response.status)
            answer = from_entry(alone, x.request.with_headers({}), now, verdict)
            _add_all(answer, flight.own)
            flight.deliver(answer, verdict)
            return
        if tiers.purges.allows(entry.key, tags, sent):
            entry.tags = tags
            tiers.memory.grow(entry, entry.renew(headers, terms, now))
            self._note_search(entry)
            tiers.whole(entry, sent, flight.ticket)
        flight.share(entry, self._verdict(response.status))

    # What a 206 brings.

    async def _complete(self, x: Exchange, flight: Flight, response: Response, sent: float) -> bool:
        """The rest of what is here in part: both are one representation only by a strong validator (RFC 9111 §3.4)."""
        entry = self._entry
        parts = None if entry is None else entry.parts
        told = parse_content_range(response.get(b"content-range", b"") or b"")
        if (
            entry is not None
            and parts is not None
            and told == ((self._rest_from, parts.length - 1), parts.length)
            and strong(entry.etag) is not None
            and response.get(b"etag") == entry.etag
        ):
            headers = entry.told | response.headers()
            for name in _OF_THE_PART:
                headers.pop(name, None)
            beginning = parts.get((0, self._rest_from - 1))  # more may have come since
            if beginning is not None:
                rest = response.body
                body = beginning + rest if isinstance(rest, bytes) else Continued(beginning, rest)
                whole = Response(200, headers, body)
                if self.storable(x, whole):
                    await self.keep(x, flight, whole, sent)
                    return True
        _close(response)
        return False

    async def _land_part(self, x: Exchange, flight: Flight, response: Response, sent: float) -> None:
        """An answer to the client's own Range: kept as a part where it is one, and may be."""
        told = parse_content_range(response.get(b"content-range", b"") or b"")
        size = len(response.body) if isinstance(response.body, bytes) else response.body.length
        storable = self._rules.storable(x, 206, response.headers())
        if not storable:
            self._rules.tiers.passing.add(passing_key(self._key))
        asked = b"range" in x.request.headers
        if not (storable and asked) or told is None or size is None or size != told[0][1] - told[0][0] + 1:
            flight.deliver(response, self._verdict(206))
            return
        (first, _), length = told
        complete = b"if-range" not in x.request.headers
        if size == length and complete and size <= self._rules.largest:
            for name in _OF_THE_PART:
                response.drop(name)
            response.status = 200
            await self.keep(x, flight, response, sent)
        elif size > LARGEST_PART:
            flight.deliver(response, self._verdict(206))
        else:
            entry, fill = await self._make(x, flight, response, sent)
            flight.share(entry, self._verdict(206) + b"; stored")
            if fill is not None:
                await self._pump(response, entry, fill, part=True)
            if entry.body is not None and len(entry.body) == size:
                self._add(entry, first, length, sent, complete=complete)

    def _add(self, part: Entry, first: int, length: int, sent: float, *, complete: bool) -> None:
        """Store a part: beside others of the same representation, or in place of what is there. ``complete``: it came
        with all fields of the whole (RFC 9110 §15.3.7)."""
        tiers, body = self._rules.tiers, part.body or b""
        if not tiers.purges.allows(part.key, part.tags, sent):
            return
        headers = {name: value for name, value in part.told.items() if name not in _OF_THE_PART}
        resource = tiers.memory.resources.get(part.key)
        present = None if resource is None or resource.vary != part.vary else resource.variants.get(part.variant)
        now = part.base + part.terms.initial_age
        if present is not None and present.parts is None and now < present.fresh_until:
            return  # the whole has come meanwhile
        if present is not None and present.parts is not None and present.parts.length == length:
            same = strong(part.etag) is not None and part.etag == present.etag
            if same and present.parts.size + len(body) <= self._rules.largest:
                tiers.memory.grow(present, present.take_part(first, body, headers, part.terms, now))
                tiers.whole(present, sent)
                return
        if complete:
            own = Parts(length)
            own.add(first, body)
            key, fields, variant = part.key, part.vary, part.variant
            tiers.put(Entry(key, fields, variant, 200, headers, part.terms, now, tags=part.tags, parts=own), sent)

    async def _pump(self, response: Response, entry: Entry, fill: Fill, *, part: bool = False) -> None:
        """Bring the body into the fill; what broke off is not kept, nor what grew too large. Nor what L1 has evicted
        meanwhile and no other tier waits for: more bodies arrive at once than it can hold. ``part``: it is no entry
        of L1 yet."""
        tiers, body = self._rules.tiers, response.body
        memory = tiers.memory
        if isinstance(body, bytes):
            return
        await asyncio.sleep(0)  # whoever waits begins to read before anything may be given up
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
                unwanted = not (part or tiers.below_memory or memory.holds(entry))
                if kept and (unwanted or fill.size > self._rules.largest):
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


def answer_of(flight: Flight, x: Exchange, now: float) -> Response:
    """The leader's answer from a flight that has landed. Raises what it failed with."""
    if flight.error is not None:
        raise flight.error
    x.verdict = flight.verdict
    if flight.entry is not None:
        answer = from_entry(flight.entry, x.request, now, flight.verdict)
        _add_all(answer, flight.own)
        return answer
    if flight.response is None:
        raise EdgeError(Kind.INTERNAL, "edge", "a fetch that brought nothing")
    return flight.response


_PRIVATE: Final[Headers] = {b"cache-control": b"private"}


def _is_about(told: bytes | None, stored: bytes | None) -> bool:
    """Whether a 304 with this entity tag is about the stored answer (RFC 9111 §4.3.4). Weakness does not count, for a
    stored copy may have taken it on (RFC 9110 §8.8.3.2)."""
    return told is None or stored is None or told.removeprefix(b"W/") == stored.removeprefix(b"W/")


def _merged(entry: Entry, told: Headers, now: float) -> Headers:
    """The stored fields with those of a 304 over them, but for those that tell of the stored body."""
    stored = entry.told
    headers = stored | {name: value for name, value in told.items() if name not in _OF_THE_BODY}
    if entry.etag is not None:
        headers[b"etag"] = entry.etag
    if _media(told) != _media(stored) and b"content-type" in stored:  # what is stored was made of what the origin has
        headers[b"content-type"] = stored[b"content-type"]
    headers[b"date"] = told.get(b"date") or format_date(now)
    if b"age" not in told:
        headers.pop(b"age", None)
    return headers


def _media(headers: Headers) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _add_all(response: Response, fields: Headers) -> None:
    for name, value in fields.items():
        response.add(name, value)


def _through(response: Response, chunk: bytes) -> bytes:
    """A chunk through the store phase's filters; b"", the end, brings what they held back."""
    last = not chunk
    for feed in response.filters or ():
        chunk = (feed(chunk) if chunk else b"") + (feed(b"") if last else b"")
    return chunk


def _close(response: Response) -> None:
    if isinstance(response.body, Body):
        response.body.close()
