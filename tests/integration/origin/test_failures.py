"""Origins that stall, refuse and die: time-outs, retries, ejections, health checks, failover."""

from __future__ import annotations

import asyncio
import socket

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.origin import members

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


async def test_a_kept_connection_that_died_is_replaced_once_outside_the_budget(serve, make_pool, exchange, metrics):
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
    assert metrics.counter("edgeproxy_origin_retries_total", "", ("pool",)).value("site") == 0
    assert pool.state()[0]["failures"] == 0
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange(b"POST"))
    assert caught.value.kind is Kind.CONNECTION_LOST


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


async def test_failing_endpoints_are_ejected_up_to_the_share_and_come_back(serve, make_pool, exchange, settle):
    broken = True

    async def script(wire):
        while True:
            await wire.request()
            await wire.answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if broken else OK)

    origins = [await serve(script) for _ in range(4)]
    pool = await make_pool(*(origin.url for origin in origins), outlier={"failures": 2, "eject_for": 0.2})
    for _ in range(40):
        await pool.fetch(exchange())
    assert sum(entry["ejected"] for entry in pool.state()) == 2
    asked = [len(origin.requests) for origin in origins]
    assert sorted(asked)[:2] == [2, 2]
    broken = False
    await settle(lambda: not any(entry["ejected"] for entry in pool.state()))
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
    pool = await make_pool(sick.url, fit.url, health=health)
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
    assert x.tries == 4


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


async def test_an_endpoint_has_a_bound_on_requests_in_hand(serve, make_pool, exchange, monkeypatch, settle):
    async def script(wire):
        await wire.request()
        await wire.reader.read()

    monkeypatch.setattr(members, "IN_FLIGHT_LIMIT", 2)
    first, second = await serve(script), await serve(script)
    pool = await make_pool(first.url, second.url)
    tasks = [asyncio.create_task(pool.fetch(exchange())) for _ in range(4)]
    await settle(lambda: len(first.requests) == len(second.requests) == 2)
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.OVERLOADED, 503)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [entry["in_flight"] for entry in pool.state()] == [0, 0]


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
    assert [numbers for _, numbers in gauges["edgeproxy_origin_up"]] == [[1.0], [1.0]]
    assert [numbers for _, numbers in gauges["edgeproxy_origin_idle_connections"]] == [[0], [1]]
    assert "127.0.0.1" in repr(pool)
