"""Content codings: whole bodies and streams come back as they were."""

from __future__ import annotations

import gzip
import weakref
from collections.abc import Callable

import brotli
import pytest
import zstandard

from edgeproxy.http.codings import BR, GZIP, ZSTD, Stream, compress

UNPACK: dict[bytes, Callable[[bytes], bytes]] = {
    BR: brotli.decompress,
    GZIP: gzip.decompress,
    ZSTD: lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
LEVELS = {BR: (0, 5, 11), ZSTD: (1, 3, 19), GZIP: (1, 6, 9)}
TEXT = b"".join(b"line %d of the text\n" % number for number in range(20_000))


@pytest.mark.parametrize(("coding", "level"), [(coding, level) for coding in LEVELS for level in LEVELS[coding]])
def test_every_coding_and_level_comes_back(coding: bytes, level: int) -> None:
    assert UNPACK[coding](compress(TEXT[:50_000], coding, level)) == TEXT[:50_000]
    stream = Stream(coding, level)
    chunks = [TEXT[start : start + 7000] for start in range(0, len(TEXT), 7000)]
    packed = b"".join([*map(stream.feed, chunks), stream.feed(b"")])
    assert UNPACK[coding](packed) == TEXT
    assert len(packed) < len(TEXT) / 3


@pytest.mark.parametrize("coding", LEVELS)
def test_an_empty_stream_is_an_empty_body(coding: bytes) -> None:
    assert UNPACK[coding](Stream(coding, 3).feed(b"")) == b""


def test_a_stream_nobody_holds_is_freed() -> None:
    stream = Stream(BR, 5)
    gone = weakref.ref(stream)
    feed = stream.feed
    del stream
    assert gone() is not None
    del feed
    assert gone() is None
