"""Request bodies that are not here yet, and answers that come before they are."""

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
