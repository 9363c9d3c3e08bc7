"""Origins that refuse and die: retries, failover, what is counted."""

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


async def hang_up(wire):
    """Read a request, close without an answer."""
    await wire.request()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def nobody() -> str:
    """An endpoint where nobody listens."""
    return f"http://127.0.0.1:{unused_port()}"


async def test_a_refused_connection_is_tried_elsewhere_whatever_the_method(serve, make_pool, exchange, nobody):
    origin = await serve(echo)
    pool = await make_pool(nobody, origin.url)
    pipe = Pipe(3)
    x = exchange(b"POST", body=pipe)
    task = asyncio.create_task(pool.fetch(x))
    await asyncio.sleep(0.02)
    pipe.feed(b"abc")
    pipe.finish()
    assert (await task).body == b"ok"
    assert (x.tries, "http://" + x.endpoint) == (2, origin.url)
    assert origin.requests[0].body == b"abc"


async def test_an_idempotent_request_is_tried_elsewhere(serve, make_pool, exchange):
    bad, good = await serve(hang_up), await serve(echo)
    pool = await make_pool(bad.url, good.url)
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert (x.tries, len(bad.requests), len(good.requests)) == (2, 1, 1)


@pytest.mark.parametrize("balance", ["least_request", "round_robin"])
async def test_a_retry_goes_to_another_endpoint_whatever_the_weights(serve, make_pool, exchange, balance):
    bad, good = await serve(hang_up), await serve(echo)
    pool = await make_pool({"url": bad.url, "weight": 1000}, good.url, balance=balance, outlier={"failures": 1000})
    for _ in range(3):
        x = exchange()
        assert (await pool.fetch(x)).body == b"ok"
        assert x.tries <= 2


async def test_an_idempotent_request_with_its_body_at_hand_is_sent_whole_again(serve, make_pool, exchange):
    bad, good = await serve(hang_up), await serve(echo)
    pool = await make_pool(bad.url, good.url)
    pipe = Pipe()
    pipe.feed(b"abc")
    pipe.finish()
    await pool.fetch(exchange(b"PUT", body=pipe))
    assert (bad.requests[0].body, good.requests[0].body) == (b"abc", b"abc")


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"LOCK"])
async def test_a_request_that_is_not_idempotent_is_never_repeated_once_sent(serve, make_pool, exchange, method):
    bad, good = await serve(hang_up), await serve(echo)
    backup = await make_pool((await serve(echo)).url, name="backup")
    pool = await make_pool(bad.url, good.url)
    pool.fallback = backup
    x = exchange(method)
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(x)
    assert caught.value.kind is Kind.CONNECTION_LOST
    assert (x.tries, len(bad.requests), len(good.requests)) == (1, 1, 0)


async def test_a_request_whose_body_was_read_in_part_is_not_repeated(serve, make_pool, exchange):
    async def script(wire):
        await wire.head()
        await wire.reader.readexactly(3)

    bad, good = await serve(script), await serve(echo)
    pool = await make_pool(bad.url, good.url)
    pipe = Pipe(10)
    pipe.feed(b"abc")
    with pytest.raises(EdgeError):
        await pool.fetch(exchange(b"PUT", body=pipe))
    assert good.connections == 0


async def test_an_answer_that_began_is_not_asked_for_again(serve, make_pool, exchange, read):
    async def script(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        await asyncio.sleep(0.02)

    bad, good = await serve(script), await serve(echo)
    pool = await make_pool(bad.url, good.url)
    with pytest.raises(EdgeError):
        await read(await pool.fetch(exchange()))
    assert good.connections == 0


async def test_a_kept_connection_that_died_is_replaced_once_whatever_the_tries(serve, make_pool, exchange, metrics):
    async def script(wire):
        await wire.request()
        await wire.answer(OK)
        await wire.request()  # and closes

    origin = await serve(script)
    pool = await make_pool(origin.url, retry={"tries": 1})
    await pool.fetch(exchange())
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert (x.tries, origin.connections) == (2, 2)
    assert metrics.counter("edgeproxy_origin_retries_total", "", ("pool",)).value("site") == 1
    assert pool.state()[0]["failures"] == 0
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange(b"POST"))
    assert caught.value.kind is Kind.CONNECTION_LOST


async def test_connections_that_die_over_each_request_are_replaced_inside_the_budget_only(serve, make_pool, exchange):
    """An origin that breaks down over requests looks like one that closes what was kept: it is spared as well."""

    async def script(wire):
        await wire.request()
        await wire.answer(OK)
        await wire.request()  # and closes

    origin = await serve(script)
    pool = await make_pool(origin.url, retry={"tries": 1, "budget": "10%"})
    failed = 0
    for _ in range(100):
        try:
            await pool.fetch(exchange())
        except EdgeError:
            failed += 1
    assert 10 <= len(origin.requests) - 100 <= 13
    assert failed > 30


async def test_retries_stay_inside_the_budget(serve, make_pool, exchange, metrics):
    origins = [await serve(hang_up), await serve(hang_up)]
    pool = await make_pool(
        *(origin.url for origin in origins), retry={"tries": 3, "budget": "20%"}, outlier={"failures": 1000}
    )
    for _ in range(100):
        with pytest.raises(EdgeError):
            await pool.fetch(exchange())
    sent = sum(len(origin.requests) for origin in origins)
    assert 110 <= sent <= 124


async def test_failover_when_tries_are_exhausted(serve, make_pool, exchange, metrics, nobody):
    origin = await serve(echo)
    pool = await make_pool(nobody, retry={"tries": 1})
    pool.fallback = await make_pool(origin.url, name="backup")
    pool.fallback.fallback = pool  # a ring ends where it began
    x = exchange(b"POST")
    assert (await pool.fetch(x)).body == b"ok"
    assert (x.tries, "http://" + x.endpoint) == (2, origin.url)
    assert metrics.counter("edgeproxy_origin_failovers_total", "", ("pool",)).value("site") == 1
    assert [received.get(b"cdn-loop") for received in origin.requests] == [b"edgeproxy"]


async def test_failover_ends_when_every_pool_was_asked(make_pool, exchange, nobody):
    pool = await make_pool(nobody)
    pool.fallback = await make_pool(nobody, name="backup")
    pool.fallback.fallback = pool
    x = exchange()
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(x)
    assert caught.value.kind is Kind.CONNECT_REFUSED
    assert x.tries == 2


async def test_failover_at_once_when_no_endpoint_is_fit(serve, make_pool, exchange, settle, nobody):
    origin = await serve(echo)
    pool = await make_pool(nobody, health={"interval": 0.1, "fall": 1})
    pool.fallback = await make_pool(origin.url, name="backup")
    await settle(lambda: pool.panicking)
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert x.tries == 1


async def test_failover_when_names_do_not_resolve(serve, make_pool, exchange):
    pool = await make_pool("http://no-such-host.invalid")
    pool.fallback = await make_pool((await serve(echo)).url, name="backup")
    assert (await pool.fetch(exchange())).body == b"ok"


async def test_stopping_closes_idle_connections_and_lets_exchanges_end(serve, make_pool, exchange, read, settle):
    go_on = asyncio.Event()

    async def script(wire):
        while True:
            received = await wire.request()
            if received.line == b"GET /slow HTTP/1.1":
                await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
                await go_on.wait()
                await wire.answer(b"ow")
            else:
                await wire.answer(OK)

    origin = await serve(script)
    pool = await make_pool(origin.url)
    slow = await pool.fetch(exchange(target=b"/slow"))
    await pool.fetch(exchange())
    await pool.stop()
    await settle(lambda: origin.closed == 1)
    go_on.set()
    assert await read(slow) == b"slow"
    await settle(lambda: origin.closed == 2)


async def test_what_happened_is_counted(serve, make_pool, exchange, metrics, nobody):
    origin = await serve(echo)
    pool = await make_pool(nobody, origin.url)
    await pool.fetch(exchange())
    results = metrics.counter("edgeproxy_origin_requests_total", "", ("pool", "endpoint", "result"))
    assert results.value("site", nobody.removeprefix("http://"), "connect_refused") == 1
    assert results.value("site", origin.url.removeprefix("http://"), "2xx") == 1
    gauges = {family["name"]: family["series"] for family in metrics.dump() if family["type"] == "gauge"}
    assert [numbers for _, numbers in gauges["edgeproxy_origin_up"]] == [[0.0], [1.0]]
    assert [numbers for _, numbers in gauges["edgeproxy_origin_idle_connections"]] == [[0], [1]]
    assert "127.0.0.1" in repr(pool)


async def test_a_request_that_meets_a_stopped_pool_is_still_sent_and_its_connection_not_kept(
    serve, make_pool, exchange
):
    """As one does that began before a reload and is sent after it."""
    origin = await serve(echo)
    pool = await make_pool(origin.url)
    await pool.stop()
    assert (await pool.fetch(exchange())).body == b"ok"
    assert [endpoint.idle for endpoint in pool._members.endpoints] == [0]
