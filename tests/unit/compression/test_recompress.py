"""The better copy: smaller, the same text, and a tag that promises no bytes."""

from __future__ import annotations

import random

import pytest

from edgeproxy.compression.recompress import Recompress
from edgeproxy.http.codings import BR, GZIP, ZSTD, Stream, compress, decompress
from edgeproxy.http.headers import Headers
from edgeproxy.pipeline.improvement import Better

WORDS = random.Random(3).choices(
    b"the edge keeps what it has made and gives it away smaller than before".split(), k=900
)
TEXT = b" ".join(WORDS)
LARGEST = 100_000


async def made(recompress: Recompress, body: bytes, **fields: bytes) -> Better | None:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    work = await recompress.prepare(body, headers)
    return None if work is None else work()


@pytest.mark.parametrize("target", [BR, ZSTD, GZIP])
@pytest.mark.parametrize("first", [BR, ZSTD, GZIP])
async def test_any_copy_becomes_a_smaller_one_in_any_coding(first: bytes, target: bytes) -> None:
    level = {BR: 11, ZSTD: 19, GZIP: 9}[target]
    stream = Stream(first, 1)
    streamed = b"".join(stream.feed(TEXT[start : start + 500]) for start in range(0, len(TEXT), 500)) + stream.feed(b"")
    for body in (compress(TEXT, first, 1), streamed):
        better = await made(Recompress(target, level, LARGEST), body, content_encoding=first, etag=b'W/"1"')
        if better is None:  # gzip cannot be smaller than any Brotli
            assert target == GZIP != first
            continue
        assert decompress(better.body, target, LARGEST) == TEXT
        assert len(better.body) < len(body)
        assert better.headers == ({} if first == target else {b"content-encoding": target})


async def test_a_copy_that_was_never_compressed_is_labelled_and_its_tag_weakened() -> None:
    better = await made(Recompress(BR, 11, LARGEST), TEXT, etag=b'"1"', content_type=b"text/plain")
    assert better is not None
    assert better.headers == {b"content-encoding": b"br", b"etag": b'W/"1"'}
    assert decompress(better.body, BR, LARGEST) == TEXT


async def test_what_would_not_shrink_stays() -> None:
    best = compress(TEXT, BR, 11)
    assert await made(Recompress(BR, 11, LARGEST), best, content_encoding=BR) is None
    assert await made(Recompress(GZIP, 9, LARGEST), best, content_encoding=BR) is None
    noise = random.Random(1).randbytes(3000)
    assert await made(Recompress(BR, 11, LARGEST), noise) is None


@pytest.mark.parametrize("coding", [BR, ZSTD, GZIP])
async def test_what_is_too_long_unpacked_stays(coding: bytes) -> None:
    bomb = compress(bytes(LARGEST + 1), coding, 1)
    assert await made(Recompress(BR, 11, LARGEST), bomb, content_encoding=coding) is None
    assert await made(Recompress(BR, 11, LARGEST + 1), bomb, content_encoding=coding) is not None
    assert await made(Recompress(BR, 11, LARGEST), bytes(LARGEST + 1)) is None


@pytest.mark.parametrize("coding", [b"dcz", b"deflate", b"br, gzip", b""])
async def test_what_another_coding_made_stays(coding: bytes) -> None:
    headers: Headers = {b"content-encoding": coding}
    assert await Recompress(BR, 11, LARGEST).prepare(compress(TEXT, BR, 1), headers) is None


async def test_what_is_damaged_stays() -> None:
    assert await made(Recompress(BR, 11, LARGEST), compress(TEXT, ZSTD, 3)[:-1], content_encoding=ZSTD) is None


def test_a_recompression_says_what_it_makes() -> None:
    assert repr(Recompress(BR, 11, LARGEST)) == "<Recompress br 11>"
