"""Early hints: from whom they come, who is told, and when they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.cache.purge import named
from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from middleware.early_hints import EarlyHints
from tests.support.stages import CHROME, Client, exchange, route, services, stage

STYLE = b"</a.css>; rel=preload; as=style"
SCRIPT = b"</a.js>; rel=preload; as=script"
FONT = "</a.woff2>; rel=preload; as=font; crossorigin"


class Node:
    """A cache, early hints behind it, and an origin that answers what a test says, once it may."""

    name = "origin"

    def __init__(self, *, cache: dict[str, Any] | None = None, **settings: Any) -> None:
        self.clock = ManualClock()
        lent = services(self.clock)
        self.tiers = lent.cache
        self.counter = lent.metrics.counter("edgeproxy_early_hints_total", "", ("by",))
        self.route = route([stage(Cache, cache, lent), stage(EarlyHints, settings, lent)], self)
        self.fields: dict[bytes, bytes] = {}
        self.status = 200
        self.told: tuple[bytes, ...] = ()
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, x: Exchange) -> Response:
        if self.told and x.interim is not None:
            x.interim(103, {b"link": b", ".join(self.told)})
        await self.gate.wait()
        return Response(self.status, dict(self.fields), b"a page")

    def page(self, *links: bytes, control: bytes = b"max-age=60", **fields: bytes) -> None:
        """What the origin answers from now on."""
        self.fields = {b"content-type": b"text/html", b"cache-control": control}
        self.fields |= {name.replace("_", "-").encode(): value for name, value in fields.items()}
        if links:
            self.fields[b"link"] = b", ".join(links)

    def visit(self, target: bytes = b"/", version: bytes = b"2", **fields: bytes) -> Client:
        headers = {name: value for name, value in CHROME.items() if name != b"cookie"}
        headers |= {name.replace("_", "-").encode(): value for name, value in fields.items()}
        x = exchange(target, headers, authority=b"a.test", started=0.0)
        x.request.version = version
        x.route = self.route
        client = Client()
        serve(x, client)
        return client

    async def seen(self, target: bytes = b"/", **fields: bytes) -> list[bytes]:
        """The Link fields of the hints that a visitor was told."""
        client = await self.visit(target, **fields).done()
        assert {status for status, _ in client.hints} <= {103}
        return [hint[b"link"] for _, hint in client.hints]

    def gone_stale(self) -> None:
        self.clock.advance(3600)

    def sent(self) -> dict[str, float]:
        return {labels[0]: numbers[0] for labels, numbers in self.counter.dump()["series"]}


async def test_what_a_page_preloads_is_told_on_the_way_to_the_next_answer_before_the_origin_has_it() -> None:
    node = Node()
    node.page(STYLE, b"</next>; rel=next", SCRIPT)
    assert await node.seen() == []
    node.gone_stale()
    node.gate.clear()
    client = node.visit()
    await asyncio.sleep(0)
    assert client.hints == [(103, {b"link": STYLE + b", " + SCRIPT})]
    assert client.response is None
    node.gate.set()
    assert (await client.done()).status == 200
    assert node.sent() == {"page": 1}


async def test_hits_are_answered_and_not_hinted_at() -> None:
    node = Node(links=FONT)
    node.page(STYLE)
    await node.seen()
    client = node.visit()
    assert (client.task, client.hints, client.status) == (None, [], 200)


async def test_those_who_wait_for_another_ones_fetch_are_told_too() -> None:
    node = Node()
    node.page(STYLE)
    await node.seen()
    node.gone_stale()
    node.gate.clear()
    clients = [node.visit() for _ in range(3)]
    await asyncio.sleep(0)
    assert [client.hints for client in clients] == [[(103, {b"link": STYLE})]] * 3
    node.gate.set()
    for client in clients:
        await client.done()


async def test_configured_links_are_told_to_all_and_learned_ones_with_them() -> None:
    node = Node(links=[FONT])
    node.page(STYLE, FONT.encode(), control=b"max-age=60")
    assert await node.seen() == [FONT.encode()]
    node.gone_stale()
    assert await node.seen() == [FONT.encode() + b", " + STYLE]
    assert node.sent() == {"config": 2, "page": 1}


async def test_configured_links_are_told_where_nothing_is_cached_and_nothing_learned_is() -> None:
    node = Node(links=[FONT])
    node.page(STYLE, control=b"no-store")
    assert [await node.seen(), await node.seen()] == [[FONT.encode()]] * 2


async def test_what_the_origin_hints_at_itself_is_not_told_again() -> None:
    node = Node()
    node.page(STYLE)
    node.told = (STYLE,)
    assert await node.seen() == [STYLE]
    node.gone_stale()
    node.told = (STYLE, SCRIPT)
    assert await node.seen() == [STYLE, SCRIPT]


async def test_the_policy_a_page_loads_things_under_goes_along() -> None:
    node = Node()
    node.page(STYLE, content_security_policy=b"style-src 'self'")
    await node.seen()
    node.gone_stale()
    client = await node.visit().done()
    assert client.hints == [(103, {b"content-security-policy": b"style-src 'self'", b"link": STYLE})]


@pytest.mark.parametrize(
    ("fields", "version"),
    [({"sec_fetch_mode": b"cors"}, b"2"), ({"sec_fetch_dest": b"iframe"}, b"2"), ({}, b"1.1"), ({}, b"1.0")],
)
async def test_who_would_not_use_hints_is_told_none(fields: dict[str, bytes], version: bytes) -> None:
    node = Node(links=[FONT])
    node.page(control=b"no-store")
    assert await node.seen(version=version, **fields) == []
    assert await node.seen() == [FONT.encode()]


async def test_http_1_1_is_told_where_it_is_asked_for() -> None:
    node = Node(links=[FONT], http1=True)
    node.page(control=b"no-store")
    assert await node.seen(version=b"1.1") == [FONT.encode()]


@pytest.mark.parametrize(
    ("status", "links", "fields"),
    [
        (200, (), {}),
        (200, (b"</next>; rel=next",), {}),
        (200, (STYLE,), {"control": b"private"}),
        (200, (STYLE,), {"control": b"no-store"}),
        (200, (STYLE,), {"vary": b"Cookie"}),
        (302, (STYLE,), {"location": b"/login", "control": b"no-store"}),
        (401, (STYLE,), {"control": b"no-store"}),
        (404, (STYLE,), {}),
    ],
)
async def test_what_a_page_says_no_more_or_not_to_everybody_is_forgotten(
    status: int, links: tuple[bytes, ...], fields: dict[str, bytes]
) -> None:
    node = Node()
    node.page(STYLE)
    await node.seen()
    node.gone_stale()
    node.status = status
    node.page(*links, **fields)
    assert await node.seen() == [STYLE]
    node.gone_stale()
    node.clock.advance(3600)
    assert await node.seen() == []


async def test_an_error_ends_nothing() -> None:
    node = Node()
    node.page(STYLE)
    await node.seen()
    for _ in range(2):
        node.gone_stale()
        node.status = 503
        assert await node.seen() == [STYLE]


async def test_what_a_revalidation_says_is_the_same_stays_known() -> None:
    node = Node()
    node.page(STYLE, etag=b'"1"')
    await node.seen()
    node.status = 304
    for _ in range(3):
        node.gone_stale()
        assert await node.seen() == [STYLE]


@pytest.mark.parametrize(
    "fields",
    [
        {"vary": b"Cookie"},
        {"vary": b"Accept-Language"},
        {"set_cookie": b"theme=dark"},
        {"control": b"no-store"},
        {"control": b"private"},
        {"content_security_policy": b"script-src 'nonce-r4nd0m'"},
    ],
)
async def test_nothing_is_learned_of_what_may_be_somebodys_own(fields: dict[str, bytes]) -> None:
    node = Node()
    node.page(STYLE, **fields)
    await node.seen(cookie=b"id=1")
    node.gone_stale()
    assert await node.seen() == []


async def test_hits_of_somebody_known_end_nothing() -> None:
    node = Node()
    node.page(STYLE)
    await node.seen()
    for _ in range(2):
        assert (await node.visit(authorization=b"Basic x").done()).field(b"cache-status") == b"edgeproxy; hit"
    node.gone_stale()
    assert await node.seen() == [STYLE]


async def test_what_a_revalidation_changed_is_learned_with_the_next_hit() -> None:
    node = Node()
    node.page(STYLE, etag=b'"1"')
    await node.seen()
    node.gone_stale()
    node.status = 304
    node.page(SCRIPT, etag=b'"1"')
    await node.seen()
    await node.seen()
    node.gone_stale()
    assert await node.seen() == [SCRIPT]


async def test_nothing_is_learned_from_credentials() -> None:
    node = Node()
    node.page(STYLE, control=b"public, max-age=60")
    await node.seen(authorization=b"Basic x")
    node.gone_stale()
    assert await node.seen() == []


async def test_pages_are_told_apart_as_the_cache_does() -> None:
    node = Node(cache={"key": {"query": {"without": ["utm_*"]}}})
    node.page(STYLE)
    await node.seen(b"/?page=1")
    node.gone_stale()
    assert await node.seen(b"/?page=1&utm_source=x") == [STYLE]
    assert await node.seen(b"/?page=2") == []


@pytest.mark.parametrize(
    ("kind", "value"), [("url", "http://a.test/"), ("prefix", "http://a.test/"), ("tag", "news"), ("all", "")]
)
async def test_a_purge_ends_what_was_learned(kind: str, value: str) -> None:
    node = Node()
    node.page(STYLE, cache_tag=b"news")
    await node.seen()
    node.clock.advance(1)
    node.tiers.purge(named(kind, value, node.clock.wall()))
    node.clock.advance(1)
    assert await node.seen() == []
    node.gone_stale()
    assert await node.seen() == [STYLE]


async def test_learning_may_be_off() -> None:
    node = Node(learn=False)
    node.page(STYLE)
    await node.seen()
    node.gone_stale()
    assert await node.seen() == []


async def test_observing_tells_nobody() -> None:
    node = Node(mode="observe", links=[FONT])
    node.page(control=b"no-store")
    assert await node.seen() == []


@pytest.mark.parametrize(
    "link",
    [
        "/a.css",
        "</a.css>",
        "</a.css>; rel=preload",
        "</a.css>; rel=stylesheet",
        "</a.css>; rel=preload; as=style, </b.css>; rel=preload; as=style",
        "<javascript:x>; rel=modulepreload",
        "",
    ],
)
def test_links_that_browsers_would_not_follow_are_refused(link: str) -> None:
    with pytest.raises(ValidationError, match=r"write it like '</style\.css>; rel=preload; as=style'"):
        stage(EarlyHints, {"links": [link]})


def test_too_many_links_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most 16"):
        stage(EarlyHints, {"links": [FONT] * 17})
