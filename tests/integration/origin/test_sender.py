"""Nobody is waited for longer than need be: connections that hang, answers that are late."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.origin import sender

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"


async def echo(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


async def hang_up(wire):
    await wire.request()


async def stall(wire):
    await wire.request()
    await wire.reader.read()


@pytest.fixture
def full():
    """A socket that lets connections hang, as its backlog is full: the kernel drops what comes. And what fills it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = []
        for _ in range(4):
            wire = socket.socket()
            wire.setblocking(False)
            wire.connect_ex(listener.getsockname())
            held.append(wire)
        yield listener, held
        for wire in held:
            wire.close()


@pytest.fixture
def hole(full):
    """An endpoint where connections hang."""
    return f"http://127.0.0.1:{full[0].getsockname()[1]}"


def counted(metrics, name, *labels):
    (family,) = [each for each in metrics.dump() if each["name"] == name]
    return sum(numbers[0] for told, numbers in family["series"] if told[: len(labels)] == list(labels))


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_while_a_connection_hangs_another_endpoint_is_connected_to(
    serve, make_pool, exchange, hole, metrics, method
):
    origin = await serve(echo)
    pool = await make_pool(hole, origin.url, timeouts={"connect": 30})
    x = exchange(method)
    began = time.monotonic()
    assert (await pool.fetch(x)).body == b"ok"
    assert sender.CONNECT_PATIENCE <= time.monotonic() - began < 1
    assert ("http://" + x.endpoint, len(origin.requests), x.tries) == (origin.url, 1, 2)
    assert counted(metrics, "edgeproxy_origin_detours_total", "site") == 1
    assert counted(metrics, "edgeproxy_origin_retries_total", "site") == 0


async def test_after_the_first_connect_time_out_nobody_waits_for_a_black_hole(serve, make_pool, exchange, hole, settle):
    origin = await serve(echo)
    pool = await make_pool(hole, origin.url, timeouts={"connect": 0.3})
    await pool.fetch(exchange())
    await settle(lambda: pool.state()[0]["state"] == "unreachable")
    assert pool.state()[0]["in_flight"] == 0
    began = time.monotonic()
    for _ in range(10):
        assert (await pool.fetch(exchange(b"POST"))).body == b"ok"
    assert time.monotonic() - began < sender.CONNECT_PATIENCE


async def test_a_connection_that_stands_too_late_is_kept(serve, make_pool, exchange, settle, full):
    listener, held = full
    fast = await serve(echo)
    pool = await make_pool(f"http://127.0.0.1:{listener.getsockname()[1]}", fast.url, timeouts={"connect": 5})
    x = exchange()
    await pool.fetch(x)
    assert "http://" + x.endpoint == fast.url
    held.append(listener.accept()[0])  # there is room for the SYN that is sent again after a second
    held.append(listener.accept()[0])
    await settle(lambda: [entry["idle"] for entry in pool.state()] == [1, 1])
    assert [(entry["in_flight"], entry["state"]) for entry in pool.state()] == [(0, "in"), (0, "in")]


async def test_a_client_that_leaves_while_connections_hang_leaves_nothing_behind(make_pool, exchange, hole, settle):
    pool = await make_pool(hole, hole.replace("127.0.0.1", "127.0.0.2"), timeouts={"connect": 30})
    task = asyncio.create_task(pool.fetch(exchange()))
    await asyncio.sleep(sender.CONNECT_PATIENCE + 0.1)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, EdgeError)):
        await task
    await settle(lambda: [entry["in_flight"] for entry in pool.state()] == [0, 0])


async def test_a_late_answer_is_asked_for_elsewhere_and_the_first_head_is_taken(
    serve, make_pool, exchange, metrics, settle
):
    late, good = await serve(stall), await serve(echo)
    pool = await make_pool(late.url, good.url, hedge={"after": 0.02})
    x = exchange()
    assert (await pool.fetch(x)).body == b"ok"
    assert ("http://" + x.endpoint, x.tries) == (good.url, 2)
    assert counted(metrics, "edgeproxy_origin_hedges_total", "site", "second") == 1
    await settle(lambda: late.closed == 1)  # the try that was given up
    assert [entry["in_flight"] for entry in pool.state()] == [0, 0]


async def test_the_first_try_is_taken_if_it_begins_first(serve, make_pool, exchange, metrics, settle):
    go_on = asyncio.Event()

    async def wait(wire):
        await wire.request()
        await go_on.wait()
        await wire.answer(OK)

    first, second = await serve(wait), await serve(stall)
    pool = await make_pool(first.url, second.url, hedge={"after": 0.02})
    x = exchange()
    task = asyncio.create_task(pool.fetch(x))
    await settle(lambda: len(second.requests) == 1)
    go_on.set()
    assert (await task).body == b"ok"
    assert "http://" + x.endpoint == first.url
    assert counted(metrics, "edgeproxy_origin_hedges_total", "site", "first") == 1
    await settle(lambda: second.closed == 1)


async def test_a_second_try_that_fails_leaves_the_first_its_time(serve, make_pool, exchange, settle):
    go_on = asyncio.Event()

    async def wait(wire):
        await wire.request()
        await go_on.wait()
        await wire.answer(OK)

    first, second = await serve(wait), await serve(hang_up)
    pool = await make_pool(first.url, second.url, hedge={"after": 0.02})
    task = asyncio.create_task(pool.fetch(exchange()))
    await settle(lambda: second.closed == 1)
    go_on.set()
    assert (await task).body == b"ok"


async def test_who_is_outrun_again_and_again_is_ejected(serve, make_pool, exchange):
    late, good = await serve(stall), await serve(echo)
    pool = await make_pool(late.url, good.url, hedge={"after": 0.02}, outlier={"failures": 3})
    for _ in range(8):
        await pool.fetch(exchange())
    assert pool.state()[0]["state"] == "ejected"
    assert len(late.requests) == 3


@pytest.mark.parametrize("kind", ["POST", "streaming", "websocket"])
async def test_what_may_not_be_sent_twice_has_no_try_beside_it(serve, make_pool, exchange, kind):
    async def slow(wire):
        await wire.request()
        await asyncio.sleep(0.1)
        await wire.answer(OK)

    first, second = await serve(slow), await serve(slow)
    pool = await make_pool(first.url, second.url, hedge={"after": 0.01})
    pipe = Pipe(3)
    x = {
        "POST": lambda: exchange(b"POST"),
        "streaming": lambda: exchange(b"PUT", body=pipe),
        "websocket": lambda: exchange(headers={b"connection": b"upgrade", b"upgrade": b"websocket"}),
    }[kind]()
    task = asyncio.create_task(pool.fetch(x))
    await asyncio.sleep(0.02)
    pipe.feed(b"abc")
    pipe.finish()
    await task
    assert (len(first.requests), len(second.requests)) == (1, 0)


async def test_hedges_and_retries_share_the_budget(serve, make_pool, exchange):
    async def slow(wire):
        while True:
            await wire.request()
            await asyncio.sleep(0.02)
            await wire.answer(OK)

    origins = [await serve(slow), await serve(slow)]
    pool = await make_pool(*(origin.url for origin in origins), hedge={"after": 0.005}, retry={"budget": "10%"})
    for _ in range(5):
        await asyncio.gather(*(pool.fetch(exchange()) for _ in range(10)))
    sent = sum(len(origin.requests) for origin in origins)
    assert 53 <= sent <= 50 + 5 + 3


async def test_the_late_ones_are_known_by_what_such_requests_take(serve, make_pool, exchange, metrics):
    slow = False

    async def script(wire):
        while True:
            await wire.request()
            if slow:
                await wire.reader.read()
            await wire.answer(OK)

    first, second = await serve(script), await serve(echo)
    pool = await make_pool(first.url, second.url, hedge=True)
    for _ in range(60):
        await pool.fetch(exchange())
    before = counted(metrics, "edgeproxy_origin_hedges_total", "site", "second")
    slow = True
    for _ in range(2):
        assert (await pool.fetch(exchange())).body == b"ok"
    assert counted(metrics, "edgeproxy_origin_hedges_total", "site", "second") > before


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_status_that_says_as_little_as_an_error_is_tried_elsewhere(serve, make_pool, exchange, metrics, status):
    async def refuse(wire):
        while True:
            await wire.request()
            await wire.answer(BUSY.replace(b"503", b"%d" % status))

    bad, good = await serve(refuse), await serve(echo)
    pool = await make_pool(bad.url, good.url)
    x = exchange()
    assert (await pool.fetch(x)).status == 200
    assert (x.tries, "http://" + x.endpoint) == (2, good.url)
    assert counted(metrics, "edgeproxy_origin_retries_total", "site") == 1
    assert (await pool.fetch(exchange(b"POST"))).status == status  # it may have been done


async def test_a_status_stays_the_answer_if_nobody_else_can_give_one(serve, make_pool, exchange):
    async def refuse(wire):
        while True:
            await wire.request()
            await wire.answer(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy")

    origin = await serve(refuse)
    pool = await make_pool(origin.url, retry={"tries": 5})
    response = await pool.fetch(exchange())
    assert (response.status, response.body, len(origin.requests)) == (503, b"busy", 1)


async def test_only_what_is_configured_is_tried_again(serve, make_pool, exchange):
    async def refuse(wire):
        while True:
            await wire.request()
            await wire.answer(BUSY)

    bad, lost, good = await serve(refuse), await serve(hang_up), await serve(echo)
    pool = await make_pool(bad.url, good.url, retry={"causes": "lost"})
    assert (await pool.fetch(exchange())).status == 503
    pool = await make_pool(lost.url, good.url, retry={"causes": [503]}, name="other")
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert caught.value.kind is Kind.CONNECTION_LOST


async def test_when_no_endpoint_gives_an_answer_the_fallback_is_asked_for_one(serve, make_pool, exchange):
    async def refuse(wire):
        while True:
            await wire.request()
            await wire.answer(BUSY)

    pool = await make_pool((await serve(refuse)).url)
    pool.fallback = await make_pool((await serve(echo)).url, name="backup")
    assert (await pool.fetch(exchange())).status == 200
    assert (await pool.fetch(exchange(b"POST"))).status == 503


async def test_a_try_has_its_own_time_and_the_last_one_all_of_it(serve, make_pool, exchange):
    async def slow(wire):
        await wire.request()
        await asyncio.sleep(0.2)
        await wire.answer(OK)

    stalled, good = await serve(stall), await serve(slow)
    pool = await make_pool(stalled.url, good.url, retry={"try_timeout": 0.05})
    x = exchange()
    began = time.monotonic()
    assert (await pool.fetch(x)).body == b"ok"
    assert (x.tries, 0.2 < time.monotonic() - began < 1) == (2, True)


async def test_what_waits_for_an_endpoint_that_falls_silent_goes_elsewhere(serve, make_pool, exchange, settle):
    """Within its checks, not when its answers' time is over; what may not be made again waits on."""
    silent = False

    async def script(wire):
        while True:
            await wire.request()
            if silent:
                await wire.reader.read()
            await wire.answer(OK)

    first, second = await serve(script), await serve(echo)
    health = {"interval": 0.1, "timeout": 0.1, "fall": 3}
    pool = await make_pool(first.url, second.url, health=health)
    await settle(lambda: len(first.requests) > 0)
    silent = True
    tasks = [asyncio.create_task(pool.fetch(exchange())) for _ in range(2)]
    post = asyncio.create_task(pool.fetch(exchange(b"POST")))
    async with asyncio.timeout(2):
        for response in await asyncio.gather(*tasks):
            assert response.body == b"ok"
    assert not pool.state()[0]["healthy"]
    assert not post.done() or post.result().body == b"ok"
    post.cancel()
    await asyncio.gather(post, return_exceptions=True)
    assert pool.state()[0]["in_flight"] == 0


async def test_a_connection_that_is_refused_ends_nothing_that_runs(serve, make_pool, exchange, settle):
    """An origin that ends gracefully accepts no more and answers what it has."""
    go_on = asyncio.Event()

    async def script(wire):
        await wire.request()
        await go_on.wait()
        await wire.answer(OK)

    first, second = await serve(script), await serve(echo)
    pool = await make_pool(first.url, second.url)
    running = asyncio.create_task(pool.fetch(exchange()))
    await settle(lambda: len(first.requests) == 1)
    serve.close(first)
    for _ in range(2):
        assert (await pool.fetch(exchange())).body == b"ok"
    assert pool.state()[0]["state"] == "unreachable"
    go_on.set()
    assert (await running).body == b"ok"
    assert len(second.requests) == 2
