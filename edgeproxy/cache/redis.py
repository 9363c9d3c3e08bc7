"""L3: stored answers in Redis, shared by the nodes of a region.

It is asked inside a flight, before the origin, and filled from a bounded queue once a body is whole. Its memory is
bounded by Redis' own ``maxmemory``; what is evicted there is a miss here. An answer is used only if no purge, and no
change of its URL, was noted in Redis since before it was fetched (:mod:`edgeproxy.cache.marks`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
from collections import deque
from typing import Any, NamedTuple

import zstandard
from blake3 import blake3

from edgeproxy.cache import key as cache_key
from edgeproxy.cache import marks, record, vary
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.marks import Mark, Ticket
from edgeproxy.cache.purge import PurgeLog
from edgeproxy.clock import Clock
from edgeproxy.http.headers import Headers
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Link, Settings, UnavailableError, end

logger = logging.getLogger("edgeproxy.redis")

QUEUE_ENTRIES, QUEUE_BYTES = 256, 64_000_000  # answers waiting to be written
QUEUE_CHANGES = 10_000  # changed URLs waiting to be told
COMPRESSED_FROM = 1_024  # bytes of a body
COMPRESSED_ASIDE = 131_072  # bytes of a body that are compressed on a thread
LEVEL = 3
BEGINNING = 32_768  # bytes of a stored value that have its head, but for a few

_POINTER, _ANSWER = b"V", b"R"  # what a value begins with: the names of Vary, or an answer
_HEAD = struct.Struct("<1s16s8sQBI")  # kind, epoch, change, number, compressed, bytes of the record


class Found(NamedTuple):
    """What L3 says of a request: an entry or None, and the ticket for what will be fetched instead; None where Redis
    did not answer, and nothing is to be written."""

    entry: Entry | None
    ticket: Ticket | None


NOTHING = Found(None, None)


class Order(NamedTuple):
    """An answer to be written; ``size`` is its body's when it was handed over."""

    entry: Entry
    ticket: Ticket
    began: float
    size: int
    again: bool


class RedisTier:
    """Made from settings that do not change; used from one loop, from :meth:`start` to :meth:`close`."""

    def __init__(self, settings: Settings, purges: PurgeLog, clock: Clock, metrics: Metrics) -> None:
        self.settings = settings
        self.link = Link(settings, "L3", clock, metrics)
        self._purges = purges
        self._clock = clock
        self._marks = marks.keys(settings.prefix).marks
        self._changes: dict[bytes, bytes] = {}  # URLs and what is drawn for their change, the oldest first
        self._answers: deque[Order] = deque()
        self._waiting = 0  # bytes of those
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._hits = metrics.counter("edgeproxy_cache_tier_hits_total", "Answers found, by tier.", ("tier",))
        self._unread = metrics.gauge(
            "edgeproxy_cache_queue_bytes", "Bytes waiting to be written, by tier.", ("tier",), self._queued
        )
        self._gets = metrics.counter("edgeproxy_redis_gets_total", "Answers looked for in L3.", ("outcome",))
        self._puts = metrics.counter("edgeproxy_redis_puts_total", "Answers to be stored in L3.", ("outcome",))
        self._refused = ""  # what the log was told that Redis would not store

    def start(self) -> None:
        """Begin to write and to watch; within a running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.link.watch()), loop.create_task(self._write())]

    async def close(self) -> None:
        """Let go; what waits to be written is lost."""
        self._unread()
        await end(self._tasks)
        await self.link.close()

    # -- reading ------------------------------------------------------------------------------------------------------

    async def get(self, key: bytes, headers: Headers) -> Found:
        """The answer a request with these fields selects, if it may still be used; marked stale by soft purges."""
        if not self.link.breaker.closed:
            return NOTHING
        try:
            found = await self._find(key, headers)
        except UnavailableError:
            found = NOTHING
        except ValueError:  # what stands there was not written by this code
            found = NOTHING
        if found.entry is not None:
            self._hits.inc("l3")
        self._gets.inc("hit" if found.entry is not None else "miss" if found.ticket is not None else "error")
        return found

    async def _find(self, key: bytes, headers: Headers) -> Found:
        changing = cache_key.url_of(key) in self._changes

        async def first(client: Any) -> Any:
            pipe = client.pipeline(transaction=False)
            pipe.get(self._name(key))
            pipe.get(self._change_of(key))
            pipe.hmget(self._marks, marks.fields_of(key))
            return await pipe.execute()

        value, change, marked = await self.link.call(first)
        epoch, number, mark = marks.read(key, marked)
        ticket = Ticket(epoch, number, change or b"") if epoch else None
        if ticket is None or changing:
            return Found(None, ticket)
        variant = None
        if value is not None and value[:1] == _POINTER:
            names = tuple(value[1:].split(b"\n"))
            variant = vary.selector(names)(headers)
            place = self._name(key, variant)
            value = await self.link.call(lambda client: client.get(place))
        opened = None if value is None else self._open(value, ticket)
        if opened is None:
            return Found(None, ticket)
        entry, stored, began = opened
        if entry.key != key or vary.selector(entry.vary)(headers) != entry.variant:
            return Found(None, ticket)
        if entry.tags:
            tags = marks.fields_of_tags(entry.tags)
            mark = marks.latest(
                (mark, marks.read_tags(await self.link.call(lambda client: client.hmget(self._marks, tags))))
            )
        return Found(self._still(entry, stored, began, mark), ticket)

    def _still(self, entry: Entry, stored: int, began: float, mark: Mark) -> Entry | None:
        """What an entry is good for that was fetched at ``began`` and stored under a number: after the purges that are
        marked, and those that this worker has heard of and Redis perhaps not."""
        if stored < mark.hard or self._purges.purged(entry.key, entry.tags, began, softly=False):
            return None
        if stored < mark.soft or self._purges.purged(entry.key, entry.tags, began):
            entry.expire(self._clock.wall())
        return entry

    def _open(self, value: bytes, ticket: Ticket) -> tuple[Entry, int, float] | None:
        """The entry a value holds, the number it was stored under and when it was asked for; None if it is damaged, or
        of another time."""
        if len(value) < _HEAD.size:
            return None
        kind, epoch, change, number, compressed, size = _HEAD.unpack_from(value)
        if kind != _ANSWER or epoch.rstrip(b"\0") != ticket.epoch or change.rstrip(b"\0") != ticket.change:
            return None
        head = record.unpack(value[_HEAD.size : _HEAD.size + size])
        if head is None or head.length > self.settings.largest:
            return None
        body = value[_HEAD.size + size :]
        if compressed:
            try:
                if zstandard.frame_content_size(body) != head.length:
                    return None
                body = zstandard.ZstdDecompressor().decompress(body)
            except zstandard.ZstdError:
                return None
        if len(body) != head.length or _digests(body) != head.digests:
            return None
        return record.to_entry(head, body), number, head.began

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(self, entry: Entry, ticket: Ticket, began: float, *, again: bool = False) -> None:
        """Have a whole entry written, soon. ``ticket`` is what :meth:`get` gave before it was fetched, ``began`` the
        wall time at which that was. ``again``: long after that, so what is there may be newer, and then stays."""
        body = entry.body
        if body is None or len(body) > self.settings.largest or self._lifetime(entry) < 1:
            return
        if any(b" " in tag for tag in entry.tags):  # a group (RFC 9875): what a request does to it, Redis is not told
            return
        full = len(self._answers) >= QUEUE_ENTRIES or (self._answers and self._waiting + len(body) > QUEUE_BYTES)
        if full or not self.link.breaker.closed:
            self._puts.inc("dropped")
            return
        self._answers.append(Order(entry, ticket, began, len(body), again))
        self._waiting += len(body)
        self._wake.set()

    def change(self, key: bytes) -> None:
        """Let nothing that is stored for a key's URL be used any more: it was changed (RFC 9111 §4.4). Not used here
        from now on, elsewhere once Redis is told, however long that takes."""
        self._changes[cache_key.url_of(key)] = os.urandom(4).hex().encode()
        if len(self._changes) > QUEUE_CHANGES:
            del self._changes[next(iter(self._changes))]
        self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._changes:
                    await self._tell(*next(iter(self._changes.items())))
                while self._answers and not self._changes:
                    order = self._answers.popleft()
                    self._waiting -= order.size
                    await self._store(order)
            except UnavailableError:
                self._puts.inc("dropped", by=len(self._answers))
                self._answers.clear()
                self._waiting = 0
                await asyncio.sleep(1.0)  # changes are told again, until they are heard
            if self._changes or self._answers:
                self._wake.set()

    async def _tell(self, url: bytes, drawn: bytes) -> None:
        name, longest = self._change_of(url), int(self.settings.longest)
        await self.link.call(lambda client: client.set(name, drawn, ex=longest))
        if self._changes.get(url) == drawn:  # and not again meanwhile
            del self._changes[url]

    async def _store(self, order: Order) -> None:
        from redis.exceptions import ResponseError

        entry, ticket, began = order.entry, order.ticket, order.began
        name = self._name(entry.key, entry.variant if entry.vary else None)
        if order.again and await self._began(name) > began:
            self._puts.inc("outdated")
            return
        body, lifetime = entry.body or b"", int(self._lifetime(entry))
        if lifetime < 1:
            return
        try:
            head = record.pack(record.of_entry(entry, began, len(body), len(body), _digests(body)))
        except ValueError:
            self._puts.inc("dropped")
            return
        packed = await _compress(body, entry.fields.fields)
        compressed = packed is not None
        value = b"".join(
            (
                _HEAD.pack(_ANSWER, ticket.epoch, ticket.change, ticket.number, compressed, len(head)),
                head,
                body if packed is None else packed,
            )
        )

        async def store(client: Any) -> str:
            pipe = client.pipeline(transaction=False)
            if entry.vary:
                pipe.set(self._name(entry.key), _POINTER + b"\n".join(entry.vary), ex=int(self.settings.longest))
            pipe.set(name, value, ex=lifetime)
            try:
                await pipe.execute()
            except ResponseError as error:  # it is there, but full, or only for reading
                return str(error)
            return ""

        refused = await self.link.call(store)
        self._puts.inc("refused" if refused else "stored")
        if refused and not self._refused:
            logger.warning("redis does not store: %s; set its maxmemory-policy to one that evicts", refused)
        self._refused = refused

    async def _began(self, name: bytes) -> float:
        """When the answer that is stored there was asked for; 0 where there is none, or one with too large a head."""
        value = await self.link.call(lambda client: client.getrange(name, 0, BEGINNING - 1))
        if len(value) < _HEAD.size:
            return 0.0
        size = _HEAD.unpack_from(value)[-1]
        head = record.unpack(value[_HEAD.size : _HEAD.size + size])
        return 0.0 if head is None else head.began

    def _queued(self) -> list[tuple[tuple[str, ...], float]]:
        return [(("l3",), self._waiting)]

    def _lifetime(self, entry: Entry) -> float:
        """Seconds for which it may be of use: while it is fresh, and as long as stale it may be served."""
        terms = entry.terms
        if terms.validate:
            return 0.0
        stale = 0.0 if terms.strict else max(terms.while_revalidate, terms.if_error)
        return min(self.settings.longest, terms.lifetime + stale - entry.age(self._clock.wall()))

    def _name(self, key: bytes, variant: bytes | None = None) -> bytes:
        """Where the answer for a key is, or the one variant of it."""
        named = key if variant is None else b"%b\0%b" % (key, variant)
        return self.settings.prefix.encode() + b"answer:" + marks.digest(named)

    def _change_of(self, key: bytes) -> bytes:
        return self.settings.prefix.encode() + b"change:" + marks.digest(cache_key.url_of(key))

    def __repr__(self) -> str:
        return f"<RedisTier {self.link.breaker.state} {len(self._answers)} waiting>"


def _digests(body: bytes) -> tuple[bytes, ...]:
    """The body as one chunk, checked as a whole."""
    return (blake3(body).digest(),) if body else ()


async def _compress(body: bytes, headers: Headers) -> bytes | None:
    """The body compressed, if that makes it smaller by a tenth or more."""
    if len(body) < COMPRESSED_FROM or b"content-encoding" in headers:
        return None
    compress = zstandard.ZstdCompressor(level=LEVEL).compress
    packed = await asyncio.to_thread(compress, body) if len(body) >= COMPRESSED_ASIDE else compress(body)
    return packed if len(packed) < 0.9 * len(body) else None
