"""Endpoints that come and go: names, ejections, health checks, bounds."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


async def test_a_name_is_resolved(serve, make_pool, exchange):
    origin = await serve(echo)
    pool = await make_pool(origin.url.replace("127.0.0.1", "localhost"))
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert "http://" + x.endpoint == origin.url


async def test_a_name_that_does_not_resolve_is_a_dns_error(make_pool, exchange):
    pool = await make_pool("http://no-such-host.invalid")
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.DNS, 502)


async def test_failing_endpoints_are_ejected_up_to_the_share_and_come_back(serve, make_pool, exchange, settle):
    broken = True

    async def script(wire):
        while True:
            await wire.request()
            await wire.answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if broken else OK)

    origins = [await serve(script) for _ in range(4)]
    pool = await make_pool(*(origin.url for origin in origins), outlier={"failures": 2, "eject_for": 0.2}, slow_start=0)
    for _ in range(40):
        await pool.fetch(exchange())
    assert sum(entry["ejected"] for entry in pool.state()) == 2
    asked = [len(origin.requests) for origin in origins]
    assert sorted(asked)[:2] == [2, 2]
    broken = False
    await settle(lambda: not any(entry["ejected"] for entry in pool.state()))
    await pool.fetch(exchange())  # those that were out are on trial: one request each
    await pool.fetch(exchange())
    assert {entry["state"] for entry in pool.state()} == {"in"}
    asked = [len(origin.requests) for origin in origins]
    for _ in range(8):
        await pool.fetch(exchange())
    assert [len(origin.requests) - before for origin, before in zip(origins, asked, strict=True)] == [2, 2, 2, 2]


async def test_checks_take_an_endpoint_out_and_in_again(serve, make_pool, exchange, settle):
    well = False

    async def script(wire):
        while True:
            received = await wire.request()
            check = received.line == b"GET /health HTTP/1.1"
            await wire.answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if check and not well else OK)

    sick, fit = await serve(script), await serve(echo)
    health = {"path": "/health", "interval": 0.1, "timeout": 0.5, "rise": 2, "fall": 2, "host": "check.example"}
    pool = await make_pool(sick.url, fit.url, health=health, slow_start=0)
    await settle(lambda: not pool.state()[0]["healthy"])
    assert sick.requests[0].get(b"host") == b"check.example"
    for _ in range(4):
        x = exchange()
        await pool.fetch(x)
        assert "http://" + x.endpoint == fit.url
    assert pool.state()[0]["requests"] == 0  # checks are no requests
    well = True
    await settle(lambda: pool.state()[0]["healthy"])
    used = set()
    for _ in range(2):
        x = exchange()
        await pool.fetch(x)
        used.add("http://" + x.endpoint)
    assert used == {sick.url, fit.url}


async def test_when_no_endpoint_is_fit_all_are_used(serve, make_pool, exchange, settle):
    async def script(wire):
        while True:
            received = await wire.request()
            check = received.line == b"GET /health HTTP/1.1"
            await wire.answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if check else OK)

    origins = [await serve(script), await serve(script)]
    health = {"path": "/health", "interval": 0.1, "fall": 1}
    pool = await make_pool(*(origin.url for origin in origins), health=health)
    await settle(lambda: pool.panicking)
    used = set()
    for _ in range(4):
        x = exchange()
        assert (await pool.fetch(x)).body == b"ok"
        used.add("http://" + x.endpoint)
    assert used == {origin.url for origin in origins}


async def test_an_endpoint_has_a_bound_on_requests_in_hand(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.reader.read()

    first, second = await serve(script), await serve(script)
    pool = await make_pool(first.url, second.url, limits={"max_requests": 2, "queue": False})
    tasks = [asyncio.create_task(pool.fetch(exchange())) for _ in range(4)]
    await settle(lambda: len(first.requests) == len(second.requests) == 2)
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.OVERLOADED, 503)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [entry["in_flight"] for entry in pool.state()] == [0, 0]
