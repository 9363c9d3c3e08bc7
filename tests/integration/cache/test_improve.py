"""Better copies in real nodes: on the same URL, from every tier, and never over a purge.

Most of it goes by a stage of the test's own, whose better copy is made when a file is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.cache import marks
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.policy import Terms
from edgeproxy.cache.purge import PurgeLog
from edgeproxy.cache.redis import RedisTier
from edgeproxy.clock import Clock
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Settings
from tests.support.answers import Answer
from tests.support.client import ask
from tests.support.fetching import decoded
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.redis_server import RedisServer
from tests.support.site import Site, config, request
from tests.support.waiting import eventually

STAGE = '''
import time
from pathlib import Path
import brotli
from edgeproxy.pipeline.improvement import Better, Improvement
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig

class Shorter(Improvement):
    def __init__(self, folder):
        self.folder = folder

    async def prepare(self, body, headers):
        return lambda: self.make(body)

    def make(self, body):
        (self.folder / "begun").touch()
        while not (self.folder / "go").exists():
            time.sleep(0.01)
        if (self.folder / "long").exists():
            brotli.compress(bytes(30_000_000) + body * 1000, quality=11)
        return Better(body[: len(body) // 2], {b"x-copy": b"better"})

class Shortening(Middleware):
    """Makes a better copy of all that is kept: half of it."""

    name = "shortening"

    class Config(MiddlewareConfig):
        folder: Path

    def store(self, x, response):
        if response.status == 200:
            response.set(b"x-copy", b"quick")
            x.improvement = Shorter(self.config.folder)
'''

BODY = random.Random(5).randbytes(4_000)
PAGE = b"<p>" + b" ".join(b"word%d" % (number % 700) for number in range(3_000)) + b"</p>"
READS = b"Accept-Encoding: gzip, deflate, br, zstd"
FIELDS = (b"Cache-Control: max-age=600", b'ETag: "1"')


class Making:
    """The stage's own folder: when its copies are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def go(self) -> None:
        (self.folder / "go").touch()

    def begun(self) -> bool:
        return (self.folder / "begun").exists()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/a", answer(200, BODY, *FIELDS, b"Surrogate-Key: t"))
        site.on(b"/page", answer(200, PAGE, *FIELDS, b"Content-Type: text/html"))
        yield site


@pytest.fixture
def making(tmp_path: Path) -> Making:
    (tmp_path / "making").mkdir()
    return Making(tmp_path / "making")


@pytest.fixture
def node(site: Site, making: Making, tmp_path: Path) -> Callable[..., EdgeProcess]:
    """A node with the stage; further arguments are of the cache."""
    folder = tmp_path / "stage"
    installed = folder / "shortening-1.dist-info"
    installed.mkdir(parents=True)
    (folder / "shortening.py").write_text(STAGE)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: shortening\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[edgeproxy.middleware]\nshortening = shortening:Shortening\n")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))

    def node(*, workers: int = 1, **cache: Any) -> EdgeProcess:
        stages = {"shortening": {"folder": str(making.folder)}, "compression": False}
        cache = {"improve": {"share": "100%"}, **cache}
        whole = config(site.url, middleware=stages, cache=cache, workers=workers, log={"access": False})
        return EdgeProcess(whole, environment={**os.environ, "PYTHONPATH": path})

    return node


def get(edge: EdgeProcess, target: bytes = b"/a", *fields: bytes) -> Answer:
    return ask(edge.address, request(target, *fields, b"Connection: close")).final[0]


def ask_for(edge: EdgeProcess, times: int = 4, target: bytes = b"/a") -> None:
    for _ in range(times):
        assert get(edge, target).status == 200


def counted(edge: EdgeProcess, line: bytes) -> bool:
    return line in edge.admin("/metrics")[1].splitlines()


def improved(edge: EdgeProcess, outcome: str = "better", times: int = 1) -> None:
    told = f'edgeproxy_improved_total{{outcome="{outcome}"}} {times}.0'.encode()
    wait_until(lambda: counted(edge, told), f"{times} {outcome}", 60)  # at the lowest priority


def written(edge: EdgeProcess, body: bytes) -> None:
    """Wait until L2 has taken all there is to write."""
    wait_until(lambda: counted(edge, b'edgeproxy_cache_queue_bytes{tier="l2"} 0.0'), "nothing waits for L2")
    wait_until(lambda: counted(edge, b"edgeproxy_cache_disk_entries 1.0"), f"{len(body)} bytes are written")


def joined(edge: EdgeProcess, redis: RedisServer) -> EdgeProcess:
    """Wait until a node may store what it has there, and hears of the others' purges."""
    with redis.client as client:
        wait_until(lambda: client.hexists(marks.keys("edgeproxy:").marks, "epoch"), "there are marks")
    wait_until(lambda: counted(edge, b"edgeproxy_redis_up 1.0"), "redis is used")
    return edge


def purge(edge: EdgeProcess, *, soft: bool = False) -> None:
    order = json.dumps({"tag": "t", "soft": soft}).encode()
    asked = urllib.request.Request(f"{edge.admin_url}/purge", order, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=10) as answered:
        assert answered.status == 200


@pytest.mark.slow
def test_a_page_is_first_compressed_quickly_and_later_as_small_as_its_clients_read_it(
    site: Site, tmp_path: Path
) -> None:
    """From L1, from L2 after a restart, and from L3 on another node, all with one request to the origin."""
    with RedisServer() as redis:
        tiers = {"disk": {"path": str(tmp_path / "l2"), "size": "32MB"}, "redis": {"url": redis.url, "timeout": "1s"}}
        whole = config(site.url, cache={**tiers, "improve": {"share": "100%"}}, log={"access": False})
        with EdgeProcess(whole) as edge:
            joined(edge, redis)
            first = get(edge, b"/page", READS)
            assert first.get(b"content-encoding") == b"zstd"
            for _ in range(4):
                assert get(edge, b"/page", READS).body == first.body
            improved(edge)
            better = get(edge, b"/page", READS)
            assert better.get(b"cache-status") == b"edgeproxy; hit"
            assert (better.get(b"content-encoding"), better.get(b"etag")) == (b"br", b'W/"1"')
            assert decoded(better.body, "br") == PAGE
            assert len(better.body) < 0.95 * len(first.body)
            assert get(edge, b"/page", READS, b'If-None-Match: W/"1"').status == 304
            wait_until(lambda: counted(edge, b'edgeproxy_redis_puts_total{outcome="stored"} 2.0'), "L3 has it")
            written(edge, better.body)
        with EdgeProcess(whole) as edge:
            found = get(edge, b"/page", READS)
            assert found.get(b"cache-status") == b"edgeproxy; hit; detail=l2"
            assert (found.body, found.get(b"content-encoding")) == (better.body, b"br")
        with EdgeProcess({**whole, "cache": {"redis": tiers["redis"]}}) as other:
            found = get(joined(other, redis), b"/page", READS)
            assert found.get(b"cache-status") == b"edgeproxy; hit; detail=l3"
            assert (found.body, found.get(b"content-encoding")) == (better.body, b"br")
    assert len(site.to(b"/page")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("soft", [False, True])
def test_a_purge_while_it_is_made_wins_in_every_tier(
    soft: bool, site: Site, making: Making, node: Callable[..., EdgeProcess], tmp_path: Path
) -> None:
    site.on(b"/a", answer(200, BODY, b"Cache-Control: max-age=600, stale-if-error=600", b"Surrogate-Key: t"))
    with RedisServer() as redis:
        tiers = {"disk": {"path": str(tmp_path / "l2"), "size": "32MB"}, "redis": {"url": redis.url, "timeout": "1s"}}
        with node(**tiers) as edge, node(redis=tiers["redis"]) as other:
            joined(other, redis)
            ask_for(joined(edge, redis))
            wait_until(making.begun, "it is being made")
            written(edge, BODY)
            purge(edge, soft=soft)
            making.go()
            improved(edge, "better" if soft else "gone")
            site.on(b"/a", answer(200, b"new", *FIELDS))
            assert get(edge).body == b"new"
            assert get(other).body == b"new"
        with node(disk=tiers["disk"]) as edge:
            assert get(edge).body == b"new"


@pytest.mark.slow
def test_a_worker_killed_while_it_makes_one_loses_nothing_but_the_copy(
    site: Site, making: Making, node: Callable[..., EdgeProcess], tmp_path: Path
) -> None:
    with node(disk={"path": str(tmp_path / "l2"), "size": "32MB"}) as edge:
        ask_for(edge)
        wait_until(making.begun, "it is being made")
        written(edge, BODY)
        (worker,) = edge.worker_pids()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: edge.worker_pids() not in ([], [worker]), "another worker is there")
        wait_until(lambda: edge.admin("/readyz")[0] == 200, "and ready")
        found = get(edge)
        assert found.get(b"cache-status") == b"edgeproxy; hit; detail=l2"
        assert (found.body, found.get(b"x-copy")) == (BODY, b"quick")
        making.go()
        purge(edge)
        ask_for(edge)
        improved(edge)
        assert get(edge).body == BODY[:2_000]
    assert len(site.to(b"/a")) == 2


@pytest.mark.slow
def test_the_other_workers_of_a_node_find_it_in_l2(
    site: Site, making: Making, node: Callable[..., EdgeProcess], tmp_path: Path
) -> None:
    making.go()
    with node(workers=2, disk={"path": str(tmp_path / "l2"), "size": "32MB"}) as edge:

        def all_have_it() -> bool:
            return {get(edge).body for _ in range(30)} == {BODY[:2_000]}

        assert get(edge).body == BODY
        wait_until(all_have_it, "both workers have the better copy", 30)
    assert len(site.to(b"/a")) <= 2  # both may have met it first


@pytest.mark.slow
def test_who_leaves_waits_a_moment_only_for_the_copy_in_hand(making: Making, node: Callable[..., EdgeProcess]) -> None:
    """A thread deep in a library can not be ended: the process leaves without it, and in order."""
    (making.folder / "long").touch()
    making.go()
    with node() as edge:
        ask_for(edge)
        wait_until(making.begun, "it is being made")
        begun = time.monotonic()
        assert edge.stop(30) == 0
        assert time.monotonic() - begun < 8
        assert "killed" not in edge.logs()
        assert "exited" not in edge.logs()


def test_off_is_what_a_reload_makes_it(making: Making, node: Callable[..., EdgeProcess], site: Site) -> None:
    with node() as edge:
        ask_for(edge)
        wait_until(making.begun, "it is being made")
        stages = {"shortening": {"folder": str(making.folder)}, "compression": False}
        edge.write(config(site.url, middleware=stages, cache={"improve": False}, log={"access": False}))
        edge.reload()
        wait_until(lambda: not counted(edge, b"edgeproxy_improvements_waiting 1.0"), "it is off")
        making.go()
        assert get(edge).body == BODY


async def test_what_another_node_has_stored_since_stays_in_l3() -> None:
    """A better copy of an older answer is no newer answer."""
    with RedisServer() as server:
        with server.client as client:
            client.hset(marks.keys("edgeproxy:").marks, mapping={"epoch": "0123456789abcdef", "number": 0})
        metrics = Metrics()
        tier = RedisTier(Settings((server.url,), timeout=1.0), PurgeLog(time.time), Clock(), metrics)
        puts = metrics.counter("edgeproxy_redis_puts_total", "", ("outcome",))
        tier.start()
        with contextlib.suppress(TimeoutError):
            await eventually(lambda: tier.link.breaker.closed)
        ticket = (await tier.get(b"http://a.test/", {})).ticket
        assert ticket is not None
        now = time.time()
        for body, began, again in ((b"old", now - 9, False), (b"better", now - 9, True), (b"new", now, False)):
            tier.put(_entry(body), ticket, began, again=again)
        await eventually(lambda: puts.value("stored") == 3)
        tier.put(_entry(b"too late"), ticket, now - 9, again=True)
        await eventually(lambda: puts.value("outdated") == 1)
        found = await tier.get(b"http://a.test/", {})
        assert found.entry is not None
        assert found.entry.body == b"new"
        await tier.close()


def _entry(body: bytes) -> Entry:
    terms = Terms(600.0, 0.0, validate=False, strict=False, while_revalidate=0.0, if_error=0.0)
    return Entry(b"http://a.test/", (), b"", 200, {b"etag": b'W/"1"'}, terms, time.time(), body)
