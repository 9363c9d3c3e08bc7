"""Answers compressed with an earlier answer as their dictionary (RFC 9842).

Dictionaries and what is compressed with them are answers that the cache keeps for everybody. A request that may have
such an answer asks for a facet of its resource, named by the dictionary: so one copy is kept for each dictionary of
ours, and none for whatever else clients put into the field.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Final

from edgeproxy.compression import dcz
from edgeproxy.compression.arrivals import ACCEPT, Arrivals
from edgeproxy.compression.audience import is_for, is_personal, is_public, is_readable, is_secure, origin_of
from edgeproxy.compression.choice import Choice, label
from edgeproxy.compression.offers import parse_digest
from edgeproxy.compression.shelf import Dictionary, Shelf
from edgeproxy.http.codings import ZSTD, compress
from edgeproxy.http.headers import members
from edgeproxy.http.message import Response
from edgeproxy.http.negotiate import IDENTITY, PREFERENCE, accepted_encodings, vary_on
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

if TYPE_CHECKING:
    from edgeproxy.pipeline.middleware import Services

_AVAILABLE: Final = b"available-dictionary"
_FACET: Final = b"dcz="
_SETTLED: Final = frozenset((ACCEPT, _AVAILABLE))

# A client that speaks dcz reads all that is made here, so that one copy for a dictionary does for all of them.
_CODINGS: Final = (dcz.DCZ, *PREFERENCE)
_ACCEPTED: Final = (*_CODINGS, IDENTITY)
_ACCEPTING: Final = b", ".join(_CODINGS)
_WITH_DICTIONARY: Final = frozenset((b"dcb", b"dcz"))

_PLAIN_LEVEL: Final = 3
_WORTH: Final = 0.75  # of the size without: Brotli saves as much, later, and for everybody
_AT_ONCE: Final = 16  # bodies in threads, and bodies that stream, each


class Dictionaries:
    """What a stage does about dictionaries in each of its phases. ``level`` is Zstandard's."""

    def __init__(self, shelf: Shelf, arrivals: Arrivals, choice: Choice, level: int, services: Services) -> None:
        self._shelf = shelf
        self._arrivals = arrivals
        self._choice = choice
        self._level = level
        self._wall = services.clock.wall
        self._digests: Memo[bytes, bytes] = Memo(parse_digest, 1024, longest=128)
        self._without: Memo[bytes, bytes] = Memo(_without, 512, longest=256)
        self._streams: weakref.WeakSet[dcz.Stream] = weakref.WeakSet()
        self._threads = 0
        metrics = services.metrics
        self._compressed = metrics.counter("edgeproxy_compressed_total", "Bodies compressed.", ("coding",))
        self._declined = metrics.counter(
            "edgeproxy_compression_declined_total", "Bodies sent as they were because a bound was reached.", ("bound",)
        )

    def request(self, x: Exchange) -> None:
        """Have a client's dictionary select what is kept, if it is one of ours and for this request. Nothing else, the
        origin neither, sees what the client said of it."""
        headers = x.request.headers
        named = headers.pop(_AVAILABLE, None)
        if named is None:
            return
        headers.pop(b"dictionary-id", None)
        accepted = headers.get(ACCEPT, b"")
        dictionary = self._usable(x, named, accepted)
        if accepted:
            headers[ACCEPT] = self._without[accepted]
        if dictionary is not None:
            x.facet = dictionary.facet
            x.settled = x.settled | _SETTLED

    def fetch(self, x: Exchange) -> None:
        """Ask the origin for the plain answer, where what it brings is kept for a dictionary."""
        if not x.verdict and x.facet.startswith(_FACET):  # with a verdict it is the client's own, which nobody keeps
            x.request.headers[ACCEPT] = IDENTITY

    async def store(self, x: Exchange, response: Response) -> bool:
        """Bring what is a dictionary to the shelf, and compress with one what was asked for so; False where that is
        left to other codings."""
        public = is_public(x, response)
        if public and response.status == 200:
            self._arrivals.take(x, response)
        if not x.facet.startswith(_FACET):
            return False
        x.request.headers[ACCEPT] = _ACCEPTING
        if self._choice.coding(x, response, (dcz.DCZ,)) is None:
            return False
        vary_on(response, _AVAILABLE)
        digest = bytes.fromhex(x.facet.removeprefix(_FACET).decode())
        dictionary = self._shelf.find(digest, origin_of(x.request), self._wall())
        if dictionary is None or not public or (dictionary.readable and not is_readable(response)):
            return False
        return await self._pack(response, dictionary)

    def _usable(self, x: Exchange, named: bytes, accepted: bytes) -> Dictionary | None:
        """The dictionary that a request may be answered with: what costs least is looked at first."""
        request = x.request
        headers = request.headers
        if x.facet or b"range" in headers or is_personal(x) or not is_secure(request):
            return None
        if accepted_encodings(accepted, _CODINGS) != _ACCEPTED:
            return None
        digest = self._digests[named]
        dictionary = self._shelf.find(digest, origin_of(request), self._wall()) if digest else None
        if dictionary is None or not is_for(headers, dictionary):
            return None
        return dictionary if dictionary.pattern.covers(request.target) else None

    async def _pack(self, response: Response, dictionary: Dictionary) -> bool:
        body = response.body
        whole = isinstance(body, bytes)
        length = len(body) if isinstance(body, bytes) else body.length
        if length is not None and length > dcz.LONGEST:
            return False
        if self._threads >= _AT_ONCE or (not whole and len(self._streams) >= _AT_ONCE):
            self._declined.inc("queue" if whole else "streams")
            return False
        self._threads += 1
        try:
            if isinstance(body, bytes):
                packed = await asyncio.to_thread(self._packed, body, dictionary)
                if packed is None:
                    return False
                response.body = packed
            else:
                stream = await asyncio.to_thread(self._stream, length, dictionary)
                if stream is None:
                    return False
                self._streams.add(stream)
                response.filter(stream.feed)
        finally:
            self._threads -= 1
        label(response, dcz.DCZ)
        self._compressed.inc("dcz")
        return True

    def _packed(self, body: bytes, dictionary: Dictionary) -> bytes | None:
        """A body compressed with a dictionary, if there is one and it helps."""
        content = self._shelf.read(dictionary)
        if content is None:
            return None
        packed = dcz.pack(body, content, dictionary.digest, self._level)
        return packed if len(packed) <= _WORTH * len(compress(body, ZSTD, _PLAIN_LEVEL)) else None

    def _stream(self, length: int | None, dictionary: Dictionary) -> dcz.Stream | None:
        content = self._shelf.read(dictionary)
        return None if content is None else dcz.Stream(content, dictionary.digest, self._level, length)


def _without(accepted: bytes) -> bytes:
    """Accept-Encoding without the codings that need a dictionary."""
    return b", ".join(
        [member for member in members(accepted) if member.partition(b";")[0].strip().lower() not in _WITH_DICTIONARY]
    )
