"""Compresses answers for clients that can read them so."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgeproxy.config.units import Size
from edgeproxy.config.values import Many
from edgeproxy.http.codings import BR, GZIP, ZSTD, Stream, compress
from edgeproxy.http.conditional import entity_tags, is_strong
from edgeproxy.http.headers import tokens
from edgeproxy.http.media import media_matcher, media_pattern
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import IDENTITY, PREFERENCE, accepted_encodings, vary_on
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_INLINE = 64 * 1024  # what is kept and longer leaves the loop: Brotli takes about a millisecond for this much
_LONGEST_AT_ONCE = 256 * 1024  # whole bodies that are not kept cannot leave the loop, and are sent as they are
_KEPT = frozenset((b"stored", b"collapsed"))
_QUICKEST_FIRST = (ZSTD, BR, GZIP)
_BODILESS = frozenset((204, 205, 206, 304))
# Already coded, a part of something, or with a digest that holds for these bytes only.
_FIXED = (b"content-encoding", b"content-range", b"content-digest", b"repr-digest", b"digest", b"content-md5")


class Levels(BaseModel):
    """How hard each coding works, on its own scale."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    br: Annotated[int, Field(ge=0, le=11)] = 5
    """Brotli."""

    zstd: Annotated[int, Field(ge=1, le=19)] = 3
    """Zstandard. Levels above 19 need windows that browsers refuse (RFC 9659)."""

    gzip: Annotated[int, Field(ge=1, le=9)] = 6
    """gzip."""


class Compression(Middleware):
    """Compress text with Brotli, Zstandard or gzip, whichever the client likes best of those it accepts.

    What the cache keeps is compressed once, before it is kept, one copy for each set of codings clients accept. Only
    what is not kept is compressed for each client, as it streams, and then Zstandard goes first, since it costs an
    eighth of Brotli's time. What the origin has compressed, marked `no-transform`, cut to a range or given a digest
    passes as it is. Take pages out that show a secret beside words a stranger may put into the URL (BREACH).
    """

    name = "compression"
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
        """Media types worth compressing. Fonts and photographs are compressed by nature."""

        min_size: Annotated[Size, Field(ge=0)] = 1024
        """Shorter bodies, if their length is known, are left alone."""

        levels: Levels = Levels()
        """How hard to work: 0 to 11 for `br`, 1 to 19 for `zstd`, 1 to 9 for `gzip`."""

        streams: Annotated[int, Field(ge=0, le=10_000)] = 256
        """How many bodies may be compressed at a time as they stream, at up to 0.8 MiB of memory each."""

        queue: Annotated[int, Field(ge=1, le=1024)] = 32
        """How many whole bodies may wait for a thread. More are kept and sent as they are."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._levels = {BR: config.levels.br, ZSTD: config.levels.zstd, GZIP: config.levels.gzip}
        self._compressible: Memo[bytes, bool] = Memo(media_matcher(config.types), 512, longest=128)
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._queued = 0
        metrics = services.metrics
        self._count = metrics.counter("edgeproxy_compressed_total", "Bodies compressed.", ("coding",))
        self._declined = metrics.counter(
            "edgeproxy_compression_declined_total", "Bodies sent as they were because a bound was reached.", ("bound",)
        )
        metrics.gauge("edgeproxy_compressing", "Bodies in work, by the bound they count for.", ("bound",), self._load)

    async def store(self, x: Exchange, response: Response) -> None:
        coding = self._coding(x, response, PREFERENCE)
        if coding is None:
            return
        body = response.body
        if type(body) is not bytes or len(body) <= _INLINE:
            self._encode(x, response, coding)
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
        if _kept(x.verdict):
            return  # `store` has seen it, and hits are to cost nothing
        if response.status == 304:
            _weaken_validated(x, response)
            return
        coding = self._coding(x, response, _QUICKEST_FIRST)
        if coding is not None and not (type(response.body) is bytes and len(response.body) > _LONGEST_AT_ONCE):
            self._encode(x, response, coding)
            if response.get(b"content-encoding") is not None:
                response.drop(b"accept-ranges")  # nobody keeps these bytes, so nobody can give a part of them

    def _coding(self, x: Exchange, response: Response, preference: tuple[bytes, ...]) -> bytes | None:
        """The coding this answer is to have. Names Accept-Encoding in Vary if another client's might have another."""
        content_type = response.get(b"content-type")
        if (
            content_type is None
            or not self._compressible[content_type]
            or response.status < 200
            or response.status in _BODILESS
            or any(response.get(name) is not None for name in _FIXED)
            or b"no-transform" in tokens(response.get(b"cache-control"))  # RFC 9110 §7.7
        ):
            return None
        size = _size(x, response)
        if size is not None and size < self.config.min_size:
            return None
        vary_on(response, b"accept-encoding")
        coding = next(iter(accepted_encodings(x.request.headers.get(b"accept-encoding"), preference)), IDENTITY)
        return None if coding == IDENTITY else coding

    def _encode(self, x: Exchange, response: Response, coding: bytes) -> None:
        body = response.body
        if x.request.method == b"HEAD":
            _label(response, coding)
        elif type(body) is bytes:
            self._replace(response, coding, body, compress(body, coding, self._levels[coding]))
        elif len(self._streams) < self.config.streams:
            stream = Stream(coding, self._levels[coding])
            self._streams.add(stream)
            response.filter(stream.feed)
            _label(response, coding)
            self._count.inc(coding.decode())
        else:
            self._declined.inc("streams")

    def _replace(self, response: Response, coding: bytes, body: bytes, encoded: bytes) -> None:
        if len(encoded) < len(body):
            response.body = encoded
            _label(response, coding)
            self._count.inc(coding.decode())

    def _load(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [(("queue",), self._queued), (("streams",), len(self._streams))]


def _label(response: Response, coding: bytes) -> None:
    """The fields of a compressed answer: its bytes are others than the origin's, so its tag is a weak one."""
    response.set(b"content-encoding", coding)
    response.drop(b"content-length")
    if (etag := response.get(b"etag")) is not None and is_strong(etag):
        response.set(b"etag", b"W/" + etag)


def _weaken_validated(x: Exchange, response: Response) -> None:
    """A 304 bears the tag its 200 would have (RFC 9110 §15.4.5): the client was given the weak form here."""
    etag, wanted = response.get(b"etag"), x.request.headers.get(b"if-none-match")
    if etag is not None and wanted is not None and is_strong(etag) and b"W/" + etag in entity_tags(wanted):
        response.set(b"etag", b"W/" + etag)
        vary_on(response, b"accept-encoding")


def _size(x: Exchange, response: Response) -> int | None:
    """The body's length in bytes, for HEAD the one GET would have; None if nobody knows."""
    if x.request.method == b"HEAD":
        declared = response.get(b"content-length", b"")
        return int(declared) if declared and declared.isdigit() else None
    body = response.body
    return len(body) if isinstance(body, bytes) else body.length


def _kept(verdict: bytes) -> bool:
    """Whether the cache keeps this answer, or had it (Cache-Status parameters, RFC 9211 §2)."""
    return verdict.startswith(b"hit") or not _KEPT.isdisjoint(map(bytes.strip, verdict.split(b";")))
