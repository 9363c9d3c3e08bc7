"""The way to Redis in its three topologies, with passwords and TLS, each on real servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.cache.entry import Entry
from edgeproxy.cache.policy import Terms
from edgeproxy.cache.purge import Purge, PurgeLog, named
from edgeproxy.cache.redis import RedisTier
from edgeproxy.cache.region import Region
from edgeproxy.clock import Clock
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Link, Settings, UnavailableError
from tests.support.certificates import Authority
from tests.support.ports import free_port, wait_until
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

PASSWORD = "a password: of/the@tests"


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    with RedisServer("--requirepass", PASSWORD, password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisServer]:
    bus = str(free_port())
    with RedisServer(
        *("--cluster-enabled", "yes", "--cluster-port", bus, "--requirepass", PASSWORD), password=PASSWORD
    ) as server:
        with server.client as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), "the cluster is up")
        yield server


@pytest.fixture(scope="module")
def sentinel(guarded: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    file = tmp_path_factory.mktemp("sentinel") / "sentinel.conf"
    file.write_text(
        f"sentinel monitor site 127.0.0.1 {guarded.port} 1\nsentinel auth-pass site {PASSWORD!r}\n".replace("'", '"')
    )
    with RedisServer(sentinel=file) as server:
        with server.client as client:
            wait_until(lambda: client.sentinel_master("site")["flags"] == "master", "the master is known")
        yield server


@pytest.fixture
def settings(request: pytest.FixtureRequest, guarded: RedisServer) -> Settings:
    """For the topology a test is parametrised with."""
    topology = request.param
    server: RedisServer = request.getfixturevalue(topology) if topology != "single" else guarded
    master = "site" if topology == "sentinel" else ""
    dead = f"redis://127.0.0.1:{free_port()}/0"
    urls = (server.url,) if topology == "single" else (server.url, dead)
    return Settings(urls, topology, master, PASSWORD, timeout=1.0, prefix=f"{topology}-{time.time_ns()}:")


@pytest.fixture
async def link(settings: Settings) -> AsyncIterator[Link]:
    made = Link(settings, "the test", Clock(), Metrics())
    yield made
    await made.close()


async def trial(link: Link) -> None:
    assert link.breaker.trial()
    await link._try(lambda client: client.ping(), 5.0)


every = pytest.mark.parametrize("settings", ["single", "cluster", "sentinel"], indirect=True)


@every
async def test_values_are_set_and_got(link: Link) -> None:
    with pytest.raises(UnavailableError, match="not asked"):
        await link.call(lambda client: client.get("x"))
    await trial(link)
    await link.call(lambda client: client.set(link.settings.prefix + "x", b"1", ex=60))

    async def both(client: Any) -> Any:
        pipe = client.pipeline(transaction=False)
        pipe.get(link.settings.prefix + "x")
        pipe.hmget(link.settings.prefix + "y", [b"a", b"b"])
        return await pipe.execute()

    assert await link.call(both) == [b"1", [None, None]]


@every
async def test_answers_and_purges_go_through_every_topology(settings: Settings) -> None:
    heard: list[Purge] = []

    async def hear(purges: list[Purge]) -> None:
        heard.extend(purges)

    metrics = Metrics()
    tier = RedisTier(settings, PurgeLog(time.time), Clock(), metrics)
    here, there = (Region(settings, hear, Clock(), Metrics()) for _ in range(2))
    for part in (tier, here, there):
        part.start()
    try:
        await eventually(lambda: tier.link.breaker.closed and here._link.breaker.closed and bool(there._epoch))
        key, began = b"http://www.example.com/a", time.time()
        terms = Terms(60.0, 0.0, False, False, 0.0, 0.0)
        entry = Entry(key, (b"accept-language",), b"=de", 200, {}, terms, began, body=b"body", tags=(b"t",))
        ticket = (await tier.get(key, {})).ticket
        assert ticket is not None
        tier.put(entry, ticket, began)
        stored = metrics.counter("edgeproxy_redis_puts_total", "", ("outcome",))
        await eventually(lambda: stored.value("stored") == 1)
        found = (await tier.get(key, {b"accept-language": b"de"})).entry
        assert found is not None
        assert found.body == b"body"
        assert await here.tell([named("tag", "t", time.time())]) == []
        await eventually(lambda: [str(purge) for purge in heard] == ["tag t"])
        assert (await tier.get(key, {b"accept-language": b"de"})).entry is None
    finally:
        for part in (tier, here, there):
            await part.close()


@pytest.mark.parametrize("settings", ["single"], indirect=True)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "wrong"}, "invalid username-password pair"),
        ({"password": None}, "Authentication required"),
        ({"urls": (f"redis://127.0.0.1:{free_port()}/0",)}, "Connect"),
        ({"urls": ("unix:///nowhere/redis.sock",)}, "/nowhere/redis.sock"),
    ],
)
async def test_what_is_wrong_is_said_without_the_password(
    settings: Settings, change: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    link = Link(settings._replace(**change), "the test", Clock(), Metrics())
    with pytest.raises(UnavailableError, match=told):
        await trial(link)
    assert told in caplog.text
    assert "the test is left out until it does" in caplog.text
    assert PASSWORD not in caplog.text
    await link.close()


async def test_tls_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("localhost", "127.0.0.1")
    tls = ["--tls-auth-clients", "no", "--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key)]
    with RedisServer(tls=[*tls, "--tls-ca-cert-file", str(authority.file)]) as server:
        url = f"rediss://127.0.0.1:{server.port}/0"
        link = Link(Settings((url,), ca=str(authority.file)), "the test", Clock(), Metrics())
        await trial(link)
        await link.close()
        stranger = Link(Settings((url,)), "the test", Clock(), Metrics())
        with pytest.raises(UnavailableError, match="certificate verify failed"):
            await trial(stranger)
        await stranger.close()


async def test_more_calls_than_connections_wait_their_turn(guarded: RedisServer) -> None:
    settings = Settings((guarded.url,), password=PASSWORD, timeout=2.0, connections=2)
    link = Link(settings, "the test", Clock(), Metrics())
    await trial(link)
    done = await asyncio.gather(*(link.call(lambda client: client.echo(b"x")) for _ in range(100)))
    assert done == [b"x"] * 100
    with guarded.client as client:
        assert len([one for one in client.client_list() if one["cmd"] == "echo"]) <= 2
    await link.close()


async def test_waiting_for_a_connection_is_no_failure_of_redis(guarded: RedisServer) -> None:
    settings = Settings((guarded.url,), password=PASSWORD, timeout=0.2, connections=1)
    link = Link(settings, "the test", Clock(), Metrics())
    await trial(link)
    await link._free.acquire()  # as a call does that takes its time
    with pytest.raises(UnavailableError, match="no connection was free within"):
        await link.call(lambda client: client.ping())
    assert link.breaker.closed
    link._free.release()
    await link.call(lambda client: client.ping())
    await link.close()
