"""Spare connections, opened before they are needed."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from edgeproxy.origin import warm
from tests.support.certificates import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(warm, "EVERY", 0.02)
    monkeypatch.setattr(warm, "REST", 0.05)


async def test_spares_are_opened_at_the_start_and_after_use(serve, make_pool, exchange, settle):
    origin = await serve(echo)
    pool = await make_pool(origin.url, keepalive={"warm": 2})
    await settle(lambda: origin.connections == 2 and pool.state()[0]["idle"] == 2)
    await asyncio.gather(*(pool.fetch(exchange()) for _ in range(2)))
    assert origin.connections == 2  # nobody waited for one
    held = asyncio.create_task(hold(pool, exchange))
    await settle(lambda: origin.connections >= 3)
    await held


async def hold(pool, exchange):
    await asyncio.gather(*(pool.fetch(exchange()) for _ in range(3)))


async def test_a_spare_that_the_origin_closed_fails_no_request(serve, make_pool, exchange, settle):
    first = True

    async def script(wire):
        nonlocal first
        if first:
            first = False
            await wire.reader.readexactly(1)
            wire.reset()
        else:
            await echo(wire)

    origin = await serve(script)
    pool = await make_pool(origin.url, keepalive={"warm": 1}, retry={"tries": 1})
    await settle(lambda: pool.state()[0]["idle"] == 1)
    assert (await pool.fetch(exchange())).body == b"ok"


async def test_endpoints_that_fail_get_none(serve, make_pool, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    origin = await serve(script)
    health = {"path": "/health", "interval": 1, "fall": 1}
    pool = await make_pool(origin.url, keepalive={"warm": 1}, health=health)
    await settle(lambda: not pool.state()[0]["healthy"])
    pool._members.endpoints[0].retire()
    before = origin.connections
    await asyncio.sleep(0.1)
    assert origin.connections == before


async def test_many_endpoints_are_warmed_a_few_at_a_time_and_all_in_the_end(serve, make_pool, settle, monkeypatch):
    monkeypatch.setattr(warm, "AT_ONCE", 2)
    origins = [await serve(echo) for _ in range(7)]
    pool = await make_pool(*(origin.url for origin in origins), keepalive={"warm": 3})
    opened = [len(pool._members._warm._cold(0.0))]
    await settle(
        lambda: opened.append(len(pool._members._warm._cold(0.0))) or sum(o.connections for o in origins) == 21
    )
    assert max(opened) == 2
    assert [origin.connections for origin in origins] == [3] * 7


async def test_an_endpoint_that_cannot_be_reached_is_left_alone_for_longer_and_longer(make_pool, settle, tmp_path):
    pool = await make_pool(f"unix:{tmp_path}/none.sock", keepalive={"warm": 3})
    spares = pool._members._warm
    await settle(lambda: any(each.rests >= 0.2 for each in spares._spares.values()))
    assert spares._cold(asyncio.get_running_loop().time()) == []


async def test_an_origin_that_closes_spares_at_once_is_left_alone_for_longer_and_longer(serve, make_pool, settle):
    async def script(wire):
        """Close what was accepted."""

    origin = await serve(script)
    pool = await make_pool(origin.url, keepalive={"warm": 1})
    spares = pool._members._warm
    await settle(lambda: any(each.rests >= 0.4 for each in spares._spares.values()))
    assert origin.connections <= 6


async def test_spares_go_on_with_the_sessions_of_spares(serve, make_pool, settle, monkeypatch, tmp_path):
    monkeypatch.setattr(warm, "TICKET", 0.02)
    monkeypatch.setattr(warm, "SHORT", 0.0)
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    resumed = []

    async def script(wire):
        resumed.append(wire.writer.get_extra_info("ssl_object").session_reused)
        await asyncio.sleep(0.1)

    origin = await serve(script, tls=context)
    await make_pool(origin.url, keepalive={"warm": 1}, tls={"ca": str(authority.file)})
    await settle(lambda: len(resumed) == 3)
    assert resumed == [False, True, True]
