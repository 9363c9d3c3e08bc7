"""Compresses answers for clients that can read them so."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from edgeproxy.compression.choice import Choice, is_kept, label, weaken_validated
from edgeproxy.compression.dictionary_settings import DictionarySettings
from edgeproxy.compression.recompress import Recompress
from edgeproxy.compression.settings import Background, Levels
from edgeproxy.config.units import Size
from edgeproxy.config.values import Many, Off
from edgeproxy.http.codings import BR, GZIP, QUICKEST, ZSTD, Stream, compress, in_a_millisecond
from edgeproxy.http.media import media_pattern
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import PREFERENCE, accepted_encodings
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_LONGEST_AT_ONCE = 256 * 1024  # whole bodies that are not kept cannot leave the loop, and are sent as they are
_QUICKEST_FIRST = (ZSTD, BR, GZIP)


class Compression(Middleware):
    """Compress text with Brotli, Zstandard or gzip, whichever the client likes best of those it accepts.

    Among equals Zstandard goes first, since it costs an eighth of Brotli's time. What the cache keeps is compressed
    once, before it is kept, one copy for each set of codings clients accept; the copies asked for most are made anew in
    the background, as small as their clients can read them. What is not kept is compressed for each client, and what
    streams is flushed as it comes. What the origin has compressed, marked `no-transform`, cut to a range or given a
    digest passes as it is. Take pages out that show a secret beside words a stranger may put into the URL (BREACH).
    """

    name = "compression"
    default_on = True
    done_when_kept = True

    class Config(MiddlewareConfig):
        types: Annotated[tuple[Annotated[str, AfterValidator(media_pattern)], ...], Many] = (
            "text/*",
            "application/json",
            "application/*+json",
            "application/javascript",
            "application/x-javascript",
            "application/xml",
            "application/*+xml",
            "application/wasm",
            "image/svg+xml",
        )
        """Media types worth compressing. Fonts and photographs are compressed by nature. `text/event-stream` must be
        named in full: each stream of events takes a place of `streams` and its memory for as long as it is open."""

        min_size: Annotated[Size, Field(ge=0)] = 1024
        """Shorter bodies, if their length is known, are left alone."""

        levels: Levels = Levels()
        """How hard to work while a client waits: 0 to 11 for `br`, 1 to 19 for `zstd`, 1 to 9 for `gzip`."""

        background: Annotated[Background | None, Off] = Background()
        """How hard to work on the better copy of what is kept. `off` makes none; then the first one is Brotli's where
        the client accepts it."""

        streams: Annotated[int, Field(ge=0, le=10_000)] = 256
        """How many bodies may be compressed at a time as they stream, at up to 0.8 MiB of memory each."""

        queue: Annotated[int, Field(ge=1, le=1024)] = 32
        """How many whole bodies may wait for a thread. More are kept and sent as they are."""

        dictionaries: Annotated[DictionarySettings | None, Off] = None
        """Compress with an earlier version of the same file, for clients that have it (`dcz` of RFC 9842): a hundredth
        of the bytes where little has changed. `on` goes by what origins say, `match` says it for them."""

    config: Config
    request: Callable[[Exchange], None]
    fetch: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        levels = config.levels
        self._levels = {BR: levels.br, ZSTD: levels.zstd, GZIP: levels.gzip}
        self._inline = {coding: in_a_millisecond(coding, level) for coding, level in self._levels.items()}
        self._choice = Choice(config.types, config.min_size)
        self._first_kept = PREFERENCE if config.background is None else _QUICKEST_FIRST
        self._better = _better(config.background, self._levels)
        enforced = config.dictionaries if config.mode == "enforce" else None
        self._dictionaries = None if enforced is None else enforced.build(self._choice, services)
        if self._dictionaries is not None:
            self.request, self.fetch = self._dictionaries.request, self._dictionaries.fetch
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._queued = 0
        metrics = services.metrics
        self._count = metrics.counter("edgeproxy_compressed_total", "Bodies compressed.", ("coding",))
        self._declined = metrics.counter(
            "edgeproxy_compression_declined_total", "Bodies sent as they were because a bound was reached.", ("bound",)
        )
        metrics.gauge("edgeproxy_compressing", "Bodies in work, by the bound they count for.", ("bound",), self._load)

    async def store(self, x: Exchange, response: Response) -> None:
        if self._dictionaries is not None and await self._dictionaries.store(x, response):
            return
        coding = self._choice.coding(x, response, self._first_kept)
        if coding is None:
            return
        best = accepted_encodings(x.request.headers.get(b"accept-encoding"), PREFERENCE)[0]
        x.improvement = self._better.get((coding, best))
        body = response.body
        if type(body) is not bytes:
            self._encode(x, response, coding)
        elif len(body) <= self._inline[coding]:
            self._replace(response, coding, body, compress(body, coding, self._levels[coding]))
        elif self._queued < self.config.queue:
            self._queued += 1
            try:
                encoded = await asyncio.to_thread(compress, body, coding, self._levels[coding])
            finally:
                self._queued -= 1
            self._replace(response, coding, body, encoded)
        else:
            self._declined.inc("queue")

    def response(self, x: Exchange, response: Response) -> None:
        if is_kept(x.verdict):
            return  # `store` has seen it, and hits are to cost nothing
        if response.status == 304:
            weaken_validated(x, response)
            return
        coding = self._choice.coding(x, response, _QUICKEST_FIRST)
        if coding is not None and not (type(response.body) is bytes and len(response.body) > _LONGEST_AT_ONCE):
            self._encode(x, response, coding)
            if response.get(b"content-encoding") is not None:
                response.drop(b"accept-ranges")  # nobody keeps these bytes, so nobody can give a part of them

    def _encode(self, x: Exchange, response: Response, coding: bytes) -> None:
        """Compress here and now: a whole body for a millisecond at most, or the first of many chunks."""
        body, level = response.body, self._levels[coding]
        if x.request.method == b"HEAD":
            label(response, coding)
        elif type(body) is bytes:
            level = level if len(body) <= self._inline[coding] else QUICKEST[coding]
            self._replace(response, coding, body, compress(body, coding, level))
        elif len(self._streams) < self.config.streams:
            stream = Stream(coding, level)
            self._streams.add(stream)
            response.filter(stream.feed)
            label(response, coding)
            self._count.inc(coding.decode())
        else:
            self._declined.inc("streams")

    def _replace(self, response: Response, coding: bytes, body: bytes, encoded: bytes) -> None:
        if len(encoded) < len(body):
            response.body = encoded
            label(response, coding)
            self._count.inc(coding.decode())

    def _load(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [(("queue",), self._queued), (("streams",), len(self._streams))]


def _better(background: Background | None, levels: dict[bytes, int]) -> dict[tuple[bytes, bytes], Recompress]:
    """How a copy is made better, by the coding it has and the best one its clients read."""
    if background is None:
        return {}
    best = {BR: background.br, ZSTD: background.zstd, GZIP: background.gzip}
    return {
        (first, coding): Recompress(coding, level, background.largest)
        for coding, level in best.items()
        for first in best
        if first != coding or level > levels[coding]
    }
