"""L3 on a real Redis: what it gives back, what it forgets, and what it costs when it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from edgeproxy.cache import marks
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.policy import Terms
from edgeproxy.cache.purge import PurgeLog, named
from edgeproxy.cache.redis import QUEUE_ENTRIES, Found, RedisTier
from edgeproxy.clock import Clock
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Settings
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

KEY = b"http://www.example.com/a"
TEXT = b"the quick brown fox " * 500


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def settings(server: RedisServer) -> Settings:
    with server.client as client:
        client.flushall()
        client.hset(marks.keys("edgeproxy:").marks, mapping={"epoch": "0123456789abcdef", "number": 0})
    return Settings((server.url,), timeout=1.0)


class Node:
    """One worker's L3, with what it counts."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics()
        self.log = PurgeLog(time.time)
        self.tier = RedisTier(settings, self.log, Clock(), self.metrics)
        self._puts = self.metrics.counter("edgeproxy_redis_puts_total", "", ("outcome",))

    async def up(self) -> Node:
        await eventually(lambda: self.tier.link.breaker.closed)
        return self

    async def keep(self, entry: Entry, found: Found | None = None) -> None:
        """Look for it, as a flight does, and then have it written."""
        began = time.time()
        ticket = (found or await self.tier.get(entry.key, {})).ticket
        assert ticket is not None
        before = self._puts.value("stored") + self._puts.value("refused")
        self.tier.put(entry, ticket, began)
        await eventually(lambda: self._puts.value("stored") + self._puts.value("refused") > before)

    async def get(self, key: bytes = KEY, **headers: bytes) -> Entry | None:
        return (await self.tier.get(key, {name.replace("_", "-").encode(): v for name, v in headers.items()})).entry


@pytest.fixture
async def nodes(settings: Settings) -> AsyncIterator[tuple[Node, Node]]:
    pair = Node(settings), Node(settings)
    for node in pair:
        node.tier.start()
        await node.up()
    yield pair
    for node in pair:
        await node.tier.close()


def answer(
    key: bytes = KEY,
    body: bytes = TEXT,
    headers: dict[bytes, bytes] | None = None,
    *,
    vary: bytes = b"",
    **given: float,
) -> Entry:
    terms = Terms(
        lifetime=given.get("lifetime", 60.0),
        initial_age=given.get("initial_age", 0.0),
        validate=bool(given.get("validate", False)),
        strict=bool(given.get("strict", False)),
        while_revalidate=given.get("while_revalidate", 0.0),
        if_error=0.0,
    )
    fields = {b"cache-control": b"max-age=60", b"etag": b'"1"'} | (headers or {})
    tags = tuple(fields.pop(b"surrogate-key", b"").split())
    names = (vary,) if vary else ()
    variant = b"=" + fields.get(b"content-language", b"") if vary else b""
    return Entry(key, names, variant, 200, fields, terms, time.time(), body=body, tags=tags)


async def purge(node: Node, kind: str, value: str, *, soft: bool = False) -> None:
    """As the supervisor writes it for its node; no worker hears of it."""
    names = marks.keys("edgeproxy:")
    arguments = marks.arguments(named(kind, value, time.time(), soft=soft), "fedcba9876543210", "{}")
    await node.tier.link.call(lambda client: client.eval(marks.PURGE, 2, *names, *arguments))


@pytest.mark.parametrize("body", [TEXT, b"", b"short", bytes(range(256)) * 1000])
async def test_what_one_node_has_stored_another_one_finds(nodes: tuple[Node, Node], body: bytes) -> None:
    one, other = nodes
    assert await other.get() is None
    kept = answer(body=body, headers={b"surrogate-key": b"a b"}, initial_age=7.0)
    await one.keep(kept)
    found = await other.get()
    assert found is not None
    assert (found.key, found.status, found.body, found.tags, found.etag) == (KEY, 200, body, (b"a", b"b"), b'"1"')
    assert found.terms == kept.terms
    assert found.base == pytest.approx(kept.base)
    assert await other.get(KEY + b"x") is None


async def test_bodies_that_shrink_are_kept_small_and_for_as_long_as_they_are_of_use(
    nodes: tuple[Node, Node], server: RedisServer
) -> None:
    await nodes[0].keep(answer(while_revalidate=40.0))
    with server.client as client:
        (name,) = client.keys("edgeproxy:answer:*")
        assert client.strlen(name) < len(TEXT) / 2
        assert 90 < client.ttl(name) <= 100


@pytest.mark.parametrize(
    "entry",
    [
        answer(validate=True),
        answer(lifetime=60.0, initial_age=60.0),
        answer(lifetime=1.0, initial_age=50.0, strict=True, while_revalidate=100.0),
        answer(body=b"x" * 1_000_001),
    ],
)
async def test_what_is_of_no_use_there_is_not_written(
    nodes: tuple[Node, Node], server: RedisServer, entry: Entry
) -> None:
    one, _ = nodes
    ticket = (await one.tier.get(KEY, {})).ticket
    assert ticket is not None
    one.tier.put(entry, ticket, time.time())
    await one.keep(answer(KEY + b"after"))
    with server.client as client:
        assert len(client.keys("edgeproxy:answer:*")) == 1


async def test_variants_are_told_apart(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    for language in (b"de", b"fr"):
        await one.keep(answer(body=language, headers={b"content-language": language}, vary=b"accept-language"))
    assert [
        (await other.get(accept_language=language) or answer(body=b"-")).body for language in (b"de", b"fr", b"it")
    ] == [
        b"de",
        b"fr",
        b"-",
    ]
    await one.keep(answer(body=b"for all"))
    assert (await other.get(accept_language=b"it") or answer(body=b"-")).body == b"for all"


PURGES = [
    ("url", "http://www.example.com/a"),
    ("prefix", "http://www.example.com/"),
    ("host", "www.example.com"),
    ("tag", "t2"),
    ("all", ""),
]


@pytest.mark.parametrize(("kind", "value"), PURGES)
async def test_what_was_purged_is_not_found_and_what_comes_after_is(
    nodes: tuple[Node, Node], kind: str, value: str
) -> None:
    one, other = nodes
    kept = {b"surrogate-key": b"t1 t2"}
    for key in (KEY, KEY + b"#beta"):
        await one.keep(answer(key, headers=kept))
    await one.keep(answer(b"https://example.com/a", headers={b"surrogate-key": b"t1"}))
    late = await other.tier.get(KEY, {})
    await purge(one, kind, value)
    for key in (KEY, KEY + b"#beta"):
        assert await other.get(key) is None
    assert (await other.get(b"https://example.com/a") is None) is (kind == "all")
    await other.keep(answer(headers=kept), late)  # fetched before the purge, written after it
    assert await one.get() is None
    await other.keep(answer(headers=kept))
    assert await one.get() is not None


@pytest.mark.parametrize(("kind", "value"), PURGES)
async def test_a_soft_purge_leaves_it_stale(nodes: tuple[Node, Node], kind: str, value: str) -> None:
    one, other = nodes
    await one.keep(answer(headers={b"surrogate-key": b"t2"}, initial_age=5.0, while_revalidate=30.0))
    await purge(one, kind, value, soft=True)
    found = await other.get()
    assert found is not None
    assert found.fresh_until <= time.time()
    assert found.fields.fields[b"cache-control"] == b"max-age=5"
    assert found.terms.while_revalidate == 30.0
    await purge(one, "url", "http://www.example.com/a")
    await purge(one, kind, value, soft=True)  # does not bring it back
    assert await other.get() is None


async def test_what_this_worker_has_heard_of_counts_before_redis_has(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    await one.keep(answer())
    other.log.add(named("host", "www.example.com", time.time(), soft=True))
    found = await other.get()
    assert found is not None
    assert found.fresh_until <= time.time()
    other.log.add(named("url", "http://www.example.com/a", time.time()))
    assert await other.get() is None
    assert await one.get() is not None


async def test_a_url_that_was_changed_is_not_found_here_at_once_and_elsewhere_soon(
    nodes: tuple[Node, Node], server: RedisServer
) -> None:
    one, other = nodes
    for key in (KEY, KEY + b"#beta"):
        await one.keep(answer(key))
    before = await other.tier.get(KEY, {})
    one.tier.change(KEY + b"#canary")
    assert await one.get() is None
    with server.client as client:
        await eventually(lambda: bool(client.keys("edgeproxy:change:*")))
    assert await other.get() is None
    assert await other.get(KEY + b"#beta") is None
    await other.keep(answer(), before)
    assert await one.get() is None
    await other.keep(answer())
    assert await one.get() is not None


async def test_many_prefixes_of_a_host_become_the_host(nodes: tuple[Node, Node], server: RedisServer) -> None:
    one, other = nodes
    await one.keep(answer())
    await one.keep(answer(b"http://other.example/"))
    for number in range(marks.MOST_PREFIXES):
        await purge(one, "prefix", f"http://www.example.com/b{number}", soft=True)
    await purge(one, "prefix", "http://www.example.com/b0")
    assert await other.get() is not None
    await purge(one, "prefix", "http://www.example.com/c")
    assert await other.get() is None
    assert await other.get(b"http://other.example/") is not None
    with server.client as client:
        assert set(client.hkeys(marks.keys("edgeproxy:").marks)) == {b"epoch", b"number", b"host:www.example.com"}


async def test_past_the_bound_on_marks_everything_counts_as_purged(
    nodes: tuple[Node, Node], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MOST_MARKS", 5)
    one, other = nodes
    await one.keep(answer())
    for number in range(3):
        await purge(one, "tag", f"t{number}")
    assert await other.get() is not None
    await purge(one, "tag", "t3")
    assert await other.get() is None
    with server.client as client:
        assert client.hgetall(marks.keys("edgeproxy:").marks) == {
            b"epoch": b"0123456789abcdef",
            b"number": b"4",
            b"all": b"4 0",
        }
    await other.keep(answer())
    assert await one.get() is not None


async def test_where_redis_lost_what_was_purged_nothing_older_is_used(
    nodes: tuple[Node, Node], server: RedisServer
) -> None:
    one, other = nodes
    await one.keep(answer())
    with server.client as client:
        client.delete(marks.keys("edgeproxy:").marks)
        assert await other.tier.get(KEY, {}) == (None, None)
        client.hset(marks.keys("edgeproxy:").marks, mapping={"epoch": "another-epoch-00", "number": 0})
    assert await other.get() is None
    await other.keep(answer())
    assert await one.get() is not None


@pytest.mark.parametrize("body", [TEXT, b"too short to be compressed"])
@pytest.mark.parametrize("cut", [0, 1, 20, 60, -1])
async def test_what_is_damaged_is_a_miss(nodes: tuple[Node, Node], server: RedisServer, cut: int, body: bytes) -> None:
    one, other = nodes
    await one.keep(answer(body=body))
    with server.client as client:
        (name,) = client.keys("edgeproxy:answer:*")
        value = client.get(name)
        client.set(name, value[:cut])
        assert await other.get() is None
        client.set(name, value[:cut] + bytes([value[cut] ^ 1]) + (value[cut + 1 :] if cut >= 0 else b""))
        assert await other.get() is None
        client.hset(marks.keys("edgeproxy:").marks, "all", "nonsense")
        assert await other.get() is None


async def test_a_full_redis_is_said_once_and_still_read(
    nodes: tuple[Node, Node], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = nodes
    await one.keep(answer())
    with server.client as client:
        client.config_set("maxmemory", "1mb")
        try:
            for number in range(3):
                await one.keep(answer(KEY + b"%d" % number))
        finally:
            client.config_set("maxmemory", "0")
    assert [record.message for record in caplog.records if "maxmemory-policy" in record.message] != []
    assert len([record for record in caplog.records if "maxmemory-policy" in record.message]) == 1
    assert await other.get() is not None


async def test_the_queue_is_bounded(nodes: tuple[Node, Node], server: RedisServer) -> None:
    one, _ = nodes
    ticket = (await one.tier.get(KEY, {})).ticket
    assert ticket is not None
    for number in range(QUEUE_ENTRIES + 50):
        one.tier.put(answer(KEY + b"%d" % number), ticket, time.time())
    assert repr(one.tier) == f"<RedisTier closed {QUEUE_ENTRIES} waiting>"
    with server.client as client:
        await eventually(lambda: len(client.keys("edgeproxy:answer:*")) == QUEUE_ENTRIES)
    assert repr(one.tier) == "<RedisTier closed 0 waiting>"


async def test_a_dead_redis_is_left_alone_said_once_and_taken_up_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "edgeproxy")
    with RedisServer() as own:
        node = Node(Settings((own.url,), timeout=0.05))
        node.tier.start()
        try:
            await node.up()
            own.hold()  # the worst case: connections stand and nothing comes
            async with asyncio.timeout(5):
                while node.tier.link.breaker.closed:
                    assert await node.tier.get(KEY, {}) == (None, None)
            started = time.perf_counter()
            for _ in range(1000):
                assert await node.tier.get(KEY, {}) == (None, None)
            assert time.perf_counter() - started < 0.5
            node.tier.change(KEY)
            own.stop()
            own.start()
            await eventually(lambda: node.tier.link.breaker.closed, 20)
            await eventually(lambda: bool(own.client.keys("edgeproxy:change:*")))  # told late, but told
        finally:
            await node.tier.close()
    said = [record.message for record in caplog.records if record.name == "edgeproxy.redis"]
    assert len([line for line in said if "does not answer" in line]) == 1
    assert len([line for line in said if "answers again" in line]) == 1


async def test_answers_are_never_mixed_up_by_a_call_that_took_too_long(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    for number in range(20):
        await one.keep(answer(KEY + b"%d" % number, body=b"%d" % number))
    gets = [asyncio.ensure_future(other.get(KEY + b"%d" % (number % 20))) for number in range(200)]
    await asyncio.sleep(0)
    for number, get in enumerate(gets):
        if number % 3 == 0:
            get.cancel()
    for number, got in enumerate(await asyncio.gather(*gets, return_exceptions=True)):
        if isinstance(got, Entry):
            assert (got.key, got.body) == (KEY + b"%d" % (number % 20), b"%d" % (number % 20))
    assert [(await other.get(KEY + b"%d" % number) or answer()).body for number in range(20)] == [
        b"%d" % number for number in range(20)
    ]
