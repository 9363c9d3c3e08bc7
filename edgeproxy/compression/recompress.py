"""The better copy of a compressed answer: unpacked again, and packed as well as its clients can read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgeproxy.http.codings import BR, GZIP, ZSTD, CodingError, compress, decompress
from edgeproxy.http.conditional import is_strong
from edgeproxy.http.headers import Headers
from edgeproxy.http.negotiate import IDENTITY
from edgeproxy.pipeline.improvement import Better, Improvement

_READ = frozenset((BR, ZSTD, GZIP, IDENTITY))


class Recompress(Improvement):
    """Into ``coding`` at ``level``, if the plain body has at most ``largest`` bytes. One does for any number of
    answers."""

    __slots__ = ("_coding", "_largest", "_level")

    def __init__(self, coding: bytes, level: int, largest: int) -> None:
        self._coding = coding
        self._level = level
        self._largest = largest

    async def prepare(self, body: bytes, headers: Headers) -> Callable[[], Better | None] | None:
        present = headers.get(b"content-encoding", IDENTITY)
        if present not in _READ or len(body) > self._largest:
            return None
        return partial(self._make, body, present, headers.get(b"etag"))

    def _make(self, body: bytes, present: bytes, etag: bytes | None) -> Better | None:
        try:
            plain = body if present == IDENTITY else decompress(body, present, self._largest)
        except CodingError:
            return None
        packed = compress(plain, self._coding, self._level)
        if len(packed) >= len(body):
            return None
        fields: Headers = {}
        if present != self._coding:
            fields[b"content-encoding"] = self._coding
        if etag is not None and is_strong(etag):  # the copy that is kept is the origin's own bytes
            fields[b"etag"] = b"W/" + etag
        return Better(packed, fields)

    def __repr__(self) -> str:
        return f"<Recompress {self._coding.decode()} {self._level}>"
