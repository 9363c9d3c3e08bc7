"""Endpoints left out, on trial, and slow to start; drained ones; those who wait for a place."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin import standing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"


class Moody:
    """A script that answers what ``answer`` says now; None for never."""

    def __init__(self, answer=OK):
        self.answer = answer

    async def __call__(self, wire):
        while True:
            await wire.request()
            if self.answer is None:
                await wire.reader.read()
            await wire.answer(self.answer)


async def used(pool, exchange, count, method=b"GET"):
    """Who answers so many requests."""
    counts = Counter()
    for _ in range(count):
        x = exchange(method)
        await pool.fetch(x)
        counts["http://" + x.endpoint] += 1
    return counts


def states(pool):
    return [entry["state"] for entry in pool.state()]


async def test_after_an_ejection_one_request_at_a_time_until_one_succeeds(serve, make_pool, exchange, settle):
    go_on = asyncio.Event()
    fails = True

    async def script(wire):
        while True:
            await wire.request()
            if fails:
                await wire.answer(BUSY)
            else:
                await go_on.wait()
                await wire.answer(OK)

    bad, good = await serve(script), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"failures": 1, "eject_for": 0.1})
    await pool.fetch(exchange())
    await settle(lambda: states(pool) == ["trial", "in"])
    fails = False
    asked = len(bad.requests)
    tasks = [asyncio.create_task(pool.fetch(exchange())) for _ in range(10)]
    await settle(lambda: sum(task.done() for task in tasks) == 9)
    assert len(bad.requests) == asked + 1
    assert states(pool) == ["trial", "in"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert states(pool) == ["in", "in"]


async def test_a_failed_trial_costs_no_client_an_error_and_leaves_the_endpoint_out_longer(
    serve, make_pool, exchange, settle
):
    bad, good = await serve(Moody(BUSY)), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"failures": 1, "eject_for": 0.1})
    record = pool._members.endpoints[0].record
    lengths = []
    for turn in range(3):
        await settle(lambda: states(pool)[0] != "ejected")
        assert (await pool.fetch(exchange())).status == 200
        assert states(pool) == ["ejected", "in"], turn
        lengths.append(record._row)
    assert lengths == [1, 2, 3]


async def test_a_stalled_endpoint_on_trial_keeps_nobody_waiting(serve, make_pool, exchange, settle):
    moody = Moody(BUSY)
    bad, good = await serve(moody), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"failures": 1, "eject_for": 0.1})
    await pool.fetch(exchange())
    moody.answer = None
    await settle(lambda: states(pool)[0] == "trial")
    async with asyncio.timeout(1):
        assert (await pool.fetch(exchange())).status == 200
    assert states(pool) == ["ejected", "in"]


async def test_a_request_that_cannot_be_made_again_is_no_trial(serve, make_pool, exchange, settle):
    bad, good = await serve(Moody(BUSY)), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"failures": 1, "eject_for": 0.1})
    await pool.fetch(exchange())
    await settle(lambda: states(pool)[0] == "trial")
    assert await used(pool, exchange, 5, b"POST") == {good.url: 5}
    pool._members.endpoints[0].since -= standing.WAITS_FOR_SAFE  # no other request has come for so long
    assert (await pool.fetch(exchange(b"POST"))).status == 503


async def test_who_comes_back_has_a_growing_share_of_its_weight(serve, make_pool, exchange, settle):
    moody = Moody(BUSY)
    bad, good = await serve(moody), await serve(Moody())
    settings = {"outlier": {"failures": 1, "eject_for": 0.1}, "slow_start": 0.9}
    pool = await make_pool(bad.url, good.url, **settings)
    assert pool.state()[0]["share"] == 1  # not when the pool starts
    await pool.fetch(exchange())
    moody.answer = OK
    await settle(lambda: states(pool)[0] == "trial")
    await pool.fetch(exchange())
    assert (states(pool)[0], pool.state()[0]["share"]) == ("in", 0.1)
    taken = (await used(pool, exchange, 11))[bad.url]
    assert taken <= 2 + 11 * pool.state()[0]["share"]  # which has grown meanwhile
    shares = [0.1]

    def grown():
        share = pool.state()[0]["share"]
        if share != shares[-1]:
            shares.append(share)
        return share == 1

    await settle(grown)
    assert shares == sorted(shares)
    assert len(shares) > 5
    assert await used(pool, exchange, 10) == {bad.url: 5, good.url: 5}


async def test_what_cannot_be_connected_to_is_left_out_at_once_and_back_when_it_is(
    serve, make_pool, exchange, settle, metrics
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    good = await serve(Moody())
    gone = f"http://127.0.0.1:{port}"
    pool = await make_pool(gone, good.url, slow_start=0)
    for _ in range(20):
        x = exchange(b"POST")
        await pool.fetch(x)
        assert "http://" + x.endpoint == good.url
    assert pool.state()[0]["requests"] == 1
    assert states(pool) == ["unreachable", "in"]
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    await settle(lambda: states(pool)[0] == "trial")
    server.close()
    ejections = metrics.counter("edgeproxy_origin_ejections_total", "", ("pool", "endpoint", "why"))
    assert ejections.value("site", f"127.0.0.1:{port}", "unreachable") == 1


async def test_connect_failures_cost_nothing_of_the_budget(serve, make_pool, exchange, metrics):
    """Four of five are gone: the first request finds that out, and no other one meets them."""
    nobody = []
    for _ in range(4):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            nobody.append(f"http://127.0.0.1:{probe.getsockname()[1]}")
    good = await serve(Moody())
    pool = await make_pool(*nobody, good.url, retry={"budget": 0})
    assert await used(pool, exchange, 10) == {good.url: 10}
    assert metrics.counter("edgeproxy_origin_retries_total", "", ("pool",)).value("site") == 0
    assert metrics.counter("edgeproxy_origin_reconnects_total", "", ("pool",)).value("site") == 4


async def test_an_endpoint_that_fails_now_and_then_is_ejected_by_its_share(serve, make_pool, exchange):
    turns = 0

    async def every_other(wire):
        nonlocal turns
        while True:
            await wire.request()
            turns += 1
            await wire.answer(BUSY if turns % 2 else OK)

    bad, good = await serve(every_other), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"requests": 10, "error_share": "40%"})
    await used(pool, exchange, 40)
    assert states(pool) == ["ejected", "in"]
    assert 10 <= len(bad.requests) <= 12


@pytest.mark.slow
async def test_an_endpoint_far_slower_than_the_others_is_ejected_when_told_so(serve, make_pool, exchange, metrics):
    async def slow(wire):
        while True:
            await wire.request()
            await asyncio.sleep(0.05)
            await wire.answer(OK)

    origins = [await serve(slow), *[await serve(Moody()) for _ in range(3)]]
    pool = await make_pool(*(origin.url for origin in origins), outlier={"slow": {"lasting": 1}})
    async with asyncio.timeout(5):
        while states(pool)[0] == "in":
            await used(pool, exchange, 4)
    assert states(pool) == ["ejected", "in", "in", "in"]
    ejections = metrics.counter("edgeproxy_origin_ejections_total", "", ("pool", "endpoint", "why"))
    assert ejections.value("site", origins[0].url.removeprefix("http://"), "slow") == 1


async def test_who_says_retry_after_is_left_alone_that_long_and_no_longer_than_told(serve, make_pool, exchange, settle):
    busy = Moody(BUSY.replace(b"\r\n\r\n", b"\r\nRetry-After: 3600\r\n\r\n"))
    bad, good = await serve(busy), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"failures": 100, "retry_after": 0.2})
    await used(pool, exchange, 1)
    assert states(pool) == ["in", "in"]  # once may be about what was asked for
    await used(pool, exchange, 1)
    assert states(pool) == ["ejected", "in"]
    asked = len(bad.requests)
    await used(pool, exchange, 5)
    assert len(bad.requests) == asked
    await settle(lambda: states(pool)[0] == "trial")


async def test_a_drained_endpoint_gets_nothing_new_and_ends_what_it_has(serve, make_pool, exchange, settle, read):
    go_on = asyncio.Event()

    async def script(wire):
        while True:
            await wire.request()
            await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
            await go_on.wait()
            await wire.answer(b"ow")

    first, second = await serve(script), await serve(Moody())
    pool = await make_pool(first.url, second.url)
    slow = await pool.fetch(exchange())
    address = first.url.removeprefix("http://")
    assert pool.drain(address)
    assert await used(pool, exchange, 6) == {second.url: 6}
    go_on.set()
    assert await read(slow) == b"slow"
    assert pool.state()[0]["draining"]
    assert pool.drain(address, undo=True)
    assert not pool.state()[0]["draining"]
    assert pool.state()[0]["share"] < 1
    assert not pool.drain("192.0.2.1:80")


async def test_a_pool_all_drained_has_no_endpoint_and_its_fallback_is_asked(serve, make_pool, exchange):
    origin = await serve(Moody())
    pool = await make_pool({"url": origin.url, "drain": True})
    with pytest.raises(EdgeError) as caught:
        await pool.fetch(exchange())
    assert (caught.value.kind, caught.value.status) == (Kind.NO_ENDPOINT, 503)
    pool.fallback = await make_pool(origin.url, name="backup")
    assert (await pool.fetch(exchange())).status == 200


async def test_panic_spares_the_drained(serve, make_pool, exchange):
    drained, bad = await serve(Moody()), await serve(Moody(BUSY))
    outlier = {"failures": 1, "max_ejected": 1}
    pool = await make_pool({"url": drained.url, "drain": True}, bad.url, outlier=outlier)
    for _ in range(5):
        assert (await pool.fetch(exchange())).status == 503
    assert pool.panicking
    assert drained.requests == []


async def test_requests_wait_in_line_for_a_place_and_programs_behind_people(
    serve, make_pool, exchange, settle, metrics
):
    go_on = asyncio.Event()
    order = []

    async def script(wire):
        while True:
            received = await wire.request()
            order.append(received.line.split()[1])
            await go_on.wait()
            await wire.answer(OK)

    origin = await serve(script)
    pool = await make_pool(origin.url, limits={"max_requests": 1, "queue": {"size": 3, "wait": 5}})

    def ask(target, score=0):
        x = exchange(target=target)
        x.score = score
        return asyncio.create_task(pool.fetch(x))

    tasks = [ask(b"/first")]
    await settle(lambda: order == [b"/first"])
    tasks += [ask(b"/robot", 90), ask(b"/a"), ask(b"/robot-last", 60)]
    await asyncio.sleep(0.01)
    tasks.append(ask(b"/b"))  # takes the place of the last one of the lowest rank
    with pytest.raises(EdgeError) as caught:
        await tasks[3]
    assert (caught.value.kind, caught.value.retry_after) == (Kind.OVERLOADED, 1)
    go_on.set()
    await asyncio.gather(*tasks[:3], tasks[4])
    assert order == [b"/first", b"/a", b"/b", b"/robot"]
    shed = metrics.counter("edgeproxy_origin_shed_total", "", ("pool", "why"))
    assert shed.value("site", "rank") == 1


async def test_who_waits_too_long_in_line_or_finds_it_full_is_told_so(serve, make_pool, exchange, metrics, settle):
    origin = await serve(Moody(None))
    pool = await make_pool(origin.url, limits={"max_requests": 1, "queue": {"size": 1, "wait": 0.1}})
    held = asyncio.create_task(pool.fetch(exchange()))
    await settle(lambda: len(origin.requests) == 1)
    waiting = [asyncio.create_task(pool.fetch(exchange())) for _ in range(2)]
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert (error.kind, error.status, error.retry_after) == (Kind.OVERLOADED, 503, 1)
    shed = metrics.counter("edgeproxy_origin_shed_total", "", ("pool", "why"))
    assert (shed.value("site", "late"), shed.value("site", "full")) == (1, 1)
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    assert len(pool._line) == 0


async def test_retries_do_not_wait_in_line(serve, make_pool, exchange, settle):
    async def lose(wire):
        await wire.request()

    busy, bad = await serve(Moody(None)), await serve(lose)
    pool = await make_pool(busy.url, bad.url, limits={"max_requests": 1, "queue": {"wait": 5}}, retry={"tries": 3})
    held = asyncio.create_task(pool.fetch(exchange()))
    await settle(lambda: len(busy.requests) == 1)
    async with asyncio.timeout(1):
        with pytest.raises(EdgeError) as caught:
            await pool.fetch(exchange())
    assert caught.value.kind is Kind.CONNECTION_LOST
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)


@pytest.mark.slow
async def test_an_adaptive_limit_falls_when_answers_come_to_take_longer(serve, make_pool, exchange):
    in_hand = 0

    async def crowded(wire):
        nonlocal in_hand
        while True:
            await wire.request()
            in_hand += 1
            await asyncio.sleep(0.002 * max(1, in_hand - 8))
            in_hand -= 1
            await wire.answer(OK)

    origin = await serve(crowded)
    pool = await make_pool(origin.url, limits={"adaptive": True, "max_requests": 200})
    assert pool.state()[0]["limit"] == 20

    async def client():
        for _ in range(40):
            await pool.fetch(exchange())

    await asyncio.gather(*(client() for _ in range(8)))
    calm = pool.state()[0]["limit"]
    await asyncio.gather(*(client() for _ in range(60)), return_exceptions=True)
    assert pool.state()[0]["limit"] < 60
    assert calm >= 8


async def test_checks_by_connection_and_by_body(serve, make_pool, settle):
    moody = Moody(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready!")
    origin = await serve(moody)
    by_body = await make_pool(origin.url, health={"interval": 0.1, "fall": 1, "rise": 1, "body": "ready"})
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    by_connection = await make_pool(
        f"http://127.0.0.1:{address[1]}", name="tcp", health={"type": "tcp", "interval": 0.1, "fall": 1}
    )
    await settle(lambda: by_connection._members.endpoints[0].probe_seconds > 0)
    await settle(lambda: by_body._members.endpoints[0].probe_seconds > 0)
    assert by_body.state()[0]["healthy"]
    moody.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnever"
    server.close()
    await settle(lambda: not by_body.state()[0]["healthy"])
    await settle(lambda: not by_connection.state()[0]["healthy"])


async def test_what_counts_as_a_failure_is_configured(serve, make_pool, exchange):
    bad, good = await serve(Moody(BUSY.replace(b"503", b"500"))), await serve(Moody())
    pool = await make_pool(bad.url, good.url, outlier={"failures": 2})
    await used(pool, exchange, 8)
    assert states(pool) == ["in", "in"]
    outlier, retry = {"failures": 2, "statuses": [500, 503]}, {"causes": [500, 503]}
    pool = await make_pool(bad.url, good.url, outlier=outlier, retry=retry, name="other")
    assert await used(pool, exchange, 8) == {good.url: 8}
    assert states(pool) == ["ejected", "in"]


async def test_checks_that_pass_again_end_an_ejection(serve, make_pool, exchange, settle):
    moody = Moody(BUSY)
    bad, good = await serve(moody), await serve(Moody())
    checks = {"interval": 0.1, "fall": 1, "rise": 1}
    pool = await make_pool(bad.url, good.url, outlier={"failures": 1, "eject_for": 600}, health=checks, slow_start=0)
    await settle(lambda: not pool.state()[0]["healthy"])
    pool._members.standing.failed(pool._members.endpoints[0], None)
    assert states(pool) == ["ejected", "in"]
    moody.answer = OK
    await settle(lambda: states(pool) == ["trial", "in"])
    await pool.fetch(exchange())
    assert states(pool) == ["in", "in"]


async def test_what_fails_its_checks_gets_no_trial(serve, make_pool, exchange, settle):
    bad, good = await serve(Moody(BUSY)), await serve(Moody())
    checks = {"interval": 0.1, "fall": 1, "rise": 1}
    pool = await make_pool(bad.url, good.url, outlier={"failures": 1, "eject_for": 0.1}, health=checks)
    await settle(lambda: not pool.state()[0]["healthy"])
    pool._members.standing.failed(pool._members.endpoints[0], None)
    await settle(lambda: states(pool) == ["trial", "in"])
    assert await used(pool, exchange, 5) == {good.url: 5}
    assert states(pool) == ["trial", "in"]


async def test_a_pool_all_left_out_shows_on_trial_that_it_serves_again_though_it_has_a_fallback(
    serve, make_pool, exchange, settle
):
    moody = Moody(BUSY)
    home, other = await serve(moody), await serve(Moody())
    pool = await make_pool(home.url, outlier={"failures": 1, "eject_for": 0.1, "max_ejected": "100%"})
    pool.fallback = await make_pool(other.url, name="other")
    assert await used(pool, exchange, 3) == {other.url: 3}
    assert len(home.requests) == 1
    await settle(lambda: states(pool) == ["trial"])
    assert await used(pool, exchange, 3) == {other.url: 3}
    assert len(home.requests) == 2, "one trial, then it is left out again"
    moody.answer = OK
    await settle(lambda: states(pool) == ["trial"])
    assert await used(pool, exchange, 3) == {home.url: 3}
