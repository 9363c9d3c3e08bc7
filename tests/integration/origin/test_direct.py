"""Requests whose answers are handed on by the read that brings them: sent at once, tried again, given up."""

from __future__ import annotations

import asyncio
import gc
import inspect

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.runner import serve as begin
from tests.support.stages import Client, route

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


async def ok(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


class Taken:
    """What a pool hands on: the answer, and how often it did."""

    def __init__(self):
        self.outcomes = []
        self.came = asyncio.Event()

    def __call__(self, outcome):
        self.outcomes.append(outcome)
        self.came.set()

    async def one(self):
        async with asyncio.timeout(5):
            await self.came.wait()
        (outcome,) = self.outcomes
        return outcome


async def test_it_goes_over_a_connection_that_is_there_and_a_new_one_is_waited_for(serve, make_pool, exchange):
    origin = await serve(ok)
    pool = await make_pool(origin.url)
    taken, x = Taken(), exchange()
    first = pool.begin(x, taken)
    assert inspect.isawaitable(first)
    assert (await first).body == b"ok"
    assert taken.outcomes == []
    x = exchange()
    pool.begin(x, taken)
    response = await taken.one()
    assert isinstance(response, Response)
    assert (response.body, x.endpoint, x.tries) == (b"ok", origin.url.removeprefix("http://"), 1)
    assert (len(origin.requests), origin.connections) == (2, 1)
    assert pool.state()[0] | {"in_flight": 0, "idle": 1, "requests": 2, "failures": 0} == pool.state()[0]


async def test_a_status_that_is_tried_again_is_tried_elsewhere_by_what_is_handed_on(serve, make_pool, exchange):
    async def busy_after_the_first(wire):
        await wire.request()
        await wire.answer(OK)
        while True:
            await wire.request()
            await wire.answer(BUSY)

    first, second = await serve(busy_after_the_first), await serve(ok)
    pool = await make_pool(first.url, second.url, retry={"tries": 2, "causes": [503]})
    for _ in range(2):
        await pool.fetch(exchange())
    taken, x = Taken(), exchange()
    pool.begin(x, taken)  # turns are taken: the first one's
    outcome = await taken.one()
    assert not isinstance(outcome, Response)
    response = await outcome
    assert (response.status, x.tries, len(first.requests), len(second.requests)) == (200, 2, 2, 2)
    assert [each["in_flight"] for each in pool.state()] == [0, 0]


async def test_a_connection_closed_as_the_request_went_out_costs_one_more_try(serve, make_pool, exchange):
    asked = 0

    async def closes_at_the_second(wire):
        nonlocal asked
        while True:
            await wire.request()
            asked += 1
            if asked == 2:
                return
            await wire.answer(OK)

    origin = await serve(closes_at_the_second)
    pool = await make_pool(origin.url)
    await pool.fetch(exchange())
    taken = Taken()
    pool.begin(exchange(), taken)
    response = await (await taken.one())
    assert (response.body, asked, origin.connections) == (b"ok", 3, 2)


async def test_an_answer_that_is_none_is_an_error_to_whoever_waits(serve, make_pool, exchange):
    async def script(wire):
        await wire.request()
        await wire.answer(OK)
        await wire.request()
        await wire.answer(b"SSH-2.0\r\n\r\n")

    origin = await serve(script)
    pool = await make_pool(origin.url, retry={"tries": 1})
    await pool.fetch(exchange())
    taken = Taken()
    pool.begin(exchange(), taken)
    outcome = await taken.one()
    with pytest.raises(EdgeError) as caught:
        await outcome
    assert caught.value.kind is Kind.RESPONSE_INVALID
    assert pool.state()[0] | {"in_flight": 0, "failures": 1} == pool.state()[0]


async def test_a_client_that_leaves_ends_the_connection_and_hears_nothing(serve, make_pool, exchange, settle):
    async def script(wire):
        await wire.request()
        await wire.answer(OK)
        await wire.request()
        await wire.reader.read()

    origin = await serve(script)
    pool = await make_pool(origin.url)
    await pool.fetch(exchange())
    taken = Taken()
    direct = pool.begin(exchange(), taken)
    await settle(lambda: len(origin.requests) == 2)
    assert pool.state()[0]["in_flight"] == 1
    direct.give_up()
    direct.give_up()
    await settle(lambda: origin.closed == 1)
    assert pool.state()[0] | {"in_flight": 0, "failures": 0} == pool.state()[0]
    assert taken.outcomes == []


async def test_what_waits_at_an_endpoint_that_fell_silent_is_made_elsewhere(serve, make_pool, exchange, settle):
    async def silent(wire):
        await wire.request()
        await wire.answer(OK)
        await wire.request()
        await wire.reader.read()

    first, second = await serve(silent), await serve(ok)
    pool = await make_pool(first.url, second.url)
    for _ in range(2):
        await pool.fetch(exchange())
    taken, x = Taken(), exchange()
    pool.begin(x, taken)
    await settle(lambda: len(first.requests) == 2)
    pool._sender.reroute(pool._members.endpoints[0])
    response = await (await taken.one())
    assert (response.body, x.tries) == (b"ok", 2)
    assert pool._members.endpoints[0].awaited == set()


async def test_what_was_answered_leaves_nothing_to_the_collector(serve, make_pool, exchange, settle):
    origin = await serve(ok)
    pool = await make_pool(origin.url)
    await pool.fetch(exchange())
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            x, client = exchange(), Client()
            x.route = route(origin=pool)
            assert begin(x, client, direct=True) is not None
            await settle(lambda client=client: client.response is not None)
            assert (client.body, client.task) == (b"ok", None)
        del x, client
        assert gc.collect() < 50
    finally:
        gc.enable()
    assert pool.state()[0]["requests"] == 51
