"""Upgraded connections: bytes both ways, each side held back by the other."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Tunnel

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WEBSOCKET = {b"connection": b"keep-alive, Upgrade", b"upgrade": b"websocket", b"sec-websocket-key": b"x"}
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"
)


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


async def test_a_tunnel_carries_bytes_both_ways(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(SWITCH + b"hello")
        while data := await wire.reader.read(65536):
            await wire.answer(data.upper())

    origin = await serve(script)
    pool = await make_pool(origin.url, timeouts={"between_bytes": 0.1, "total": 0.1, "first_byte": 0.1})
    response = await pool.fetch(exchange(headers=WEBSOCKET))
    assert response.status == 101
    assert response.headers() == {
        b"connection": b"Upgrade",
        b"upgrade": b"websocket",
        b"sec-websocket-accept": b"y",
    }
    assert origin.requests[0].get(b"connection") == b"upgrade"
    assert origin.requests[0].get(b"upgrade") == b"websocket"
    tunnel = response.body
    assert isinstance(tunnel, Tunnel)
    assert await tunnel.read() == b"hello"
    await asyncio.sleep(0.3)  # longer than every time-out: a tunnel may be silent
    tunnel.write(b"abc")
    await tunnel.drain()
    assert await tunnel.read() == b"ABC"
    assert pool.state()[0]["in_flight"] == 1
    tunnel.close()
    await settle(lambda: origin.closed == 1 and pool.state()[0]["in_flight"] == 0)
    assert pool.state()[0] | {"idle": 0, "failures": 0} == pool.state()[0]


async def test_a_tunnel_holds_back_both_sides(serve, make_pool, exchange, settle):
    sent = 0

    async def script(wire):
        nonlocal sent
        await wire.request()
        await wire.answer(SWITCH)
        while sent < 100_000_000:
            await wire.answer(b"x" * 65536)
            sent += 65536

    pool = await make_pool((await serve(script)).url)
    tunnel = (await pool.fetch(exchange(headers=WEBSOCKET))).body
    await asyncio.sleep(0.2)
    assert sent < 32_000_000
    written = 0

    async def flood():
        nonlocal written
        while True:
            tunnel.write(b"y" * 65536)
            await tunnel.drain()
            written += 65536

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flood(), 0.2)
    assert written < 32_000_000
    tunnel.close()
    await settle(lambda: pool.state()[0]["in_flight"] == 0)  # although the origin does not read what was written


@pytest.mark.parametrize("reset", [False, True])
async def test_a_tunnel_tells_when_the_origin_leaves(serve, make_pool, exchange, reset, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(SWITCH)
        await asyncio.sleep(0.02)
        if reset:
            wire.reset()

    pool = await make_pool((await serve(script)).url)
    tunnel = (await pool.fetch(exchange(headers=WEBSOCKET))).body
    if reset:
        with pytest.raises(EdgeError) as caught:
            await tunnel.read()
        assert caught.value.kind is Kind.CONNECTION_LOST
        with pytest.raises(EdgeError):
            await tunnel.drain()
    else:
        assert await tunnel.read() == b""
    tunnel.close()
    await settle(lambda: pool.state()[0]["in_flight"] == 0)


async def test_an_origin_that_does_not_upgrade_answers_as_usual(serve, make_pool, exchange):
    pool = await make_pool((await serve(echo)).url)
    assert (await pool.fetch(exchange(headers=WEBSOCKET))).body == b"ok"
    assert pool.state()[0]["idle"] == 1
