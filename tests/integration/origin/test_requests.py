"""What origins are sent: heads, bodies, and what happens when they answer before they have heard it all."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import HIGH_WATER, Pipe

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
        b"connection": b"keep-alive, X-Private",
        b"keep-alive": b"timeout=1",
        b"x-private": b"1",
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


async def test_connections_are_kept_and_reused_last_in_first_out(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url, keepalive={"connections": 2})
    await asyncio.gather(*(pool.fetch(exchange()) for _ in range(5)))
    opened = origin.connections
    assert opened == 5
    assert pool.state()[0]["idle"] == 2
    for _ in range(5):
        await pool.fetch(exchange())
    assert origin.connections == opened


async def test_an_idle_connection_is_closed_in_time(serve, make_pool, exchange, settle):
    origin = await serve(echo)
    pool = await make_pool(origin.url, keepalive={"idle": 0.1})
    await pool.fetch(exchange())
    await settle(lambda: origin.closed == 1)
    assert pool.state()[0]["idle"] == 0


async def test_a_body_that_is_here_goes_with_its_length(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    await pool.fetch(exchange(b"POST", body=body(b"abc", b"de")))
    await pool.fetch(exchange(b"POST"))
    await pool.fetch(exchange(b"GET"))
    lengths = [received.get(b"content-length") for received in origin.requests]
    assert lengths == [b"5", b"0", None]
    assert origin.requests[0].body == b"abcde"


@pytest.mark.parametrize("late", [False, True])
async def test_trailers_are_passed_on(serve, make_pool, exchange, late):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    pipe = Pipe()
    pipe.feed(b"abc")
    if not late:
        pipe.finish({b"x-sum": b"3"})
    task = asyncio.create_task(pool.fetch(exchange(b"POST", body=pipe)))
    if late:
        await asyncio.sleep(0.02)
        pipe.finish({b"x-sum": b"3"})
    await task
    received = origin.requests[0]
    assert (received.get(b"transfer-encoding"), received.get(b"content-length")) == (b"chunked", None)
    assert (received.body, received.trailers) == (b"abc", [(b"x-sum", b"3")])


@pytest.mark.parametrize("length", [None, 32 * 1024 * 1024])
async def test_a_large_body_is_sent_in_bounded_memory(serve, make_pool, exchange, length):
    listen = asyncio.Event()

    async def script(wire):
        await wire.head()
        await listen.wait()
        received = 0
        while received < size:
            received += len(await wire.reader.read(1 << 20))
        await wire.answer(OK)
        await wire.reader.read()

    size = 32 * 1024 * 1024
    pool = await make_pool((await serve(script)).url)
    free = asyncio.Event()
    free.set()
    pipe = Pipe(length, pause=free.clear, resume=free.set)
    task = asyncio.create_task(pool.fetch(exchange(b"PUT", body=pipe)))
    fed = 0

    async def client() -> None:
        nonlocal fed
        while fed < size:
            await free.wait()
            pipe.feed(b"x" * 65536)
            fed += 65536
        pipe.finish()

    feeding = asyncio.create_task(client())
    await asyncio.sleep(0.3)
    assert not free.is_set()  # the origin does not listen, so the client is held back
    assert fed < 20 * 1024 * 1024
    assert pipe._size <= HIGH_WATER + 65536
    listen.set()
    await feeding
    assert (await task).body == b"ok"


async def test_a_body_shorter_than_announced_ends_the_connection(serve, make_pool, exchange, settle):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    pipe = Pipe(10)
    task = asyncio.create_task(pool.fetch(exchange(b"PUT", body=pipe)))
    await asyncio.sleep(0.02)
    pipe.feed(b"1234")
    pipe.finish()
    with pytest.raises(EdgeError) as caught:
        await task
    assert (caught.value.kind, caught.value.source) == (Kind.BAD_REQUEST, "client")
    await settle(lambda: origin.closed == 1)
    assert pool.state()[0]["failures"] == 0


async def test_a_client_that_breaks_off_its_body_is_no_fault_of_the_origin(serve, make_pool, exchange, settle):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    pipe = Pipe()
    x = exchange(b"PUT", body=pipe)
    task = asyncio.create_task(pool.fetch(x))
    await asyncio.sleep(0.02)
    pipe.fail(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
    with pytest.raises(EdgeError) as caught:
        await task
    assert caught.value.kind is Kind.REQUEST_TIMEOUT
    await settle(lambda: origin.closed == 1)
    assert (x.tries, pool.state()[0]["failures"]) == (1, 0)


@pytest.mark.parametrize("status", [b"413 Content Too Large", b"200 OK"])
async def test_an_early_answer_is_delivered_and_the_connection_not_used_again(
    serve, make_pool, exchange, settle, status
):
    async def script(wire):
        await wire.head()
        await wire.answer(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\nearly")
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url)
    pipe = Pipe(1000)
    pipe.feed(b"some of it")
    response = await pool.fetch(exchange(b"POST", body=pipe))
    assert (response.status, response.body) == (int(status[:3]), b"early")
    await settle(lambda: origin.closed == 1)
    assert pool.state()[0]["idle"] == 0
    pipe.feed(b"more")
    pipe.finish()
    assert await pipe.read() == b"more"  # nobody took it


async def test_an_answer_may_stream_while_the_request_does(serve, make_pool, exchange, read):
    async def script(wire):
        await wire.head()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        for _ in range(3):
            await wire.answer(await wire.reader.readexactly(3))
        await wire.reader.read()

    pool = await make_pool((await serve(script)).url)
    pipe = Pipe(9)
    pipe.feed(b"abc")
    response = await pool.fetch(exchange(b"POST", body=pipe))
    assert await response.body.read() == b"abc"
    pipe.feed(b"def")
    assert await response.body.read() == b"def"
    pipe.feed(b"ghi")
    pipe.finish()
    assert await response.body.read() == b"ghi"
    assert await response.body.read() == b""


async def test_a_request_that_was_here_before_is_refused(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange(headers={b"cdn-loop": b'other; note="a, edgeproxy", EdgeProxy;v=1'}))
    assert (caught.value.kind, caught.value.source) == (Kind.LOOP, "edge")
    assert origin.connections == 0
    await pool.fetch(exchange(headers={b"cdn-loop": b'other; note="a, edgeproxy"'}))
    assert origin.requests[0].get(b"cdn-loop") == b'other; note="a, edgeproxy", edgeproxy'
