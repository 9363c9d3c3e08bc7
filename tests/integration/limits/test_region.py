"""Limits that nodes count together through a real Redis: what is let through, what Redis is asked, and what happens
while it is away.

Seen to fail: with workers that spend on credit without telling; that lease at once when Redis is back without its data;
that keep what they hold; that ask for every request; that have the whole limit each while they are alone.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis import Redis

from edgeproxy.clock import Clock
from edgeproxy.limits.accounts import RegionLimiter
from edgeproxy.limits.lease import Terms
from edgeproxy.limits.ledger import SETTLE, keys, name
from edgeproxy.limits.region import PURPOSE, Region
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Settings
from tests.support.asking import keep_asking
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

SLOW = Terms(100.0, 100, 10, 10)  # one event in 100 s comes back: nothing, in a test


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Worker:
    """A worker's part, in this process."""

    def __init__(self, terms: Terms) -> None:
        self.metrics = Metrics()
        self.region = Region(Clock(), self.metrics, workers=2)
        self.limiter = RegionLimiter(terms, 1000, b"limit", self.region)

    async def join(self, settings: Settings | None) -> None:
        await self.region.use(settings, 2)
        await self.limiter.start()
        if settings is not None:
            await eventually(lambda: not self.alone)

    def take(self, times: int, key: bytes = b"k") -> int:
        return sum(self.limiter.take(key, time.monotonic()) > 0 for _ in range(times))

    @property
    def alone(self) -> bool:
        return any(slot.alone for slot in self.region._slots)

    @property
    def degraded(self) -> float | None:
        (family,) = [one for one in self.metrics.dump() if one["name"] == "edgeproxy_rate_limit_degraded"]
        return family["series"][0][1][0] if family["series"] else None


Make = Callable[..., Any]


@pytest.fixture
async def workers(redis: RedisServer) -> AsyncIterator[Make]:
    """Makes workers that have joined."""
    async with AsyncExitStack() as stack:

        async def make(count: int, terms: Terms = SLOW, **settings: Any) -> list[Worker]:
            made = [Worker(terms) for _ in range(count)]
            for worker in made:
                stack.push_async_callback(worker.limiter.stop)
                await worker.join(Settings((redis.url,), timeout=1.0, **settings))
            await eventually(lambda: all(one.region._slots[0].workers == count for one in made))
            return made

        yield make


def used(client: Redis, key: bytes = b"k", prefix: str = "edgeproxy:") -> float:
    """How much of a limit like SLOW Redis has counted."""
    found = client.get(keys(prefix, 0, [name(b"limit", key)])[2])
    if found is None:
        return 0.0
    seconds, micro = client.time()
    return round((int(found) / 1e6 - seconds - micro / 1e6) / 100, 1)


async def test_what_was_spent_is_told_and_more_is_leased_than_is_needed(redis: RedisServer, workers: Make) -> None:
    (one,) = await workers(1)
    assert one.take(30) == 10  # on credit
    await eventually(lambda: used(redis.client) == 20)
    await eventually(lambda: one.take(1) == 1)  # once the answer is here


async def test_workers_count_together(redis: RedisServer, workers: Make) -> None:
    made = await workers(3)
    passed = 0
    until = time.monotonic() + 2
    while time.monotonic() < until:
        passed += sum(worker.take(4) for worker in made)
        await asyncio.sleep(0.005)
    assert 100 <= passed <= 100 + 3 * 20
    assert used(redis.client) >= passed - 3 * 10


async def test_refused_requests_ask_nobody(redis: RedisServer, workers: Make) -> None:
    (one,) = await workers(1)
    await _use_up(one)
    before = _calls(redis.client)
    for _ in range(20):
        assert one.take(100) == 0
        await asyncio.sleep(0.01)
    assert _calls(redis.client) - before <= 2  # it is heard once a second


async def test_most_requests_ask_nobody(redis: RedisServer, workers: Make) -> None:
    made = await workers(2, Terms(1 / 5000, 5000, 250, 250))
    before, passed = _calls(redis.client), 0
    until = time.monotonic() + 2
    while time.monotonic() < until:
        passed += sum(worker.take(3) for worker in made)
        await asyncio.sleep(0.002)
    assert passed > 1000
    assert _calls(redis.client) - before < 0.05 * passed


async def test_many_keys_are_told_in_one_call(redis: RedisServer, workers: Make) -> None:
    (one,) = await workers(1)
    before = _calls(redis.client)
    for number in range(200):
        assert one.take(1, b"%d" % number) == 1
    await eventually(lambda: used(redis.client, b"199") > 0)
    assert _calls(redis.client) - before <= 3


async def test_a_lease_that_nobody_spends_is_given_back(redis: RedisServer, workers: Make) -> None:
    (one,) = await workers(1)
    one.take(8)
    await eventually(lambda: used(redis.client) == 18)
    await eventually(lambda: used(redis.client) == 8)


async def test_who_stops_gives_back_and_is_counted_no_more(redis: RedisServer, workers: Make) -> None:
    one, _ = await workers(2)
    one.take(8)
    await eventually(lambda: used(redis.client) > 8)
    await one.limiter.stop()
    assert used(redis.client) == 8
    assert redis.client.zcard(keys("edgeproxy:", 0, [])[1]) == 1
    assert one.take(1) == 1  # an exchange that was under way


async def test_a_key_that_redis_has_evicted_is_not_forgotten(redis: RedisServer, workers: Make) -> None:
    (one,) = await workers(1)
    one.take(8)
    await eventually(lambda: used(redis.client) == 18)
    redis.client.delete(keys("edgeproxy:", 0, [name(b"limit", b"k")])[2])
    one.take(8)
    await eventually(lambda: used(redis.client) >= 18)


async def test_other_settings_begin_anew_and_none_is_a_share(redis: RedisServer, workers: Make) -> None:
    (one,) = await workers(1)
    await _use_up(one)
    await one.region.use(Settings((redis.url,), timeout=1.0, prefix="other:"), 2)
    await eventually(lambda: not one.alone)
    assert one.take(1) == 1
    await eventually(lambda: used(redis.client, prefix="other:") == 1)
    await one.region.use(None, 2)
    assert one.take(20) == 10
    assert one.degraded is None


async def test_a_slow_moment_of_redis_is_got_over(redis: RedisServer, workers: Make) -> None:
    one, other = await workers(2)
    redis.hold()
    try:
        one.take(1)
        await eventually(lambda: one.alone)
        assert one.degraded == 1.0
        assert one.take(50) < 20
    finally:
        redis.go_on()
    await eventually(lambda: not one.alone and not other.alone)
    assert one.degraded == 0.0
    await eventually(lambda: used(redis.client) > 1)


async def test_redis_without_its_data_leases_nothing_until_all_have_told(
    redis: RedisServer, workers: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, other = await workers(2)
    await _use_up(one)
    redis.stop()
    redis.start()
    assert other.take(50) <= 10
    await eventually(lambda: one.alone and other.alone)
    await eventually(lambda: used(redis.client) >= 100)
    assert other.take(50) + one.take(50) <= 20
    state, _ = keys("edgeproxy:", 0, [])
    assert float(redis.client.hget(state, "settled")) / 1e6 - time.time() > SETTLE - 5
    redis.client.hset(state, "settled", 0)
    for worker in (one, other):
        worker.region._slots[0].settled = 0.0
    await eventually(lambda: not one.alone and not other.alone)
    assert one.take(50) == 0
    assert other.take(50) <= 10  # it may not have asked since the first one told
    await eventually(lambda: other.take(50) == 0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisServer]:
    with RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server:
        with server.client as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), "the cluster is up")
        yield server


async def test_a_cluster_counts_too(cluster: RedisServer) -> None:
    one, other = Worker(SLOW), Worker(SLOW)
    try:
        for worker in (one, other):
            await worker.join(Settings((cluster.url,), "cluster", timeout=1.0))
        for number in range(50):
            one.take(1, b"%d" % number)
        await eventually(lambda: len(cluster.client.keys("*limits:*")) == 50 + 2 * 16)
        passed, until = 0, time.monotonic() + 1.5
        while time.monotonic() < until:
            passed += one.take(2) + other.take(2)
            await asyncio.sleep(0.005)
        assert 100 <= passed <= 100 + 2 * 20
    finally:
        await one.limiter.stop()
        await other.limiter.stop()


async def _use_up(worker: Worker) -> None:
    until = time.monotonic() + 5
    passed = 0
    while passed < 100 and time.monotonic() < until:
        passed += worker.take(10)
        await asyncio.sleep(0.005)
    await eventually(lambda: worker.take(1) == 0)


def _calls(client: Redis) -> int:
    counts = client.info("commandstats")
    return sum(counts.get(f"cmdstat_{command}", {}).get("calls", 0) for command in ("evalsha", "eval"))


# -- two nodes -------------------------------------------------------------------------------------------------------


def degraded(edge: EdgeProcess) -> float:
    found = re.search(rb"^edgeproxy_rate_limit_degraded (\S+)", edge.admin("/metrics")[1], re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.slow
def test_two_nodes_keep_to_one_limit_while_redis_dies_and_comes_back_empty(
    redis: RedisServer, limited: Callable[..., dict[str, Any]]
) -> None:
    rate, burst, batch, count = 400, 400, 80, 4
    limit = {"scope": "region", "rate": f"{rate}/s", "burst": burst, "batch": batch, "key": "host"}
    whole = limited(limit, workers=2, cache={"redis": {"url": redis.url}})
    seconds, asked_before = 25.0, []

    def dies() -> None:
        asked_before.append(_calls(redis.client))
        redis.stop()

    with EdgeProcess(whole) as one, EdgeProcess(whole) as other:
        wait_until(lambda: degraded(one) == degraded(other) == 0, "all workers have joined")
        seen: list[float] = []
        timers = [
            threading.Timer(5.0, dies),
            threading.Timer(7.5, lambda: seen.append(min(degraded(one), degraded(other)))),
            threading.Timer(8.0, redis.start),
        ]
        for timer in timers:
            timer.start()
        asked = asyncio.run(keep_asking([one.address, other.address], seconds))
        for timer in timers:
            timer.join()
        assert asked.served <= burst + rate * asked.took + count * batch
        assert asked.served >= 0.85 * (burst + rate * asked.took)
        assert asked.answers.keys() == {200, 429}
        assert seen == [1.0]
        wait_until(lambda: degraded(one) == degraded(other) == 0, "all workers are back")
        for edge in (one, other):
            assert edge.logs().count(f"; {PURPOSE} is left out until it does") == 2  # one of each worker
            assert edge.logs().count(f"redis answers again: {PURPOSE} works") == 2
            assert "Traceback" not in edge.logs()
        calls = asked_before[0] + _calls(redis.client)
        assert calls < 0.05 * asked.answers.total()
