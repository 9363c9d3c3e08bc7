"""Prefetching: what is asked for before somebody does, with what, and what never is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Services
from edgeproxy.pipeline.runner import serve
from middleware.access_rules import AccessRules
from middleware.cache import Cache
from middleware.prefetch import AGAIN, QUEUE, Prefetch
from tests.support.stages import Client, exchange, route, services, stage

HTML = {b"content-type": b"text/html; charset=utf-8", b"cache-control": b"max-age=600"}
ASSET = {b"content-type": b"text/css", b"cache-control": b"max-age=600"}


class Node:
    """One route with prefetch and a cache in front of an origin that a test scripts."""

    name = "origin"

    def __init__(self, *guards: Any, **settings: Any) -> None:
        self.clock = ManualClock()
        lent = services(self.clock)
        lent = Services(lent.clock, lent.metrics, lent.cache, lent.http, route=lambda _: self.route)
        self.tiers = lent.cache
        self.counter = lent.metrics.counter("edgeproxy_prefetch_total", "", ("outcome",))
        self.answers: dict[bytes, dict[bytes, bytes]] = {}
        self.asked: list[Request] = []
        self.gate: asyncio.Event | None = None
        self.at_once = self.most_at_once = 0
        stages = [*(stage(kind, given, lent) for kind, given in guards), stage(Prefetch, settings, lent)]
        self.route = route([*stages, stage(Cache, {}, lent)], self)

    async def fetch(self, x: Exchange) -> Response:
        target = x.request.target
        self.asked.append(x.request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None and b"sec-purpose" in x.request.headers:
                await self.gate.wait()
            if target not in self.answers:
                raise EdgeError(Kind.CONNECT_REFUSED, "origin")
            return Response(200, dict(self.answers[target]), b"body of " + target)
        finally:
            self.at_once -= 1

    async def get(self, target: bytes, authority: bytes = b"a.test", **fields: bytes) -> Client:
        headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
        x = exchange(target, headers, authority=authority, started=0.0)
        x.route = self.route
        client = Client()
        serve(x, client)
        await client.done()
        return client

    async def settled(self) -> list[bytes]:
        """The targets asked of the origin, when all that was begun is through."""
        while self.tiers._tasks:
            await asyncio.gather(*self.tiers._tasks, return_exceptions=True)
        return [request.target for request in self.asked]

    def page(self, *links: bytes, target: bytes = b"/") -> None:
        self.answers[target] = HTML | {b"link": b", ".join(links)}

    def outcomes(self) -> dict[str, float]:
        return {labels[0]: numbers[0] for labels, numbers in self.counter.dump()["series"]}


async def test_what_a_stored_page_links_is_there_before_it_is_asked_for() -> None:
    node = Node()
    node.page(b"</app.css>; rel=preload; as=style", b'<next>; rel="prefetch"', b"</other>; rel=alternate")
    node.answers |= {b"/app.css": ASSET, b"/next": HTML}
    await node.get(b"/")
    assert await node.settled() == [b"/", b"/app.css", b"/next"]
    assert (await node.get(b"/app.css")).field(b"cache-status") == b"edgeproxy; hit"
    assert node.outcomes() == {"fetched": 2}


async def test_neither_cookies_nor_credentials_go_along_and_the_origin_is_told() -> None:
    node = Node()
    node.page(b"</app.css>; rel=preload")
    node.answers[b"/app.css"] = ASSET
    await node.get(b"/", user_agent=b"UA", accept_encoding=b"gzip", cookie=b"id=1", x_token=b"s", referer=b"http://b/")
    await node.settled()
    fields = node.asked[-1].headers
    assert fields[b"sec-purpose"] == b"prefetch"
    assert fields[b"user-agent"] == b"UA"
    assert fields[b"host"] == b"a.test"
    assert not {b"cookie", b"authorization", b"x-token", b"referer"} & fields.keys()


@pytest.mark.parametrize(
    "target",
    [
        b"http://b.test/x",
        b"https://a.test/x",
        b"http://a.test:8080/x",
        b"//b.test/x",
        b"http://u@a.test/x",
        b"javascript:alert(1)",
        b"data:text/css,x",
        b"http://[",
        b"/%zz",
        b"/../../x",
    ],
)
async def test_only_the_pages_own_origin_is_asked(target: bytes) -> None:
    node = Node()
    node.page(b"<%b>; rel=preload" % target)
    await node.get(b"/")
    assert set(await node.settled()) <= {b"/", b"/x"}
    assert all(request.authority == b"a.test" and request.scheme == b"http" for request in node.asked)
    assert b"/x" not in [request.target for request in node.asked] or target == b"/../../x"


async def test_what_usually_followed_a_page_is_fetched_with_it() -> None:
    node = Node(learn=True)
    node.page()
    node.answers |= {b"/next": HTML, b"/odd": HTML}
    for number in range(5):
        await node.get(b"/")
        await node.get(b"/next", referer=b"http://a.test/")
        if not number:
            await node.get(b"/odd", referer=b"http://a.test/")
    for entry in list(node.tiers.memory.resources):
        node.tiers.memory.purge(entry)
    before = len(await node.settled())
    node.clock.advance(AGAIN)
    await node.get(b"/")
    assert (await node.settled())[before:] == [b"/", b"/next"]


@pytest.mark.parametrize("referer", [b"http://b.test/", b"https://a.test/", b"http://a.test.evil/", b"garbage", b""])
async def test_nothing_is_learned_from_another_site(referer: bytes) -> None:
    node = Node()
    node.page()
    node.answers[b"/next"] = HTML
    for _ in range(10):
        await node.get(b"/")
        await node.get(b"/next", referer=referer)
        node.clock.advance(AGAIN)
    assert sorted(await node.settled()) == [b"/", b"/next"]
    assert node.outcomes() == {}


async def test_nothing_is_made_of_answers_that_are_not_for_everybody() -> None:
    node = Node()
    node.page(b"</app.css>; rel=preload")
    node.answers[b"/"][b"cache-control"] = b"private"
    node.answers[b"/app.css"] = ASSET
    await node.get(b"/")
    await node.get(b"/", authorization=b"Basic eA==")
    assert set(await node.settled()) == {b"/"}


async def test_what_may_not_be_stored_is_not_fetched_again_and_again() -> None:
    node = Node()
    node.page(b"</cart>; rel=prefetch")
    node.answers[b"/cart"] = {b"cache-control": b"no-store"}
    for _ in range(3):
        await node.get(b"/")
        await node.settled()
        node.clock.advance(AGAIN)
    assert node.outcomes()["passed"] == 3
    assert (await node.settled()).count(b"/cart") == 1  # from then on the cache passes it by


async def test_what_is_there_costs_neither_a_request_nor_the_rate() -> None:
    node = Node(rate="1/h")
    node.page(b"</a>; rel=preload", b"</b>; rel=preload")
    node.answers |= {b"/a": ASSET, b"/b": ASSET}
    await node.get(b"/a")
    await node.get(b"/")
    assert (await node.settled()).count(b"/a") == 1
    assert node.outcomes() == {"present": 1, "fetched": 1}


async def test_the_rate_is_kept() -> None:
    node = Node(rate="2/h")
    node.page(*(b"</%d>; rel=preload" % number for number in range(10)))
    node.answers |= {b"/%d" % number: ASSET for number in range(10)}
    await node.get(b"/")
    assert len(await node.settled()) == 1 + 2
    assert node.outcomes() == {"fetched": 2, "dropped": 8}


async def test_no_more_than_so_many_are_under_way() -> None:
    node = Node(concurrency=3, rate="100/s")
    node.gate = asyncio.Event()
    node.page(*(b"</%d>; rel=preload" % number for number in range(10)))
    node.answers |= {b"/%d" % number: ASSET for number in range(10)}
    await node.get(b"/")
    asyncio.get_running_loop().call_later(0.05, node.gate.set)
    assert len(await node.settled()) == 11
    assert node.most_at_once == 3


async def test_the_queue_has_a_bound() -> None:
    node = Node(concurrency=1, rate="1000/s")
    node.gate = asyncio.Event()
    for page in range(10):
        target = b"/page/%d" % page
        node.page(*(b"</%d/%d>; rel=preload" % (page, number) for number in range(60)), target=target)
        await node.get(target)
    assert node.outcomes()["dropped"] >= 600 - QUEUE - 1
    node.gate.set()
    await node.settled()


async def test_a_page_is_looked_at_once_in_a_while() -> None:
    node = Node()
    node.page(b"</gone>; rel=preload")
    for _ in range(20):
        await node.get(b"/")
    assert (await node.settled()).count(b"/gone") == 1
    node.clock.advance(AGAIN)
    await node.get(b"/")
    assert (await node.settled()).count(b"/gone") == 2
    assert node.outcomes() == {"failed": 2}


async def test_what_guards_the_route_guards_it_from_this_too() -> None:
    node = Node((AccessRules, {"rules": [{"allow": {"client": "192.0.2.0/24"}}], "default": "deny"}))
    node.page(b"</app.css>; rel=preload")
    node.answers[b"/app.css"] = ASSET
    await node.get(b"/")
    assert await node.settled() == [b"/"]
    assert node.outcomes() == {"passed": 1}


@pytest.mark.parametrize("settings", [{"links": False}, {"mode": "observe"}])
async def test_it_can_be_told_not_to(settings: dict[str, Any]) -> None:
    node = Node(**settings)
    node.page(b"</app.css>; rel=preload")
    node.answers[b"/app.css"] = ASSET
    await node.get(b"/")
    assert await node.settled() == [b"/"]


async def test_without_a_route_nothing_is_fetched() -> None:
    lent = services()
    prefetch = stage(Prefetch, {}, lent)
    assert await prefetch._fetch(Request(b"GET", b"/", {})) == "dropped"
