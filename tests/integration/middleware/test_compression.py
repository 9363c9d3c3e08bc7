"""Compressed answers on the wire: negotiated, labelled, cut, validated, streamed, and replaced by better ones.

Seen to fail: with the tag left strong; with ``Vary`` left out; with the stream's flush left out (the first event
does not arrive); with If-Range answered by date from a compressed copy; with the better copy's coding left unsaid.
"""

from __future__ import annotations

import random
import threading
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard

from edgeproxy.cache.improve import Settings as Improving
from tests.support.answers import Answer
from tests.support.client import RawClient
from tests.support.fetching import decoded
from tests.support.inprocess import InProcessEdge
from tests.support.origin import Hang, RecordedRequest, Script, answer
from tests.support.ports import queued, wait_until
from tests.support.site import Site, config, request

CLOSE = b"Connection: close"
CHROME = b"Accept-Encoding: gzip, deflate, br, zstd"
MODIFIED = b"Wed, 14 Jan 2026 08:00:00 GMT"
HTML = b"Content-Type: text/html; charset=utf-8", b'ETag: "v1"', b"Last-Modified: " + MODIFIED
KEPT, PASSING = b"Cache-Control: max-age=600", b"Cache-Control: no-store"
VOCABULARY = [b"%x" % (number * 7919 % 65_521) for number in range(2000)]
PAGE = b"<p>" + b" ".join(random.Random(5).choices(VOCABULARY[:300], k=4000)) + b"</p>"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/kept", answer(200, PAGE, KEPT, *HTML))
        site.on(b"/passing", answer(200, PAGE, PASSING, *HTML))
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[InProcessEdge]:
    stages = {"compression": {"levels": {"zstd": 1}, "background": {"br": 6}}, "rate_limit": False, "bot_check": False}
    with InProcessEdge(config(site.url, middleware=stages)) as edge:
        edge.run(edge.tiers.use_improver(Improving(share=1.0)))
        yield edge
        assert edge.faults == []


def get(edge: InProcessEdge, target: bytes, *fields: bytes, method: bytes = b"GET") -> Answer:
    with RawClient(edge.address) as client:
        client.send(request(target, *fields, CLOSE, method=method))
        (only,) = client.answers(1, (method,)).final
        return only


def plain(got: Answer) -> bytes:
    return decoded(got.body, (got.get(b"content-encoding") or b"identity").decode())


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip, deflate, br", b"br"),
        (b"gzip", b"gzip"),
        (b"br;q=0.2, gzip;q=0.8", b"gzip"),
        (b"gzip;q=0, br", b"br"),
        (b"*", b"zstd"),
        (b"zstd;q=0, *;q=0.1", b"br"),
        (b"identity;q=0, gzip", b"gzip"),
        (b"*;q=0, gzip", b"gzip"),
        (b"snappy, br;q=0.1", b"br"),
        (b"identity", None),
        (b"gzip;q=0", None),
        (b"snappy", None),
        (b"", None),
        (b"identity;q=0", None),
        (b"*;q=0", None),
        (b"identity;q=0, snappy", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("target", [b"/kept", b"/passing"])
def test_each_client_gets_a_coding_it_accepts(
    edge: InProcessEdge, target: bytes, accept: bytes | None, coding: bytes | None
) -> None:
    """Whoever refuses even the uncompressed answer, and all that is made here, gets the uncompressed one."""
    fields = () if accept is None else (b"Accept-Encoding: " + accept,)
    for _ in range(2):
        got = get(edge, target, *fields)
        assert (got.status, plain(got)) == (200, PAGE)
        assert got.get(b"content-encoding") == coding or (
            target == b"/kept" and coding and got.get(b"content-encoding")
        )
        assert got.get(b"vary") == b"accept-encoding"
        assert got.get(b"etag") == (b'"v1"' if coding is None else b'W/"v1"')
        assert got.get(b"content-length") == b"%d" % len(got.body)


def test_head_has_the_fields_of_get(edge: InProcessEdge) -> None:
    for target in (b"/kept", b"/passing"):
        whole, head = get(edge, target, CHROME), get(edge, target, CHROME, method=b"HEAD")
        for name in (b"content-encoding", b"vary", b"etag", b"content-type"):
            assert head.get(name) == whole.get(name)
        assert head.get(b"content-length") in {None, whole.get(b"content-length")}
        assert head.body == b""


def test_parts_of_a_kept_copy_are_parts_of_its_compressed_bytes(edge: InProcessEdge) -> None:
    whole = get(edge, b"/kept", b"Accept-Encoding: gzip")
    first = get(edge, b"/kept", b"Accept-Encoding: gzip", b"Range: bytes=0-99")
    rest = get(edge, b"/kept", b"Accept-Encoding: gzip", b"Range: bytes=100-")
    assert (first.status, rest.status) == (206, 206)
    assert first.get(b"content-range") == b"bytes 0-99/%d" % len(whole.body)
    assert first.get(b"content-encoding") == b"gzip"
    assert decoded(first.body + rest.body, "gzip") == PAGE


@pytest.mark.parametrize("condition", [b'W/"v1"', b'"v1"', MODIFIED])
def test_nothing_that_names_other_bytes_brings_a_part(edge: InProcessEdge, condition: bytes) -> None:
    """What a client has of a first copy is never completed with bytes of a better one."""
    get(edge, b"/kept", CHROME)
    assert get(edge, b"/kept", CHROME, b"Range: bytes=100-", b"If-Range: " + condition).status == 200


@pytest.mark.parametrize("target", [b"/kept", b"/passing"])
@pytest.mark.parametrize("tag", [b'W/"v1"', b'"v1"', b'"v0", W/"v1"', b"*"])
def test_the_tag_given_out_and_the_origins_own_both_validate(
    site: Site, edge: InProcessEdge, target: bytes, tag: bytes
) -> None:
    def conditional(asked: RecordedRequest) -> bytes:
        if asked.get(b"if-none-match") is None:
            return answer(200, PAGE, PASSING, *HTML)
        return b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: no-store\r\n\r\n'

    target = target if target == b"/kept" else site.on(b"/conditional", conditional)
    get(edge, target, CHROME)
    got = get(edge, target, CHROME, b"If-None-Match: " + tag)
    assert (got.status, got.body) == (304, b"")
    assert got.get(b"etag") in ({b'W/"v1"'} if target == b"/kept" or b"W/" in tag else {b'"v1"'})


@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Encoding: gzip",),
        (b"Content-Encoding: identity",),
        (b"Content-Digest: sha-256=:x:",),
        (b"Repr-Digest: sha-256=:x:",),
        (b"Cache-Control: no-transform",),
    ],
)
@pytest.mark.parametrize("kept", [KEPT, PASSING])
def test_what_must_not_be_changed_is_not(
    site: Site, edge: InProcessEdge, kept: bytes, fields: tuple[bytes, ...]
) -> None:
    target = site.on(b"/as-it-is/%x" % hash((kept, fields)), answer(200, PAGE, kept, *HTML, *fields))
    for _ in range(2):
        got = get(edge, target, CHROME)
        assert (got.body, got.get(b"etag"), got.get(b"vary")) == (PAGE, b'"v1"', None)
        name, _, value = fields[0].partition(b": ")
        assert value in (got.get(name.lower()) or b"")


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answers_without_a_body_are_left_alone(site: Site, edge: InProcessEdge, status: int) -> None:
    target = site.on(
        b"/%d" % status, b"HTTP/1.1 %d X\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, b"\r\n".join(HTML))
    )
    got = get(edge, target, CHROME, *([b'If-None-Match: "v1"'] if status == 304 else []))
    assert (got.status, got.get(b"content-encoding"), got.get(b"etag"), got.body) == (status, None, b'"v1"', b"")


def test_a_part_that_the_origin_made_passes_as_it_is(site: Site, edge: InProcessEdge) -> None:
    fields = b"Content-Range: bytes 0-1999/%d" % len(PAGE), PASSING, *HTML
    site.on(b"/part", answer(206, PAGE[:2000], *fields))
    got = get(edge, b"/part", CHROME, b"Range: bytes=0-1999")
    assert (got.status, got.body, got.get(b"content-encoding")) == (206, PAGE[:2000], None)


# Streams.


def reading(coding: bytes) -> Callable[[bytes], bytes]:
    """Unpacks a body as it comes."""
    if coding == b"br":
        return brotli.Decompressor().process  # type: ignore[no-any-return]
    return (
        zlib.decompressobj(31).decompress
        if coding == b"gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress
    )


def chunks(data: bytes) -> bytes:
    """What of a chunked body has arrived."""
    body, rest = b"", data.partition(b"\r\n\r\n")[2]
    while b"\r\n" in rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        body, rest = body + rest[:size], rest[size + 2 :]
    return body


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip"])
@pytest.mark.parametrize("kept", [KEPT, PASSING])
def test_a_line_arrives_before_the_next_one_is_sent(
    site: Site, edge: InProcessEdge, coding: bytes, kept: bytes
) -> None:
    seen = threading.Semaphore(0)

    def lines(_: RecordedRequest) -> Script:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%b\r\nTransfer-Encoding: chunked\r\n\r\n" % kept
        yield head
        for number in range(5):
            line = b"data: %d\n\n" % number
            yield b"%x\r\n%b\r\n" % (len(line), line)
            assert seen.acquire(timeout=5), "the line was held back"
        yield b"0\r\n\r\n"

    target = site.on(b"/lines/%b/%x" % (coding, hash(kept)), lines)
    with RawClient(edge.address) as client:
        client.send(request(target, b"Accept-Encoding: " + coding, CLOSE))
        for number in range(5):
            expected = b"".join(b"data: %d\n\n" % earlier for earlier in range(number + 1))
            client.read_until(lambda received, so_far=expected: reading(coding)(chunks(received)) == so_far)  # type: ignore[misc]
            assert reading(coding)(chunks(bytes(client.received))) == expected
            seen.release()
        (whole,) = client.answers(1).final
    assert whole.get(b"content-encoding") == coding
    assert plain(whole) == expected


@pytest.mark.parametrize("kept", [KEPT, PASSING])
def test_small_chunks_that_came_together_are_compressed_together(site: Site, edge: InProcessEdge, kept: bytes) -> None:
    """What an origin that writes line by line costs is bounded by what arrives at a time."""
    lines = [PAGE[start : start + 16] for start in range(0, len(PAGE), 16)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(line), line) for line in lines) + b"0\r\n\r\n"
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    site.on(b"/lines", head + body)
    got = get(edge, b"/lines", b"Accept-Encoding: zstd")
    assert plain(got) == PAGE
    assert len(got.body) < 1.5 * len(get(edge, b"/passing", b"Accept-Encoding: zstd").body)


def test_a_client_that_does_not_read_holds_the_origin_back(site: Site, edge: InProcessEdge) -> None:
    sent: list[int] = []
    noise = random.Random(9)

    def endless(_: RecordedRequest) -> Script:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        for _ in range(2500):
            sent.append(64 * 1024)
            yield noise.randbytes(64 * 1024)
        yield Hang.CLOSE

    site.on(b"/endless", endless)
    with RawClient(edge.address, receive_buffer=4096) as client:
        client.send(request(b"/endless", CHROME))
        client.read_until(lambda received: b"\r\n\r\n" in received)
        seen: list[int] = []

        def at_rest() -> bool:
            seen.append(len(sent))
            return seen[-30:].count(seen[-1]) == 30

        wait_until(at_rest, "the origin is held back")
        assert sum(sent) - queued(site.port, edge.port) < 4 * 1024 * 1024, "more than a bounded pipe is held"
    wait_until(site.aborted.is_set, "the origin's connection is closed")


# The better copy.


def replaced(edge: InProcessEdge, target: bytes, *fields: bytes) -> Answer:
    """The kept answer once the better copy has taken its place."""
    found: list[Answer] = []

    def better() -> bool:
        found.append(get(edge, target, *fields))
        return found[-1].get(b"content-encoding") == b"br"

    wait_until(better, "the better copy is there")
    return found[-1]


def test_the_better_copy_takes_the_place_of_the_first(site: Site, edge: InProcessEdge) -> None:
    target = site.on(b"/better", answer(200, PAGE, KEPT, *HTML))
    first = get(edge, target, CHROME)
    assert first.get(b"content-encoding") == b"zstd"
    got = replaced(edge, target, CHROME)
    assert plain(got) == PAGE
    assert len(got.body) < len(first.body)
    assert got.get(b"content-length") == b"%d" % len(got.body)
    assert got.get(b"vary") == first.get(b"vary")
    assert got.get(b"etag") == first.get(b"etag") == b'W/"v1"'
    assert get(edge, target, CHROME, b'If-None-Match: W/"v1"').status == 304
    assert get(edge, target, CHROME, b"Range: bytes=1-", b"If-Range: " + MODIFIED).status == 200
    part = get(edge, target, CHROME, b"Range: bytes=0-9")
    assert (part.status, part.body) == (206, got.body[:10])
    assert get(edge, target).body == PAGE
    assert get(edge, target, b"Accept-Encoding: gzip").get(b"content-encoding") == b"gzip"
    assert len(site.to(target)) == 3  # one for each set of codings


def test_a_client_that_reads_the_first_copy_reads_it_to_its_end(site: Site, edge: InProcessEdge) -> None:
    text = b" ".join(random.Random(6).choices(VOCABULARY, k=220_000))
    target = site.on(b"/long", answer(200, text, KEPT, b"Content-Type: text/plain"))
    with RawClient(edge.address, receive_buffer=4096) as slow:
        slow.send(request(target, CHROME))
        slow.read_until(lambda received: b"\r\n\r\n" in received)
        got = replaced(edge, target, CHROME)
        assert plain(got) == text
        (old,) = slow.answers(1, timeout=10).final
    assert old.get(b"content-encoding") == b"zstd"
    assert plain(old) == text
    assert len(got.body) < len(old.body)
