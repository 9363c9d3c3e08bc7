"""Bodies that stream through the real proxy: back-pressure both ways, tunnels, and either side leaving early."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web

from tests.support.client import NotHTTP, RawClient, ask
from tests.support.origin import RecordedRequest
from tests.support.ports import queued
from tests.support.processes import EdgeProcess
from tests.support.servers import Hang, answer, free_port, wait_until
from tests.support.site import Site, config, request

MB = 1024 * 1024
SIZE = 90 * MB
BLOCK = bytes(range(256)) * 256


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site
    deaf: Site
    """Answers on a request's head alone."""
    echo_port: int
    """Where the route /ws leads."""


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    echo_port = free_port()
    with Site() as origin, Site(read_body=False) as deaf:
        settings = config(origin.url, middleware={"bot_check": False})
        settings["pools"] |= {
            "echo": {"endpoints": [f"http://127.0.0.1:{echo_port}"], "outlier": False},
            "deaf": {"endpoints": [deaf.url]},
        }
        settings["routes"] += [
            {"name": "echo", "match": {"path": "/ws"}, "pool": "echo"},
            {"name": "deaf", "match": {"path": "/deaf"}, "pool": "deaf"},
        ]
        with EdgeProcess(settings) as edge:
            yield Wire(edge, origin, deaf, echo_port)


def _stream(size: int, sent: list[int]) -> Iterator[bytes]:
    """An answer of ``size`` bytes; ``sent`` counts those the proxy has taken."""
    yield b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n" % size
    for _ in range(size // len(BLOCK)):
        yield BLOCK
        sent[0] += len(BLOCK)


def _standstill(count: list[int]) -> None:
    """Wait until ``count`` has begun and stopped growing."""
    before = [-1]

    def unchanged() -> bool:
        same = before[0] == count[0] > 0
        before[0] = count[0]
        return same and not threading.Event().wait(0.2) and before[0] == count[0]

    wait_until(unchanged, "the stream stands still")


# Back-pressure.


def test_a_slow_reader_holds_the_origin_back_and_memory_stays_flat(wire: Wire) -> None:
    sent = [0]
    wire.origin.on(b"/large", lambda _: _stream(SIZE, sent))
    ask(wire.edge.address, request(b"/warm-up"))
    before = wire.edge.resident()
    with RawClient(wire.edge.address, receive_buffer=64 * 1024, timeout=20) as client:
        client.send(request(b"/large"))
        client.read_some()
        _standstill(sent)
        assert sent[0] - queued(wire.origin.port, wire.edge.port) < 4 * MB, "nobody held the origin back"
        assert wire.edge.resident() - before < 16 * MB
        received = len(client.received)
        while received < SIZE and not client.closed:
            received += len(client.read_some())
            client.received.clear()
        assert received >= SIZE
    assert wire.edge.resident() - before < 16 * MB


def test_a_slow_origin_holds_the_client_back_and_memory_stays_flat(wire: Wire) -> None:
    go = threading.Event()

    def wait(_: RecordedRequest) -> bytes:
        go.wait(20)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

    wire.deaf.on(b"/deaf/upload", wait)
    before = wire.edge.resident()
    sent = [0]
    with RawClient(wire.edge.address, timeout=20) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        client.send(request(b"/deaf/upload", b"Content-Length: %d" % SIZE, method=b"POST"))

        def upload() -> None:
            try:
                for _ in range(SIZE // len(BLOCK)):
                    client.socket.sendall(BLOCK)
                    sent[0] += len(BLOCK)
            except OSError:
                return

        thread = threading.Thread(target=upload)
        thread.start()
        _standstill(sent)
        assert sent[0] - queued(wire.deaf.port, wire.edge.port) < 4 * MB, "nobody held the client back"
        assert wire.edge.resident() - before < 16 * MB
        go.set()
        client.read_until(lambda received: b"\r\n\r\nok" in received)
        assert client.received.startswith(b"HTTP/1.1 200 ")
        with contextlib.suppress(OSError):  # the proxy may have closed already
            client.socket.shutdown(socket.SHUT_RDWR)
        thread.join(20)
    assert not thread.is_alive()


def test_ninety_megabytes_go_up_unchanged(wire: Wire) -> None:
    with RawClient(wire.edge.address, timeout=20) as client:
        client.send(request(b"/up", b"Transfer-Encoding: chunked", method=b"PUT"))
        block = BLOCK * 16
        for _ in range(SIZE // len(block)):
            client.send(b"%x\r\n" % len(block), block, b"\r\n")
        client.send(b"0\r\n\r\n")
        assert client.answers(1).statuses == [200]
    (seen,) = wire.origin.to(b"/up")
    assert len(seen.body) == SIZE
    assert seen.body == BLOCK * (SIZE // len(BLOCK))
    wire.origin.clear()


# Either side leaves.


def test_a_client_that_leaves_while_it_is_answered_frees_the_origin(wire: Wire) -> None:
    wire.origin.on(b"/endless", lambda _: _stream(1000 * MB, [0]))
    wire.origin.aborted.clear()
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/endless"))
        client.read_some()
    assert wire.origin.aborted.wait(5), "the origin goes on sending to nobody"


def test_a_client_that_leaves_before_the_answer_frees_the_origin(wire: Wire) -> None:
    go = threading.Event()

    def wait(_: RecordedRequest) -> bytes:
        go.wait(10)
        return answer(200, b"too late")

    wire.origin.on(b"/late", wait)
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/late", b"Content-Length: 0", method=b"POST"))
        wait_until(lambda: bool(wire.origin.to(b"/late")), "the request is at the origin")
        (seen,) = wire.origin.to(b"/late")
        assert not wire.origin.peer_left(seen.connection)
        client.reset()
        wait_until(lambda: wire.origin.peer_left(seen.connection), "the origin is let go")
    go.set()


def test_a_client_that_leaves_what_no_task_waits_for_frees_the_origin(wire: Wire) -> None:
    go = threading.Event()

    def wait_for_the_second(_: RecordedRequest) -> bytes:
        if len(wire.origin.to(b"/private")) > 1:
            go.wait(10)
        return answer(200, b"yours", b"Cache-Control: no-store")

    wire.origin.on(b"/private", wait_for_the_second)
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/private"))
        assert client.answers(1).final[0].body == b"yours"
        client.send(request(b"/private"))
        wait_until(lambda: len(wire.origin.to(b"/private")) == 2, "the request is at the origin")
        _, seen = wire.origin.to(b"/private")
        assert not wire.origin.peer_left(seen.connection)
        client.reset()
        wait_until(lambda: wire.origin.peer_left(seen.connection), "the origin is let go")
    go.set()
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/private"))
        assert client.answers(1).final[0].body == b"yours"


def test_an_upload_cut_off_is_no_request_to_the_origin(wire: Wire) -> None:
    wire.origin.aborted.clear()
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/cut", b"Content-Length: 1000", method=b"POST"), b"half")
        wait_until(lambda: bool(wire.origin.to(b"/cut")), "the head is at the origin")
    assert wire.origin.aborted.wait(5)
    assert not wire.origin.to(b"/cut")[0].complete


@pytest.mark.parametrize("end", list(Hang))
@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_an_answer_cut_off_is_seen_to_be_cut_off(wire: Wire, framing: bytes, end: Hang) -> None:
    head = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n" + framing + b"\r\n\r\n"
    first_half = b"5\r\nhalf \r\n" if b"chunked" in framing else b"half "
    arrived = threading.Event()

    def cut(_: RecordedRequest) -> Iterator[bytes | Hang]:
        yield head + first_half
        arrived.wait(5)
        yield end

    wire.origin.on(b"/half", cut)
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/half"))
        client.read_until(lambda received: b"half " in received)
        arrived.set()
        client.read_to_close()
        assert client.closed
        answers = client.answers(1)
        assert not answers.final, "taken for a whole answer"


def test_an_answer_before_the_upload_ended_arrives(wire: Wire) -> None:
    wire.deaf.on(b"/deaf/early", b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    with RawClient(wire.edge.address) as client:
        client.send(request(b"/deaf/early", b"Content-Length: %d" % (10 * MB), method=b"POST"), BLOCK)
        client.read_until(lambda received: received.endswith(b"\r\n\r\nno"))
        assert client.received.startswith(b"HTTP/1.1 403 ")
        client.read_to_close()
        assert client.closed, "the rest of the body would be read as a request"


# Tunnels.


@pytest.fixture
async def echo(wire: Wire) -> AsyncIterator[asyncio.Event]:
    """A WebSocket echo behind /ws; the event is set when its end of a socket has closed."""
    closed = asyncio.Event()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=32 * MB)
        await ws.prepare(request)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT and message.data == "bye":
                await ws.close(code=4001, message=b"as you wish")
            elif message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        closed.set()
        return ws

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", wire.echo_port).start()
    yield closed
    await runner.cleanup()


async def test_a_websocket_goes_both_ways_and_closes_with_its_code(wire: Wire, echo: asyncio.Event) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(wire.edge.url + "/ws", max_msg_size=32 * MB) as ws,
    ):
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"
        await ws.send_bytes(BLOCK * 160)
        assert await ws.receive_bytes() == BLOCK * 160
        await asyncio.gather(*(ws.send_str(str(number)) for number in range(50)))
        assert [await ws.receive_str() for _ in range(50)] == [str(number) for number in range(50)]
        await ws.send_str("bye")
        await ws.receive()
        assert ws.close_code == 4001
    await asyncio.wait_for(echo.wait(), 5)


async def test_a_client_that_drops_its_websocket_frees_the_origin(wire: Wire, echo: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as session:
        ws = await session.ws_connect(wire.edge.url + "/ws")
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"
        response = ws._response
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.abort()
        await asyncio.wait_for(echo.wait(), 5)


def test_a_refused_upgrade_leaves_a_connection_that_serves(wire: Wire) -> None:
    upgrade = request(b"/no-ws", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    with RawClient(wire.edge.address) as client:
        client.send(upgrade)
        assert client.answers(1).statuses == [200]
        client.send(request(b"/after"))
        assert client.answers(2).statuses == [200, 200]


def test_an_upgrade_nobody_asked_for_is_a_bad_answer(wire: Wire) -> None:
    wire.origin.on(b"/101", b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert ask(wire.edge.address, request(b"/101")).statuses == [502]


def test_bytes_behind_an_answer_are_never_the_next_one(wire: Wire) -> None:
    stray = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    wire.origin.on(b"/stray", b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\nreal" + stray)
    with RawClient(wire.edge.address) as client:
        for _ in range(5):
            client.received.clear()
            client.send(request(b"/stray") + request(b"/after"))
            try:
                bodies = [a.body for a in client.answers(2).final]
            except NotHTTP as error:
                pytest.fail(f"mixed up: {error}")
            assert bodies[1:] == [b"ok"]
            assert b"forged" not in bytes(client.received)
