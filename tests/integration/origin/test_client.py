"""What origins answer, well and badly, and what becomes of it."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import HIGH_WATER, Pipe

OK = b"HTTP/1.1 200 OK\r\n"


def says(*pieces: bytes, close: bool = True):
    """A script: read one request, answer these pieces, one segment each."""

    async def script(wire):
        await wire.request()
        for piece in pieces:
            await wire.answer(piece)
            await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
        if not close:
            await wire.reader.read()

    return script


async def test_a_small_answer_arrives_whole_and_the_connection_is_kept(serve, make_pool, exchange):
    origin = await serve(says(OK + b"Content-Length: 5\r\nX-One: a\r\nX-One: b \r\n\r\nhello", close=False))
    pool = await make_pool(origin.url)
    x = exchange()
    response = await pool.fetch(x)
    assert (response.status, response.body) == (200, b"hello")
    assert response.headers() == {b"content-length": b"5", b"x-one": b"a, b"}
    assert (x.tries, "http://" + x.endpoint) == (1, origin.url)
    assert pool.state()[0]["idle"] == 1
    assert pool.state()[0]["in_flight"] == 0


async def test_hop_by_hop_fields_of_an_answer_are_removed(serve, make_pool, exchange):
    head = OK + b"Connection: X-Private, close\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n"
    pool = await make_pool((await serve(says(head))).url)
    assert (await pool.fetch(exchange())).headers() == {b"content-length": b"0"}


async def test_set_cookie_lines_stay_apart(serve, make_pool, exchange):
    pool = await make_pool(
        (await serve(says(OK + b"Set-Cookie: a=1; Expires=Mon, 1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"))).url
    )
    response = await pool.fetch(exchange())
    assert response.wire() == b"set-cookie: a=1; Expires=Mon, 1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", OK + b"Content-Length: 1000\r\n\r\n"),
        (b"HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", OK + b"\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_ends_with_its_head_and_keeps_the_connection(
    serve, make_pool, exchange, method, head
):
    async def script(wire):
        while True:
            await wire.request()
            await wire.answer(head)

    origin = await serve(script)
    pool = await make_pool(origin.url)
    for _ in range(3):
        assert (await pool.fetch(exchange(method))).body == b""
    assert origin.connections == 1


async def test_chunks_and_trailers(serve, make_pool, exchange, read):
    head = OK + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    whole = head + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 5\r\nContent-Type: x\r\n\r\n"
    for pieces in ([whole], [whole[i : i + 1] for i in range(len(whole))]):
        pool = await make_pool((await serve(says(*pieces))).url)
        response = await pool.fetch(exchange())
        assert b"transfer-encoding" not in response.headers()
        assert await read(response) == b"abcde"
        assert response.body.trailers == {b"x-sum": b"5"}  # Content-Type may not come behind a body


async def test_a_close_delimited_body_ends_with_the_connection(serve, make_pool, exchange, read):
    for pieces in ([OK + b"\r\nall of it"], [OK + b"\r\n", b"all ", b"of it"], [b"HTTP/1.0 200 OK\r\n\r\nall of it"]):
        pool = await make_pool((await serve(says(*pieces))).url)
        assert await read(await pool.fetch(exchange())) == b"all of it"


async def test_interim_answers_are_skipped(serve, make_pool, exchange):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    pool = await make_pool((await serve(says(interim, OK + b"Content-Length: 2\r\n\r\nok"))).url)
    response = await pool.fetch(exchange())
    assert (response.status, response.body, response.get(b"link")) == (200, b"ok", None)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 000 None\r\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        OK + b"Content-Length: 3, 5\r\n\r\nabcde",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"X-A : b\r\n\r\n",
        OK + b"X-A: b\r\n folded\r\n\r\n",
        OK + b"X-A: b\0c\r\n\r\n",
        OK + b"X-A: b\rX-B: c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + OK + b"Content-Length: 0\r\n\r\n",
    ],
)
async def test_what_is_not_valid_http_is_refused(serve, make_pool, exchange, answer):
    origin = await serve(says(answer))
    pool = await make_pool(origin.url, retry={"tries": 1})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.source, caught.value.status) == (Kind.RESPONSE_INVALID, "origin", 502)
    assert pool.state()[0] | {"address": ""} == pool.state()[0] | {
        "address": "",
        "in_flight": 0,
        "idle": 0,
        "failures": 1,
    }


@pytest.mark.parametrize(
    "pieces",
    [
        [OK + b"X: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"],
        [OK + b"".join(b"X-%d: 1\r\n" % i for i in range(300)) + b"Content-Length: 0\r\n\r\n"],
        [OK + b"X: "] + [b"a" * 30_000] * 4,
        [OK + b"X-Y: 1\r\n" * 300],
    ],
)
async def test_too_large_a_head_is_refused(serve, make_pool, exchange, pieces):
    pool = await make_pool((await serve(says(*pieces, close=False))).url)
    x = exchange()
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(x)
    assert caught.value.kind is Kind.RESPONSE_TOO_LARGE
    assert x.tries == 1


async def test_trailers_without_end_are_refused(serve, make_pool, exchange, read):
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: "
    pool = await make_pool((await serve(says(head, *[b"a" * 30_000] * 4, close=False))).url)
    with pytest.raises(EdgeError) as caught:
        await read(await pool.fetch(exchange()))
    assert caught.value.kind is Kind.RESPONSE_TOO_LARGE


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("head", "part"),
    [(b"Content-Length: 10\r\n\r\n", b"12345"), (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n12345\r\n")],
)
async def test_a_body_that_breaks_off_never_looks_complete(serve, make_pool, exchange, head, part, reset):
    go_on = asyncio.Event()

    async def script(wire):
        await wire.request()
        await wire.answer(OK + head + part)
        await go_on.wait()
        if reset:
            wire.reset()

    pool = await make_pool((await serve(script)).url)
    response = await pool.fetch(exchange())
    assert await response.body.read() == b"12345"
    go_on.set()
    with pytest.raises(EdgeError) as caught:
        await response.body.read()
    assert caught.value.kind is Kind.RESPONSE_INCOMPLETE
    assert response.body.take() is None
    assert pool.state()[0]["failures"] == 1


async def test_a_head_that_breaks_off_is_incomplete(serve, make_pool, exchange):
    pool = await make_pool((await serve(says(OK + b"Content-Le"))).url, retry={"tries": 1})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert caught.value.kind is Kind.RESPONSE_INCOMPLETE


@pytest.mark.parametrize(
    "behind",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nX-Half: o",
        b"rubbish",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_bytes_behind_an_answer_never_reach_the_next_request(serve, make_pool, exchange, behind, method):
    async def script(wire):
        await wire.request()
        await wire.answer(OK + b"Content-Length: 4\r\n\r\n" + (b"good" if method == b"GET" else b"") + behind)
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url)
    for i in range(1, 4):
        response = await pool.fetch(exchange(method))
        assert response.body == (b"good" if method == b"GET" else b"")
        assert origin.connections == i


async def test_bytes_on_an_idle_connection_close_it(serve, make_pool, exchange, settle):
    speak = asyncio.Event()

    async def script(wire):
        await wire.request()
        await wire.answer(OK + b"Content-Length: 4\r\n\r\ngood")
        if origin.connections == 1:
            await speak.wait()
            await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url)
    assert (await pool.fetch(exchange())).body == b"good"
    speak.set()
    await settle(lambda: pool.state()[0]["idle"] == 0)
    assert (await pool.fetch(exchange())).body == b"good"
    assert origin.connections == 2


async def test_a_large_body_passes_in_bounded_memory(serve, make_pool, exchange):
    size = 64 * 1024 * 1024
    written = 0

    async def script(wire):
        nonlocal written
        await wire.request()
        await wire.answer(OK + b"Content-Length: %d\r\n\r\n" % size)
        block = b"x" * 65536
        while written < size:
            await wire.answer(block)
            written += len(block)
        await wire.reader.read()

    pool = await make_pool((await serve(script)).url)
    response = await pool.fetch(exchange())
    assert isinstance(response.body, Pipe)
    assert response.body.length == size
    await asyncio.sleep(0.2)  # nobody reads: the origin must come to a stop
    standing = written
    assert standing < 32 * 1024 * 1024  # what the kernel and the pipe hold
    assert response.body._size < HIGH_WATER + 1024 * 1024
    taken = 0
    while data := await response.body.read():
        taken += len(data)
        assert len(data) < HIGH_WATER + 1024 * 1024
    assert taken == size


async def test_an_abandoned_body_ends_the_connection(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(OK + b"Content-Length: 10\r\n\r\n12345")
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url)
    response = await pool.fetch(exchange())
    assert pool.state()[0]["in_flight"] == 1
    response.body.close()
    assert pool.state()[0] | {"in_flight": 0, "idle": 0, "failures": 0} == pool.state()[0]
    await settle(lambda: origin.closed == 1)


async def test_a_client_that_leaves_ends_the_connection(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url)
    task = asyncio.create_task(pool.fetch(exchange()))
    await settle(lambda: len(origin.requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle(lambda: origin.closed == 1)
    assert pool.state()[0] | {"in_flight": 0, "failures": 0} == pool.state()[0]
