"""The cache stage: what its settings mean. How it looks up and stores: tests/unit/cache."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.config.stages import discover
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from tests.support.stages import Client, exchange, route, services, stage

MODIFIED = b"Fri, 15 Jan 2027 07:58:20 GMT"  # 100 s before the clock's start


class Site:
    """An origin behind a cache stage with these settings."""

    name = "origin"

    def __init__(self, headers: dict[bytes, bytes] | None = None, body: bytes = b"body", **settings: Any) -> None:
        self.clock = ManualClock()
        self.route = route([stage(Cache, settings, services(self.clock))], self)
        self.headers = headers or {b"cache-control": b"max-age=60"}
        self.body = body
        self.down = False
        self.asked = 0
        self.targets: list[bytes] = []

    async def fetch(self, x: Exchange) -> Response:
        self.asked += 1
        self.targets.append(x.request.target)
        if self.down:
            raise EdgeError(Kind.CONNECT_REFUSED, "origin")
        return Response(200, dict(self.headers), self.body)

    async def get(self, target: bytes = b"/", **fields: bytes) -> Client:
        x = exchange(target, {name.replace("_", "-").encode(): value for name, value in fields.items()})
        x.route = self.route
        client = Client()
        serve(x, client)
        return await client.done()

    async def asked_again(self, after: float, **fields: bytes) -> bool:
        await self.get()
        before = self.asked
        self.clock.advance(after)
        await self.get(**fields)
        return self.asked > before


async def test_it_is_on_and_keeps_what_it_may() -> None:
    assert Cache.name in discover().on
    assert not await Site().asked_again(59)
    assert await Site().asked_again(61)


@pytest.mark.parametrize(("size", "kept"), [(1000, True), (1001, False)])
async def test_an_answer_larger_than_the_largest_is_not_kept(size: int, kept: bool) -> None:
    site = Site(body=b"x" * size, largest="1KB")
    assert await site.asked_again(0) is not kept


@pytest.mark.parametrize(("after", "status"), [(60 + 29, 200), (60 + 31, 502)])
async def test_grace_is_how_long_a_stale_answer_stands_in(after: float, status: int) -> None:
    site = Site(grace="30s")
    await site.get()
    site.down = True
    site.clock.advance(after)
    assert (await site.get()).status == status


@pytest.mark.parametrize(
    ("heuristic", "after", "asked"),
    [
        ({}, 9, False),
        ({}, 11, True),
        ({"share": "50%"}, 49, False),
        ({"share": "50%", "longest": "20s"}, 21, True),
        ({"share": 0}, 0, True),
    ],
)
async def test_a_lifetime_is_guessed_as_configured(heuristic: dict[str, Any], after: float, asked: bool) -> None:
    site = Site({b"last-modified": MODIFIED}, heuristic=heuristic)
    assert await site.asked_again(after) is asked


@pytest.mark.parametrize(("settings", "asked"), [({}, True), ({"client_directives": "ignore"}, False)])
async def test_a_client_may_ask_for_a_new_answer_unless_it_is_ignored(settings: dict[str, Any], asked: bool) -> None:
    assert await Site(**settings).asked_again(1, cache_control=b"no-cache") is asked


async def test_what_a_key_leaves_out_makes_no_difference_and_reaches_no_origin() -> None:
    site = Site(key={"query": {"tracking": "drop", "sort": True}})
    await site.get(b"/?b=2&utm_source=x&a=1")
    await site.get(b"/?a=1&fbclid=7&b=2")
    assert site.targets == [b"/?a=1&b=2"]


async def test_a_cookie_in_the_key_tells_answers_apart() -> None:
    site = Site(key={"cookies": "lang"})
    for lang in (b"lang=de", b"lang=en", b"lang=de; id=7"):
        await site.get(cookie=lang)
    assert site.asked == 2


async def test_a_bypass_neither_looks_up_nor_keeps() -> None:
    site = Site(bypass={"cookies": "session"})
    assert (await site.get(cookie=b"session=1")).field(b"cache-status") == b"edgeproxy; fwd=bypass"
    await site.get()
    await site.get(cookie=b"session=1")
    await site.get()
    assert site.asked == 3


async def test_a_routes_lifetimes_count_where_the_origin_says_nothing() -> None:
    assert not await Site({b"content-type": b"text/html"}, ttl={"text/html": "50s"}).asked_again(49)
    assert await Site({b"content-type": b"text/html"}, ttl={"text/html": "50s"}).asked_again(51)
    assert await Site({b"cache-control": b"max-age=9"}, ttl={200: "50s"}).asked_again(10)
    assert not await Site({b"cache-control": b"max-age=9"}, ttl={200: "50s"}, origin="override").asked_again(10)


async def test_a_window_is_granted_while_an_answer_is_revalidated() -> None:
    site = Site(stale_while_revalidate="30s", grace="0s")
    await site.get()
    site.clock.advance(60 + 29)
    assert (await site.get()).field(b"cache-status") == b"edgeproxy; hit; detail=stale"
    assert await Site(stale_while_revalidate="30s").asked_again(60 + 31)


@pytest.mark.parametrize(("after", "status"), [(60 + 29, 200), (60 + 31, 502)])
async def test_a_window_is_granted_for_errors(after: float, status: int) -> None:
    site = Site(stale_if_error="30s", grace="0s")
    await site.get()
    site.down = True
    site.clock.advance(after)
    assert (await site.get()).status == status


async def test_browsers_are_told_that_a_hashed_name_never_changes() -> None:
    site = Site({b"content-type": b"text/javascript"}, hashed_names="on")
    for _ in range(2):
        told = (await site.get(b"/app.3f2a91bc.js")).field(b"cache-control")
        assert told == b"max-age=31536000, immutable"
        site.clock.advance(1_000_000)
    assert site.asked == 1
    assert (await site.get(b"/app.js")).field(b"cache-control") is None


def test_tags_do_not_go_on_to_clients_unless_it_is_said() -> None:
    lent = services()
    made = stage(Cache, {}, lent)
    for shown in (False, True):
        lent.cache.show_tags = shown
        response = Response(200, {b"surrogate-key": b"a", b"cache-tag": b"b", b"etag": b'"1"'})
        made.response(exchange(), response)
        assert set(response.headers()) == ({b"surrogate-key", b"cache-tag", b"etag"} if shown else {b"etag"})


def test_it_says_the_key_and_what_it_is_made_of() -> None:
    said = stage(Cache, {"key": {"query": {"only": ["id"]}}}).explain(exchange(b"/x?y=1&id=2"))
    assert said.startswith("key http://www.example.com/x?id=2#")
    assert said.endswith("(scheme, host, path, query parameters id)")


@pytest.mark.parametrize(
    "wrong",
    [
        {"largest": "20GB"},
        {"grace": "-1s"},
        {"heuristic": {"share": "101%"}},
        {"client_directives": "some"},
        {"ttl": 5},
        {"key": {"headers": ["cookie"]}},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Cache, wrong)
