"""Origins that stall: each wait has its end."""

from __future__ import annotations

import asyncio
import socket

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


async def test_an_origin_that_stalls_before_its_answer(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url, timeouts={"first_byte": 0.1}, retry={"tries": 1})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.RESPONSE_TIMEOUT, 504)
    await settle(lambda: origin.closed == 1)


async def test_an_origin_that_stalls_within_its_answer(serve, make_pool, exchange):
    async def script(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await wire.reader.read()

    pool = await make_pool((await serve(script)).url, timeouts={"between_bytes": 0.1})
    response = await pool.fetch(exchange())
    assert await response.body.read() == b"12345"
    with pytest.raises(EdgeError) as caught:
        await response.body.read()
    assert caught.value.kind is Kind.RESPONSE_TIMEOUT


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


async def test_a_stream_of_events_may_be_silent_for_longer_and_has_no_total(serve, make_pool, exchange):
    async def script(wire):
        await wire.request()
        for data in (EVENTS, b"data: 1\n\n", b"data: 2\n\n"):
            await wire.answer(data)
            await asyncio.sleep(0.3)

    pool = await make_pool((await serve(script)).url, timeouts={"between_bytes": 0.05, "total": 0.2})
    body = (await pool.fetch(exchange())).body
    assert [await body.read() for _ in range(3)] == [b"data: 1\n\n", b"data: 2\n\n", b""]


async def test_the_silence_of_a_stream_of_events_has_an_end_too(serve, make_pool, exchange):
    async def script(wire):
        await wire.request()
        await wire.answer(EVENTS + b"data: 1\n\n")
        await wire.reader.read()

    pool = await make_pool((await serve(script)).url, timeouts={"event_stream": 0.1})
    body = (await pool.fetch(exchange())).body
    assert await body.read() == b"data: 1\n\n"
    with pytest.raises(EdgeError) as caught:
        await body.read()
    assert caught.value.kind is Kind.RESPONSE_TIMEOUT


async def test_a_slow_answer_may_take_until_the_total(serve, make_pool, exchange, read):
    async def script(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            await wire.answer(b"x")
            await asyncio.sleep(0.01)

    pool = await make_pool((await serve(script)).url, timeouts={"between_bytes": 0.2, "total": 0.5})
    started = asyncio.get_running_loop().time()
    with pytest.raises(EdgeError) as caught:
        await read(await pool.fetch(exchange()))
    assert caught.value.kind is Kind.RESPONSE_TIMEOUT
    assert 0.4 < asyncio.get_running_loop().time() - started < 1.5


async def test_a_reader_that_pauses_is_not_the_origins_stall(serve, make_pool, exchange, read):
    size = 8_000_000

    async def script(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await wire.reader.read()

    pool = await make_pool((await serve(script)).url, timeouts={"between_bytes": 0.1})
    response = await pool.fetch(exchange())
    await asyncio.sleep(0.4)
    assert len(await read(response)) == size


async def test_the_answers_time_begins_with_the_requests_end(serve, make_pool, exchange):
    pool = await make_pool((await serve(echo)).url, timeouts={"first_byte": 0.1})
    pipe = Pipe(2)
    task = asyncio.create_task(pool.fetch(exchange(b"PUT", body=pipe)))
    await asyncio.sleep(0.3)
    pipe.feed(b"ab")
    pipe.finish()
    assert (await task).body == b"ok"


async def test_an_origin_that_does_not_take_the_request(serve, make_pool, exchange):
    async def script(wire):
        await wire.head()
        await asyncio.sleep(10)

    pool = await make_pool((await serve(script)).url, timeouts={"between_bytes": 0.1})
    pipe = Pipe(50_000_000)
    task = asyncio.create_task(pool.fetch(exchange(b"PUT", body=pipe)))
    for _ in range(200):
        pipe.feed(b"x" * 200_000)
        await asyncio.sleep(0)
    with pytest.raises(EdgeError) as caught:
        await task
    assert caught.value.kind is Kind.RESPONSE_TIMEOUT


async def test_a_connection_that_does_not_come_about(make_pool, exchange):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # fill the backlog: the next SYN gets no answer
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        pool = await make_pool(
            f"http://127.0.0.1:{full.getsockname()[1]}", timeouts={"connect": 0.1}, retry={"tries": 1}
        )
        with pytest.raises(EdgeError) as caught:
            await pool.fetch(exchange())
        for each in waiting:
            each.close()
    assert (caught.value.kind, caught.value.status) == (Kind.CONNECT_TIMEOUT, 504)
    assert pool.state()[0]["in_flight"] == 0
