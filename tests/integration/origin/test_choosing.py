"""Which endpoint of a pool requests go to, over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from edgeproxy.config.pools import PoolConfig

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def after(seconds, answer=OK):
    """An origin that takes that long."""

    async def script(wire):
        while True:
            await wire.request()
            await asyncio.sleep(seconds)
            await wire.answer(answer)

    return script


async def endpoints(pool, exchange, count, *args, **kwargs):
    """Where so many requests go, one after the other."""
    gone = Counter()
    for _ in range(count):
        x = exchange(*args, **kwargs)
        await pool.fetch(x)
        gone["http://" + x.endpoint] += 1
    return gone


async def test_by_default_the_faster_endpoint_gets_the_requests(serve, make_pool, exchange):
    slow, fast = await serve(after(0.2)), await serve(after(0.0))
    pool = await make_pool(slow.url, fast.url, balance=PoolConfig.model_fields["balance"].default)
    await endpoints(pool, exchange, 6)
    gone = await endpoints(pool, exchange, 30)
    assert gone[fast.url] >= 28  # a machine that stands still for a moment makes the fast one slow


async def test_a_fast_error_is_no_fast_answer(serve, make_pool, exchange):
    broken = await serve(after(0.0, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    good = await serve(after(0.01))
    pool = await make_pool(broken.url, good.url, balance="class_ewma", outlier="off")
    await endpoints(pool, exchange, 20)
    gone = await endpoints(pool, exchange, 60)
    assert gone[good.url] > 50


@pytest.mark.parametrize("balance", ["peak_ewma", "class_ewma", "least_request"])
async def test_an_endpoint_with_its_hands_full_gets_no_more(serve, make_pool, exchange, balance):
    stuck, free = await serve(after(30)), await serve(after(0.0))
    pool = await make_pool(stuck.url, free.url, balance=balance)
    waiting = [asyncio.create_task(pool.fetch(exchange())) for _ in range(12)]
    await asyncio.wait(waiting, timeout=0.3)
    assert not all(task.done() for task in waiting)
    gone = await endpoints(pool, exchange, 20)
    assert gone[free.url] >= 19
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_key_goes_to_one_endpoint_and_elsewhere_while_that_is_out(serve, make_pool, exchange):
    origins = [await serve(after(0.0)) for _ in range(4)]
    by_user = {"balance": "hash", "hash": "header:x-user"}
    pool = await make_pool(*(origin.url for origin in origins), **by_user)
    homes = {}
    for user in (b"ann", b"bob", b"cid", b"dee", b"eve", b"fay"):
        gone = await endpoints(pool, exchange, 5, headers={b"x-user": user})
        assert len(gone) == 1
        homes[user] = next(iter(gone))
    assert len(set(homes.values())) > 1
    out = homes[b"ann"]
    pool.drain(out.removeprefix("http://"))
    for user, home in homes.items():
        gone = await endpoints(pool, exchange, 3, headers={b"x-user": user})
        assert len(gone) == 1
        assert (next(iter(gone)) == home) is (home != out)
    pool.drain(out.removeprefix("http://"), undo=True)


async def test_requests_without_a_key_go_anywhere(serve, make_pool, exchange):
    origins = [await serve(after(0.0)) for _ in range(2)]
    pool = await make_pool(*(origin.url for origin in origins), balance="hash", hash={"key": "cookie:session"})
    tasks = [pool.fetch(exchange()) for _ in range(20)]
    await asyncio.gather(*tasks)
    assert all(origin.requests for origin in origins)


@pytest.mark.parametrize("balance", ["class_ewma", "round_robin", "hash"])
async def test_the_endpoint_that_is_wanted_answers_while_it_is_fit(serve, make_pool, exchange, balance):
    origins = [await serve(after(0.0)) for _ in range(3)]
    pool = await make_pool(*(origin.url for origin in origins), balance=balance)
    address = origins[1].url.removeprefix("http://")

    async def go():
        x = exchange()
        x.wanted = address.encode()
        await pool.fetch(x)
        return x.endpoint

    assert {await go() for _ in range(8)} == {address}
    pool.drain(address)
    assert address not in {await go() for _ in range(8)}


async def test_a_wanted_endpoint_that_fails_is_not_insisted_on(serve, make_pool, exchange):
    async def reset(wire):
        await wire.request()
        wire.reset()

    broken, good = await serve(reset), await serve(after(0.0))
    pool = await make_pool(broken.url, good.url)
    x = exchange()
    x.wanted = broken.url.removeprefix("http://").encode()
    assert (await pool.fetch(x)).body == b"ok"
    assert "http://" + x.endpoint == good.url


async def test_a_wanted_endpoint_of_no_pool_is_not_gone_to(serve, make_pool, exchange):
    origin = await serve(after(0.0))
    pool = await make_pool(origin.url)
    x = exchange()
    x.wanted = b"169.254.169.254:80"
    await pool.fetch(x)
    assert "http://" + x.endpoint == origin.url
