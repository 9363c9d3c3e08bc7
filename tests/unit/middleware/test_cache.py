"""The cache stage: what its settings mean. How it looks up and stores: tests/unit/cache."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.chain import compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from tests.support.stages import Client, exchange, services, stage

MODIFIED = b"Fri, 15 Jan 2027 07:58:20 GMT"  # 100 s before the clock's start


class Site:
    """An origin behind a cache stage with these settings."""

    name = "site"
    partition = b""

    def __init__(self, headers: dict[bytes, bytes] | None = None, body: bytes = b"body", **settings: Any) -> None:
        self.clock = ManualClock()
        self.chain = compile_chain([stage(Cache, settings, services(self.clock))])
        self.origin = self
        self.headers = headers or {b"cache-control": b"max-age=60"}
        self.body = body
        self.down = False
        self.asked = 0

    async def fetch(self, x: Exchange) -> Response:
        self.asked += 1
        if self.down:
            raise EdgeError(Kind.CONNECT_REFUSED, "origin")
        return Response(200, dict(self.headers), self.body)

    async def get(self, **fields: bytes) -> Client:
        x = exchange(headers={name.replace("_", "-").encode(): value for name, value in fields.items()})
        x.route = self  # type: ignore[assignment]
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
    assert Cache.default_on
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"largest": "20GB"},
        {"grace": "-1s"},
        {"heuristic": {"share": "101%"}},
        {"client_directives": "some"},
        {"ttl": 5},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Cache, wrong)
