"""What origins are sent."""

from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


def body(*chunks: bytes, length: int | None = None, trailers=None) -> Pipe:
    pipe = Pipe(length)
    for chunk in chunks:
        pipe.feed(chunk)
    pipe.finish(trailers)
    return pipe


async def test_the_head_an_origin_gets(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    headers = {
        b"accept": b"*/*",
        b"connection": b"keep-alive, te",
        b"keep-alive": b"timeout=1",
        b"te": b"trailers",
        b"expect": b"100-continue",
        b"transfer-encoding": b"chunked",
        b"upgrade": b"h2c",
        b"via": b"1.0 before",
        b"x-forwarded-for": b"192.0.2.7",
    }
    await pool.fetch(exchange(b"GET", b"/a%20b?c=d", headers))
    received = origin.requests[0]
    assert received.line == b"GET /a%20b?c=d HTTP/1.1"
    assert received.fields == [
        (b"host", b"www.example.com"),
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"192.0.2.7"),
        (b"via", b"1.0 before, 1.1 edgeproxy"),
        (b"cdn-loop", b"edgeproxy"),
    ]


@pytest.mark.parametrize(
    ("setting", "expected"), [("preserve", b"www.example.com"), ("shop.example", b"shop.example"), ("endpoint", None)]
)
async def test_the_host_an_origin_gets(serve, make_pool, exchange, setting, expected):
    origin = await serve(echo)
    pool = await make_pool(origin.url, host=setting)
    await pool.fetch(exchange())
    assert origin.requests[0].get(b"host") == (expected or origin.url.removeprefix("http://").encode())


async def test_a_body_that_is_here_goes_with_its_length(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    await pool.fetch(exchange(b"POST", body=body(b"abc", b"de")))
    await pool.fetch(exchange(b"POST"))
    await pool.fetch(exchange(b"GET"))
    lengths = [received.get(b"content-length") for received in origin.requests]
    assert lengths == [b"5", b"0", None]
    assert origin.requests[0].body == b"abcde"


async def test_a_request_that_was_here_before_is_refused(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange(headers={b"cdn-loop": b'other; note="a, edgeproxy", EdgeProxy;v=1'}))
    assert (caught.value.kind, caught.value.source) == (Kind.LOOP, "edge")
    assert origin.connections == 0
    await pool.fetch(exchange(headers={b"cdn-loop": b'other; note="a, edgeproxy"'}))
    assert origin.requests[0].get(b"cdn-loop") == b'other; note="a, edgeproxy", edgeproxy'
