"""Unit tests of the decompression stage: which bodies are unpacked, which refused, which left alone."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest
import zstandard
from pydantic import ValidationError

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import UNKNOWN_LENGTH, Response
from edgeproxy.pipeline.chain import compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Services
from middleware.decompression import Decompression
from tests.support.stages import exchange, services, stage

TEXT = b'{"n": 1}\n' * 300


def post(coding: bytes | None, body: bytes = b"", **fields: bytes) -> Exchange:
    """A request whose body is here already."""
    told = {} if coding is None else {b"content-encoding": coding}
    told |= {name.replace("_", "-").encode(): value for name, value in fields.items()}
    x = exchange(b"/", {**told, b"content-length": b"%d" % len(body)}, method=b"POST")
    pipe = Pipe(len(body))
    pipe.feed(body)
    pipe.finish()
    x.request.body, x.request.length = pipe, len(body)
    return x


def passed(x: Exchange, settings: dict[str, Any] | None = None) -> Response | None:
    verdict = stage(Decompression, settings).fetch(x)
    assert verdict is None or isinstance(verdict, Response)
    return verdict


async def content(x: Exchange) -> bytes:
    body = x.request.body
    assert body is not None
    whole = b""
    while chunk := await body.read():
        whole += chunk
    return whole


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzip.compress(TEXT, mtime=0)),
        (b"X-GZip", gzip.compress(TEXT, mtime=0)),
        (b"deflate", zlib.compress(TEXT)),
        (b"BR", brotli.compress(TEXT)),
        (b"zstd", zstandard.compress(TEXT)),
        (b"identity, gzip", gzip.compress(TEXT, mtime=0)),
    ],
    ids=repr,
)
async def test_a_body_is_unpacked_and_its_fields_say_so(coding: bytes, packed: bytes) -> None:
    x = post(coding, packed, content_type=b"application/json", content_digest=b"sha-256=:x:", repr_digest=b"y")
    assert passed(x) is None
    assert x.request.headers == {b"content-type": b"application/json"}
    assert x.request.length == UNKNOWN_LENGTH
    assert x.request.body is not None
    assert x.request.body.length is None
    assert await content(x) == TEXT


@pytest.mark.parametrize(
    ("coding", "settings"),
    [
        (b"compress", {}),
        (b"gzipped", {}),
        (b"gzip, gzip", {}),
        (b"gzip, br, zstd", {"nested": 2}),
        (b"br", {"codings": ["gzip"]}),
        (b"exi", {"nested": 2}),
        (b"g\xff", {}),
    ],
    ids=repr,
)
def test_what_is_not_taken_is_refused_with_what_is(coding: bytes, settings: dict[str, Any]) -> None:
    x = post(coding, b"whatever it is")
    refused = passed(x, settings)
    assert refused is not None
    assert refused.status == 415
    assert refused.get(b"accept-encoding") == (b"gzip" if "codings" in settings else b"gzip, deflate, br, zstd")
    assert refused.get(b"cache-control") == b"no-store"
    assert refused.body == b"415 The body's content coding is not taken here.\n"
    assert x.request.headers[b"content-encoding"] == coding


async def test_two_codings_if_two_are_allowed() -> None:
    x = post(b"gzip, br", brotli.compress(gzip.compress(TEXT)))
    assert passed(x, {"nested": 2}) is None
    assert await content(x) == TEXT


@pytest.mark.parametrize(
    "x",
    [
        post(None, TEXT),
        post(b"identity", TEXT),
        post(b"gzip", b"a part", content_range=b"bytes 0-5/900"),
        post(b"gzip", gzip.compress(TEXT), cache_control=b"max-age=0, No-Transform"),
        exchange(headers={b"content-encoding": b"gzip"}),
        exchange(headers={b"content-encoding": b"no such"}),
    ],
    ids=lambda x: repr(x.request.headers),
)
def test_what_passes_as_it_is(x: Exchange) -> None:
    fields, body = dict(x.request.headers), x.request.body
    assert passed(x) is None
    assert x.request.headers == fields
    assert x.request.body is body


def test_observing_counts_the_codings_and_touches_nothing() -> None:
    lent = services()
    chain = compile_chain([stage(Decompression, {"mode": "observe"}, lent)])
    for coding in (b"gzip", b"compress"):
        x = post(coding, gzip.compress(TEXT))
        assert chain.fetch[0].hook(x) is None
        assert x.request.headers[b"content-encoding"] == coding
        assert isinstance(x.request.body, Pipe)
    assert series(lent, "edgeproxy_observed_total") == {("decompression",): 1}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, None),
        ({"max_size": 2000}, Kind.BODY_TOO_LARGE),
        ({"max_ratio": 2, "small": 100}, Kind.BODY_TOO_LARGE),
        ({"max_ratio": 2, "small": 3000}, None),
    ],
    ids=str,
)
async def test_limits_count_and_are_counted(settings: dict[str, Any], kind: Kind | None) -> None:
    lent = services()
    x = post(b"gzip", gzip.compress(TEXT))
    stage(Decompression, settings, lent).fetch(x)
    if kind is None:
        assert await content(x) == TEXT
        assert series(lent, "edgeproxy_refused_total") == {}
    else:
        with pytest.raises(EdgeError) as caught:
            await content(x)
        assert caught.value.kind is kind
        assert series(lent, "edgeproxy_refused_total") == {("decompression",): 1}
    assert series(lent, "edgeproxy_unpacked_total") == {("gzip",): 1}


async def test_the_window_of_zstandard_is_limited() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=25, write_content_size=False)
    frame = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = frame.compress(TEXT) + frame.flush()
    x = post(b"zstd", packed)
    assert passed(x) is None
    with pytest.raises(EdgeError) as caught:
        await content(x)
    assert caught.value.kind is Kind.BODY_TOO_LARGE
    x = post(b"zstd", packed)
    assert passed(x, {"max_window": "64MiB"}) is None
    assert await content(x) == TEXT


async def test_bodies_in_work_are_bounded_and_counted_and_freed() -> None:
    lent = services()
    decompression = stage(Decompression, {"bodies": 1}, lent)
    first, second = post(b"gzip", gzip.compress(TEXT)), post(b"gzip", gzip.compress(TEXT))
    assert decompression.fetch(first) is None
    assert series(lent, "edgeproxy_unpacking") == {(): 1}
    refused = decompression.fetch(second)
    assert refused is not None
    assert (refused.status, refused.get(b"retry-after")) == (503, b"1")
    assert refused.get(b"accept-encoding") is None
    decompression.log(second)
    decompression.log(exchange())
    assert series(lent, "edgeproxy_unpacking") == {(): 1}
    decompression.log(first)
    assert series(lent, "edgeproxy_unpacking") == {(): 0}
    with pytest.raises(EdgeError):
        await content(first)
    assert decompression.fetch(second) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"codings": []},
        {"codings": ["gzip", "gzip"]},
        {"codings": ["compress"]},
        {"nested": 0},
        {"nested": 3},
        {"max_size": 0},
        {"max_ratio": 1},
        {"max_window": "1GB"},
        {"bodies": 0},
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Decompression, settings)


def series(lent: Services, name: str) -> dict[tuple[str, ...], float]:
    family = next(family for family in lent.metrics.dump() if family["name"] == name)
    return {tuple(labels): values[0] for labels, values in family["series"]}
