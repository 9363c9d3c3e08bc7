"""Compression: what is compressed, how it is labelled, and that nothing is compressed twice."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from pydantic import ValidationError

from edgeproxy.http.body import Pipe
from edgeproxy.http.message import FieldBlock, Response
from edgeproxy.pipeline.runner import finish
from middleware.compression import Compression
from tests.support.stages import exchange, services, stage

TEXT = b"<p>The quick brown fox jumps over the lazy dog.</p>\n" * 200
PAGE = b"".join(b"<li>%x %x</li>\n" % (number * number, number % 77 * 4321) for number in range(900))
BROWSER = b"gzip, deflate, br, zstd"
UNPACK: dict[bytes | None, Callable[[bytes], bytes]] = {
    b"br": brotli.decompress,
    b"gzip": gzip.decompress,
    b"zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    None: lambda data: data,
}


def html(body: bytes | Pipe = TEXT, status: int = 200, **fields: bytes) -> Response:
    headers = {b"content-type": b"text/html; charset=utf-8"}
    if isinstance(body, bytes):
        headers[b"content-length"] = b"%d" % len(body)
    headers |= {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Response(status, headers, body)


def answered(
    response: Response,
    accept: bytes | None = BROWSER,
    settings: dict[str, Any] | None = None,
    *,
    method: bytes = b"GET",
) -> Response:
    """The response phase of an answer no cache keeps."""
    x = exchange(headers={} if accept is None else {b"accept-encoding": accept}, method=method)
    stage(Compression, settings).response(x, response)
    return response


async def kept(response: Response, accept: bytes | None = BROWSER, settings: dict[str, Any] | None = None) -> Response:
    """The store phase."""
    x = exchange(headers={} if accept is None else {b"accept-encoding": accept})
    await stage(Compression, settings).store(x, response)
    return response


def unpacked(response: Response) -> bytes:
    assert type(response.body) is bytes
    return UNPACK[response.get(b"content-encoding")](response.body)


@pytest.mark.parametrize("accept", [b"br", b"zstd", b"gzip"])
async def test_both_phases_make_what_the_client_reads(accept: bytes) -> None:
    for response in (answered(html(), accept), await kept(html(), accept)):
        assert response.get(b"content-encoding") == accept
        assert response.get(b"content-length") is None
        assert len(response.body) < len(TEXT) / 5  # type: ignore[arg-type]
        assert unpacked(response) == TEXT


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (BROWSER, b"zstd"),
        (b"gzip, deflate, br", b"br"),
        (b"gzip, deflate", b"gzip"),
        (b"X-GZIP", b"gzip"),
        (b"br, zstd;q=0.9", b"br"),
        (b"gzip;q=1.0, br;q=0.9, zstd;q=0.8", b"gzip"),
        (b"*", b"zstd"),
        (b"*, zstd;q=0", b"br"),
        (b"zstd;q=0.0, *;q=0.5", b"br"),
        (b"identity;q=0, gzip;q=0.001", b"gzip"),
        (b"gzip;q=0.5, identity;q=0.4", b"gzip"),
        (b"aws-chunked, exi, gzip", b"gzip"),
        (b"gzip;level=9, br", b"br"),  # no such parameter: that member says nothing
        (b"br;q=2, gzip", b"gzip"),
    ],
)
async def test_the_quickest_of_those_the_client_likes_best(accept: bytes, coding: bytes) -> None:
    assert answered(html(), accept).get(b"content-encoding") == coding
    assert (await kept(html(), accept)).get(b"content-encoding") == coding


@pytest.mark.parametrize(
    "accept",
    [None, b"", b"identity", b"gzip;q=0", b"deflate", b"*;q=0", b"identity;q=0", b"identity, gzip;q=0.9", b"gzip;q=x"],
)
async def test_other_clients_get_the_original_and_vary_says_so(accept: bytes | None) -> None:
    """Those too that refuse it and name no coding that is made here."""
    for response in (answered(html(etag=b'"a"'), accept), await kept(html(etag=b'"a"'), accept)):
        assert response.body == TEXT
        assert response.headers() == html(etag=b'"a"', vary=b"accept-encoding").headers()


def test_vary_keeps_what_it_says_already() -> None:
    assert answered(html(vary=b"Cookie")).get(b"vary") == b"Cookie, accept-encoding"
    assert answered(html(vary=b"Accept-Encoding")).get(b"vary") == b"Accept-Encoding"


def test_a_strong_tag_becomes_weak_and_a_weak_one_stays() -> None:
    assert answered(html(etag=b'"a"')).get(b"etag") == b'W/"a"'
    assert answered(html(etag=b'W/"a"')).get(b"etag") == b'W/"a"'


def test_a_304_bears_the_weak_tag_the_client_was_given() -> None:
    def validated(wanted: bytes) -> bytes | None:
        x = exchange(headers={b"if-none-match": wanted, b"accept-encoding": BROWSER})
        response = Response(304, {b"etag": b'"a"'})
        stage(Compression).response(x, response)
        return response.get(b"etag")

    assert validated(b'W/"a"') == b'W/"a"'
    assert validated(b'"a"') == b'"a"'


async def test_ranges_are_offered_of_kept_copies_only() -> None:
    assert answered(html(accept_ranges=b"bytes")).get(b"accept-ranges") is None
    assert (await kept(html(accept_ranges=b"bytes"))).get(b"accept-ranges") == b"bytes"
    assert answered(html(accept_ranges=b"bytes"), None).get(b"accept-ranges") == b"bytes"


@pytest.mark.parametrize(
    "response",
    [
        html(content_encoding=b"gzip"),
        html(content_encoding=b"identity"),
        html(cache_control=b"public, No-Transform"),
        html(status=206, content_range=b"bytes 0-9/10"),
        html(content_digest=b"sha-256=:x:"),
        html(repr_digest=b"sha-256=:x:"),
        html(digest=b"sha-256=x"),
        html(content_md5=b"x"),
        html(trailer=b"Server-Timing, Repr-Digest"),
        html(status=205),
        html(status=204),
        html(status=304),
        html(status=101),
        html(content_type=b"image/jpeg"),
        html(content_type=b"font/woff2"),
        html(content_type=b"application/octet-stream"),
        html(content_type=b"application/jsonx"),
        html(content_type=b""),
        Response(200, {}, TEXT),
        html(TEXT[:1023]),
    ],
    ids=repr,
)
async def test_what_passes_as_it_is(response: Response) -> None:
    before, body = response.headers(), response.body
    assert answered(response).headers() == before
    assert (await kept(response)).headers() == before
    assert response.body is body


@pytest.mark.parametrize(
    "content_type",
    [
        b"text/css",
        b"TEXT/HTML;charset=x",
        b"application/json",
        b"application/ld+json",
        b"image/svg+xml",
        b"application/wasm",
    ],
)
def test_types_worth_compressing(content_type: bytes) -> None:
    assert answered(html(content_type=content_type)).get(b"content-encoding") == b"zstd"


def test_no_transform_is_a_directive_not_a_part_of_one() -> None:
    assert answered(html(cache_control=b'x="no-transform", no-transformers')).get(b"content-encoding") == b"zstd"
    assert answered(html(trailer=b"repr-digests")).get(b"content-encoding") == b"zstd"


def test_head_has_the_fields_get_would_have() -> None:
    get, head = answered(html(etag=b'"a"')), html(b"", etag=b'"a"', content_length=b"%d" % len(TEXT))
    assert answered(head, method=b"HEAD").headers() == get.headers()
    assert head.body == b""
    assert answered(html(b"", content_length=b"9"), method=b"HEAD").get(b"content-encoding") is None


async def test_what_grows_stays_as_it_is() -> None:
    noise = __import__("random").Random(1).randbytes(5000)
    for response in (answered(html(noise)), await kept(html(noise))):
        assert response.body == noise
        assert response.get(b"content-encoding") is None
        assert response.get(b"vary") == b"accept-encoding"


def test_streams_of_events_hold_no_place_unless_they_are_named() -> None:
    events = {"content_type": b"text/event-stream; charset=utf-8"}
    passed = answered(html(Pipe(), **events))
    assert (passed.filters, passed.get(b"content-encoding"), passed.get(b"vary")) == (None, None, None)
    assert answered(html(Pipe(), **events), settings={"types": ["text/*", "text/event-stream"]}).filters is not None


@pytest.mark.parametrize("accept", [b"br", b"zstd", b"gzip"])
@pytest.mark.parametrize("content_type", [b"text/html", b"text/event-stream"])
def test_a_stream_is_flushed_chunk_by_chunk(accept: bytes, content_type: bytes) -> None:
    response = answered(html(Pipe(), content_type=content_type), accept, {"types": [content_type.decode()]})
    assert response.filters is not None
    (feed,) = response.filters
    read = {
        b"br": brotli.Decompressor().process,
        b"zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
        b"gzip": __import__("zlib").decompressobj(31).decompress,
    }[accept]
    for event in (b"data: 1\n\n", b"data: 2\n\n", TEXT):
        assert read(feed(event)) == event
    read(feed(b""))


def test_a_short_stream_of_known_length_is_left_alone() -> None:
    assert answered(html(Pipe(length=100))).filters is None
    assert answered(html(Pipe(length=5000))).filters is not None


async def test_the_store_phase_streams_too() -> None:
    response = await kept(html(Pipe()))
    assert response.filters is not None
    assert UNPACK[b"zstd"](b"".join(feed(TEXT) + feed(b"") for feed in response.filters)) == TEXT


def test_streams_are_bounded_and_freed() -> None:
    compression = stage(Compression, {"streams": 1})
    x = exchange(headers={b"accept-encoding": BROWSER})
    first, second, third = html(Pipe()), html(Pipe()), html(Pipe())
    compression.response(x, first)
    compression.response(x, second)
    assert first.filters is not None
    assert second.filters is None
    assert second.get(b"content-encoding") is None
    first.filters = None  # the connection went away before the body's end
    compression.response(x, third)
    assert third.filters is not None


@pytest.mark.parametrize(
    "verdict", [b"hit", b"hit; ttl=3", b"fwd=uri-miss; fwd-status=200; stored", b"fwd=stale; collapsed"]
)
def test_kept_answers_are_not_looked_at_again(verdict: bytes) -> None:
    block = FieldBlock({b"content-type": b"text/html", b"vary": b"accept-encoding"})
    response = Response(200, body=TEXT, shared=block)
    x = exchange(headers={b"accept-encoding": BROWSER})
    x.verdict = verdict
    stage(Compression).response(x, response)
    assert response.body is TEXT
    assert response.wire() == block.wire


async def test_an_answer_in_both_phases_is_compressed_once() -> None:
    compression = stage(Compression)
    x = exchange(headers={b"accept-encoding": BROWSER})
    response = html()
    await compression.store(x, response)
    x.verdict = b"fwd=uri-miss"  # whatever the cache says of it
    once = response.body
    finish(x, response, (compression.response,))
    assert response.body is once
    assert unpacked(response) == TEXT


async def test_long_bodies_are_compressed_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    import middleware.compression as module

    real = module.compress
    monkeypatch.setattr(module, "compress", lambda *of: (threads.append(threading.get_ident()), real(*of))[1])
    await kept(html(TEXT * 10), b"zstd")  # a third of a millisecond
    response = await kept(html(TEXT * 10), b"br")
    assert threads[0] == threading.get_ident() != threads[1]
    assert unpacked(response) == TEXT * 10


async def test_the_queue_for_long_bodies_is_bounded_and_counted() -> None:
    lent = services()
    compression = stage(Compression, {"queue": 1}, lent)
    x = exchange(headers={b"accept-encoding": b"gzip, br"})
    first, second = html(TEXT * 10), html(TEXT * 10)
    await asyncio.gather(compression.store(x, first), compression.store(x, second))
    assert unpacked(first) == TEXT * 10
    assert first.get(b"content-encoding") == b"br"
    assert second.body == TEXT * 10
    assert second.get(b"vary") == b"accept-encoding"
    assert x.improvement is not None  # which makes up for it
    families = {family["name"]: family["series"] for family in lent.metrics.dump()}
    assert families["edgeproxy_compression_declined_total"] == [(["queue"], [1])]
    assert families["edgeproxy_compressed_total"] == [(["br"], [1])]
    assert families["edgeproxy_compressing"] == [(["queue"], [0]), (["streams"], [0])]


def test_a_very_long_passing_body_does_not_hold_up_the_loop() -> None:
    response = answered(html(TEXT * 50))
    assert response.get(b"content-encoding") is None


def test_a_long_passing_body_is_compressed_at_the_quickest_level(monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[int] = []
    import middleware.compression as module

    real = module.compress
    monkeypatch.setattr(module, "compress", lambda *of: (levels.append(of[2]), real(*of))[1])
    for body in (TEXT, TEXT * 10):
        assert unpacked(answered(html(body), b"br")) == body
    assert levels == [5, 1]


async def better(accept: bytes, settings: dict[str, Any] | None = None) -> tuple[bytes, bytes]:
    """The codings of the first copy and of the better one; b"" where there is none."""
    x, response = exchange(headers={b"accept-encoding": accept}), html(PAGE)
    await stage(Compression, settings).store(x, response)
    first = response.get(b"content-encoding", b"") or b""
    if x.improvement is None:
        return first, b""
    packed = response.body
    assert type(packed) is bytes
    work = await x.improvement.prepare(packed, response.headers())
    assert callable(work)
    made = work()
    assert made is not None
    coding = made.headers.get(b"content-encoding", first)
    assert UNPACK[coding](made.body) == PAGE
    assert len(made.body) < len(packed)
    return first, coding


@pytest.mark.parametrize(
    ("accept", "codings"),
    [
        (BROWSER, (b"zstd", b"br")),
        (b"gzip, deflate, br", (b"br", b"br")),
        (b"gzip, zstd", (b"zstd", b"zstd")),
        (b"gzip", (b"gzip", b"gzip")),
        (b"zstd, br;q=0.5", (b"zstd", b"zstd")),  # what it likes better goes first
        (b"identity", (b"", b"")),
    ],
)
async def test_the_better_copy_is_the_smallest_the_client_reads(accept: bytes, codings: tuple[bytes, bytes]) -> None:
    assert await better(accept) == codings


async def test_without_background_work_the_first_copy_is_the_last() -> None:
    assert await better(BROWSER, {"background": "off"}) == (b"br", b"")
    assert await better(b"gzip", {"background": False}) == (b"gzip", b"")


async def test_a_first_copy_at_the_level_of_the_better_one_stays() -> None:
    assert await better(b"br", {"levels": {"br": 11}}) == (b"br", b"")
    assert await better(BROWSER, {"levels": {"br": 11}}) == (b"zstd", b"br")


async def test_what_passes_as_it_is_has_no_better_copy() -> None:
    x = exchange(headers={b"accept-encoding": BROWSER})
    await stage(Compression).store(x, html(cache_control=b"no-transform"))
    assert x.improvement is None


async def test_what_streamed_in_can_be_made_better() -> None:
    x, response = exchange(headers={b"accept-encoding": BROWSER}), html(Pipe())
    await stage(Compression).store(x, response)
    assert response.filters is not None
    (feed,) = response.filters
    packed = feed(TEXT) + feed(TEXT) + feed(b"")
    assert x.improvement is not None
    work = await x.improvement.prepare(packed, response.headers())
    assert callable(work)
    made = work()
    assert made is not None
    assert brotli.decompress(made.body) == TEXT + TEXT


def test_levels_count() -> None:
    sizes = [len(answered(html(), b"gzip", {"levels": {"gzip": level}}).body) for level in (1, 9)]  # type: ignore[arg-type]
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize(
    "settings",
    [
        {"types": ["text"]},
        {"types": ["*/*"]},
        {"levels": {"zstd": 22}},
        {"levels": {"br": 12}},
        {"background": {"zstd": 20}},
        {"background": {"largest": "1GB"}},
        {"min_size": -1},
        {"queue": 0},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Compression, settings)
