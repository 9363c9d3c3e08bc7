"""Two nodes on one Redis: what is purged on one is purged on the other, whatever Redis does meanwhile."""

import contextlib
import json
import signal
import threading
import time

import pytest

from tests.support.client import ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.redis_server import RedisServer
from tests.support.site import request

FIELDS = (b"Cache-Control: max-age=600, stale-while-revalidate=60", b"Surrogate-Key: every one")


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


@pytest.fixture
def pair(whole, site, redis):
    """Two nodes that share their purges and nothing else, and have met."""
    settings = {"url": redis.url, "largest": 0}
    with EdgeProcess(whole(cache={"redis": settings})) as one, EdgeProcess(whole(cache={"redis": settings})) as other:
        connected(redis, 2)
        yield one, other


def connected(redis, nodes):
    """Wait until so many nodes read the purges of the others."""
    with redis.client as client:

        def blocked():
            return len([one for one in client.client_list() if one["cmd"] == "xread" and "b" in one["flags"]])

        wait_until(lambda: blocked() == nodes, "the nodes read the purges")


def get(edge, target=b"/kept"):
    (got,) = ask(edge.address, request(target, b"Connection: close")).final
    return got


def hit(edge, target=b"/kept"):
    got = get(edge, target)
    assert got.status == 200
    return b"; hit" in got.get(b"cache-status")


def fill(edges, target=b"/kept"):
    for edge in edges:
        get(edge, target)
        assert hit(edge, target)


@contextlib.contextmanager
def load(edge, target):
    """Two clients that ask without a pause; yields the statuses they got."""
    stop, statuses = threading.Event(), []

    def client():
        while not stop.is_set():
            statuses.append(get(edge, target).status)

    threads = [threading.Thread(target=client) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    "order",
    [
        {"tag": "one"},
        {"url": "http://a.example/kept"},
        {"prefix": "http://a.example/k"},
        {"host": "a.example"},
        {"all": True},
    ],
)
def test_each_kind_of_purge_reaches_the_other_node(pair, site, post, order):
    one, other = pair
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    fill(pair)
    assert post(one, "/purge", order) == (200, {"purged": 1})
    wait_until(lambda: not hit(other), "the other node has heard of it")
    assert not hit(one)
    assert hit(other)  # once, not again and again


def test_a_purge_is_seen_by_the_other_node_within_100_ms_under_load(pair, site, post, metric):
    one, other = pair
    tagged = {}
    site.on(b"/busy", answer(200, b"x" * 10_000, b"Cache-Control: max-age=600"))
    for number in range(10):
        target = tagged[number] = b"/%d" % number
        site.on(target, answer(200, b"kept", b"Cache-Control: max-age=600", b"Cache-Tag: t%d" % number))
        fill(pair, target)
    late = []
    with load(one, b"/busy") as ours, load(other, b"/busy") as theirs:
        for number, target in tagged.items():
            assert post(one, "/purge", {"tag": f"t{number}"})[0] == 200
            told = time.monotonic()
            while hit(other, target):
                assert time.monotonic() < told + 5
            late.append(time.monotonic() - told)
    assert sorted(late)[-2] < 0.1, late  # of ten, one may have met a pause of the machine itself
    assert set(ours + theirs) == {200}
    assert metric(other, "edgeproxy_region_purges_total", 'direction="heard"') == 10


def test_a_soft_purge_stays_soft_on_the_other_node(pair, site, post):
    one, other = pair
    site.on(b"/kept", answer(200, b"old", *FIELDS))
    fill(pair)
    site.on(b"/kept", answer(200, b"new", *FIELDS))
    assert post(one, "/purge", {"tag": "every", "soft": True})[0] == 200
    wait_until(lambda: get(other).body == b"new", "the other node has revalidated it")
    assert (
        len(site.to(b"/kept")) == 3
    )  # once to fill each, once to revalidate; the one that was asked was not asked for it


def test_redis_stopped_and_started_costs_no_error_and_heals(pair, site, post, redis, metric):
    one, other = pair
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    fill(pair)
    with load(one, b"/kept") as ours, load(other, b"/fresh") as theirs:
        redis.stop()
        status, told = post(one, "/purge", {"tag": "one"})
        assert status == 502
        assert "other nodes hear of it when it is back" in told["errors"][0]
        wait_until(lambda: metric(one, "edgeproxy_redis_up") == 0, "the gauge says that redis is away")
        assert hit(other)
        redis.start()
        wait_until(lambda: not hit(other), "the other node has heard of it", 20)
        wait_until(lambda: metric(one, "edgeproxy_redis_up") == 1, "the gauge says that redis is back", 20)
    assert set(ours) == set(theirs) == {200}
    fill(pair)
    assert post(other, "/purge", {"tag": "one"})[0] == 200
    wait_until(lambda: not hit(one), "purges go the other way too")
    for edge in pair:
        lines = [line for line in edge.logs().splitlines() if "redis does not answer" in line]
        assert len(lines) == len({line.split(": ")[-1] for line in lines})  # each feature says it once
        assert "Traceback" not in edge.logs()


def test_what_redis_forgot_its_nodes_tell_again(pair, site, post, redis):
    one, other = pair
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    fill(pair)
    other.process.send_signal(signal.SIGSTOP)  # its workers serve on
    try:
        with redis.client as client:
            for reader in client.client_list():
                if reader["cmd"] == "xread":
                    client.client_kill(reader["addr"])
            assert post(one, "/purge", {"tag": "one"}) == (200, {"purged": 1})
            assert client.xlen("edgeproxy:{purges}:recent") == 1
        redis.stop()
        redis.start()
    finally:
        other.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not hit(other), "the other node has heard of it", 20)


def test_a_node_that_was_away_catches_up(pair, site, post, redis):
    one, other = pair
    for number in range(3):
        site.on(b"/%d" % number, answer(200, b"kept", b"Cache-Control: max-age=600", b"Cache-Tag: t%d" % number))
        fill(pair, b"/%d" % number)
    with redis.client as client:
        for reader in client.client_list():
            if reader["cmd"] == "xread":
                client.client_kill(reader["addr"])
    for number in range(2):
        assert post(one, "/purge", {"tag": f"t{number}"})[0] == 200
    wait_until(lambda: not hit(other, b"/0") and not hit(other, b"/1"), "the other node has heard of both")
    assert hit(other, b"/2")


def test_a_node_that_missed_more_than_redis_keeps_forgets_everything(pair, site, post, redis):
    _, other = pair
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    fill(pair)
    with redis.client as client:
        client.hset("edgeproxy:{purges}:marks", "number", 5000)
        client.delete("edgeproxy:{purges}:recent")
        for reader in client.client_list():
            if reader["cmd"] == "xread":
                client.client_kill(reader["addr"])
    wait_until(lambda: not hit(other), "the other node has forgotten what may have been purged")
    assert "purges of other nodes were missed" in other.logs()


def test_purges_while_a_node_was_down_reach_what_it_kept_on_disk(whole, site, post, redis, tmp_path):
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    site.on(b"/other", answer(200, b"kept", b"Cache-Control: max-age=600"))
    settings = {"redis": {"url": redis.url, "largest": 0}, "disk": {"path": str(tmp_path / "disk"), "size": "64MB"}}
    with EdgeProcess(whole(cache={"redis": settings["redis"]})) as one:
        with EdgeProcess(whole(cache=settings)) as down:
            connected(redis, 2)
            for target in (b"/kept", b"/other"):
                fill([down], target)
        assert post(one, "/purge", {"tag": "one"})[0] == 200
        asked = len(site.to(b"/kept"))
        with EdgeProcess(whole(cache=settings)) as up:
            wait_until(lambda: get(up) and len(site.to(b"/kept")) > asked, "the node has caught up")
            assert hit(up, b"/other")
    assert len(site.to(b"/other")) == 1


def test_a_message_that_is_no_purge_forgets_everything(pair, site, redis):
    one, _ = pair
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    fill([one])
    with redis.client as client:
        client.xadd("edgeproxy:{purges}:recent", {"purge": json.dumps({"kind": "some"})}, id="7-0")
    wait_until(lambda: not hit(one), "what cannot be read stands for everything")


def test_what_one_node_has_fetched_the_other_does_not_fetch_again(whole, site, redis, post):
    site.on(b"/shared", answer(200, b"shared", *FIELDS))
    settings = whole(cache={"redis": {"url": redis.url}})
    with EdgeProcess(settings) as one, EdgeProcess(settings) as other:
        connected(redis, 2)
        assert get(one, b"/shared").body == b"shared"
        with redis.client as client:
            wait_until(lambda: bool(client.keys("edgeproxy:answer:*")), "it is in Redis")
        got = get(other, b"/shared")
        assert (got.body, got.get(b"cache-status")) == (b"shared", b"edgeproxy; hit; detail=l3")
        assert len(site.to(b"/shared")) == 1
        assert post(one, "/purge", {"tag": "one"})[0] == 200
        wait_until(lambda: len(site.to(b"/shared")) > 1 or not get(other, b"/shared"), "it is gone from there too")


def test_a_reload_takes_redis_up_and_leaves_it(whole, site, post, redis):
    site.on(b"/kept", answer(200, b"kept", *FIELDS))
    with EdgeProcess(whole()) as one, EdgeProcess(whole(cache={"redis": {"url": redis.url, "largest": 0}})) as other:
        fill([one, other])
        assert post(other, "/purge", {"tag": "one"})[0] == 200
        assert hit(one)
        one.write(whole(cache={"redis": {"url": redis.url, "largest": 0}}))
        assert post(one, "/reload")[0] == 200
        connected(redis, 2)
        assert post(other, "/purge", {"tag": "one"})[0] == 200
        wait_until(lambda: not hit(one), "purges come")
        one.write(whole())
        assert post(one, "/reload")[0] == 200
        connected(redis, 1)
        assert hit(one)
