"""Variants by way of a stand-in that makes pictures: what is asked of it, and what becomes of its answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.config.snapshot import Route
from edgeproxy.errors import EdgeError
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Request, Response
from edgeproxy.images.failures import LASTS
from edgeproxy.images.plan import ImageError, Picture, Plan
from edgeproxy.images.unhurried import Unhurried
from edgeproxy.images.variants import Variants, Ways
from edgeproxy.pipeline.exchange import Exchange
from middleware.cache import Cache
from tests.support import pictures
from tests.support.caching import Edge
from tests.support.stages import exchange, route, services, stage
from tests.support.waiting import eventually

JPEG = pictures.encode(pictures.photo(40, 30), "JPEG")
FACET = b"f=webp,w=320"
AVIF = b"f=avif,w=320"


class Bench:
    """Variants over a cache and an origin; ``plans`` are those that were asked for, ``made`` is what is given."""

    def __init__(self, **ways: Any) -> None:
        self.edge = Edge()
        self.edge.answers(200, JPEG, content_type=b"image/jpeg", etag=b'"v1"', cache_control=b"max-age=60")
        self.clock: ManualClock = self.edge.clock
        self.outcomes: Counter[str] = Counter()
        self.weighed: list[tuple[int, int]] = []
        self.plans: list[Plan] = []
        self.background = 0
        self.made: Picture | ImageError = Picture(b"variant", b"image/webp", 32, 24)
        self.gate: asyncio.Event | None = None
        self.other: Route | None = None
        self.there = True
        settings = {"most": 8, "largest": 100_000, "likeness": 0.0, "hurry": True, "craft": b""} | ways
        told = Ways(route=self._route, tell=self._tell, weigh=self._weigh, **settings)
        self.variants = Variants(self, told, self.clock.monotonic)

    def wants(self, facet: bytes = FACET, method: bytes = b"GET", **fields: bytes) -> Exchange:
        headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
        x = exchange(b"/a.jpg", {b"host": b"a.test"} | headers, authority=b"a.test", started=0.0, method=method)
        x.route, x.facet = self.edge.route, facet
        return x

    async def fetch(self, x: Exchange | None = None) -> Response:
        response = await self.variants.fetch(x or self.wants())
        assert response is not None
        return response

    async def make(self, source: bytes, plan: Plan, *, background: bool = False) -> Picture:
        self.plans.append(plan)
        self.background += background
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.made, ImageError):
            raise self.made
        return self.made

    def _route(self, x: Exchange, request: Request) -> Route | None:
        return (self.other or self.edge.route) if self.there else None

    def _tell(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def _weigh(self, original: int, variant: int) -> None:
        self.weighed.append((original, variant))


async def test_a_variant_is_made_of_the_original_on_its_terms() -> None:
    bench, x = Bench(), None
    x = bench.wants(cookie=b"a=1", authorization=b"x")
    response = await bench.fetch(x)
    assert (response.status, response.body, response.get(b"content-type")) == (200, b"variant", b"image/webp")
    assert response.get(b"cache-control") == b"max-age=60"
    assert bench.plans == [Plan(format="webp", width=320, hurry=True)]
    assert (x.keep, bench.outcomes, bench.weighed) == (True, {"made": 1}, [(len(JPEG), 7)])
    assert not {b"cookie", b"authorization"} & bench.edge.asked[0].headers.keys()


async def test_the_original_is_fetched_once_for_all_its_variants() -> None:
    bench = Bench()
    tags = {(await bench.fetch(bench.wants(facet))).get(b"etag") for facet in (FACET, AVIF, b"w=640")}
    assert (len(tags), len(bench.edge.asked), len(bench.plans)) == (3, 1, 3)


async def test_what_is_still_the_same_is_not_made_again() -> None:
    bench = Bench()
    etag = (await bench.fetch()).get(b"etag", b"")
    assert etag
    again = await bench.fetch(bench.wants(if_none_match=etag))
    assert (again.status, again.get(b"etag"), len(bench.plans)) == (304, etag, 1)
    assert again.get(b"cache-control") == b"max-age=60"
    bench.clock.advance(61)
    bench.edge.answers(200, JPEG, content_type=b"image/jpeg", etag=b'"v2"')
    changed = await bench.fetch(bench.wants(if_none_match=etag))
    assert (changed.status, len(bench.plans)) == (200, 2)
    assert changed.get(b"etag") != etag


async def test_an_original_without_a_tag_is_told_by_its_bytes() -> None:
    bench = Bench()
    bench.edge.answers(200, JPEG, content_type=b"image/jpeg")
    etag = (await bench.fetch()).get(b"etag", b"")
    assert etag
    assert (await bench.fetch(bench.wants(if_none_match=etag))).status == 304
    bench.edge.answers(200, JPEG + b"\0", content_type=b"image/jpeg")
    assert (await bench.fetch(bench.wants(if_none_match=etag))).status == 200


async def test_another_craft_makes_another_variant() -> None:
    one, other = Bench(), Bench(craft=b"quality=50")
    assert (await one.fetch()).get(b"etag") != (await other.fetch()).get(b"etag")


@pytest.mark.parametrize("etag", [b'"v1"', b""])
async def test_a_head_is_answered_without_making_anything(etag: bytes) -> None:
    bench = Bench()
    bench.edge.answers(200, JPEG, content_type=b"image/jpeg", etag=etag)
    whole = (await bench.fetch()).headers()
    head = await bench.fetch(bench.wants(method=b"HEAD"))
    assert (head.status, head.body, head.headers(), len(bench.plans)) == (200, b"", whole, 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content_type": b"image/svg+xml"}, "format"),
        ({"content_type": b"text/html"}, "format"),
        ({"content_type": b"image/jpeg", "cache_control": b"no-transform"}, "no-transform"),
        ({"content_type": b"image/jpeg", "content_encoding": b"br"}, "format"),
    ],
)
async def test_what_nothing_may_be_made_of_is_passed_on_as_it_is(fields: dict[str, bytes], reason: str) -> None:
    bench, x = Bench(), None
    bench.edge.answers(200, JPEG, **fields)
    x = bench.wants()
    response = await bench.fetch(x)
    assert (response.status, response.body, response.get(b"etag")) == (200, JPEG, None)
    assert response.get(b"edgeproxy-image") == b"original; reason=" + reason.encode()
    assert (x.keep, bench.plans, bench.outcomes) == (False, [], {reason: 1})


@pytest.mark.parametrize("length", [None, 200_000])
async def test_one_that_is_too_large_is_passed_on_whole(length: int | None) -> None:
    bench, x = Bench(), None

    async def endless(request: Request) -> Response:
        pipe = Pipe(length)
        pipe.feed(b"x" * 150_000)
        pipe.feed(b"y" * 50_000)
        pipe.finish()
        return Response(200, {b"content-type": b"image/jpeg"}, pipe)

    bench.edge.answer = endless
    x = bench.wants()
    response = await bench.fetch(x)
    body = b""
    while not isinstance(response.body, bytes) and (chunk := await response.body.read()):
        body += chunk
    assert body == b"x" * 150_000 + b"y" * 50_000
    assert (x.keep, bench.plans, bench.outcomes) == (False, [], {"bytes": 1})


@pytest.mark.parametrize("reason", ["damaged", "pixels", "time", "memory"])
async def test_what_fails_is_passed_on_and_not_tried_again_for_a_while(reason: str) -> None:
    bench = Bench()
    bench.made = ImageError(reason)
    for _ in range(3):
        x = bench.wants()
        response = await bench.fetch(x)
        assert (response.body, x.keep) == (JPEG, False)
        assert response.get(b"edgeproxy-image") == b"original; reason=" + reason.encode()
        assert response.get(b"etag") == b'"v1"'
    assert len(bench.plans) == 1
    await bench.fetch(bench.wants(AVIF))
    assert len(bench.plans) == 2
    bench.clock.advance(LASTS)
    await bench.fetch()
    assert len(bench.plans) == 3


async def test_a_full_line_is_tried_again_at_once() -> None:
    bench = Bench()
    bench.made = ImageError("queue")
    await bench.fetch()
    await bench.fetch()
    assert (len(bench.plans), bench.outcomes) == (2, {"queue": 2})


async def test_no_more_originals_are_held_than_may_wait() -> None:
    bench = Bench(most=2)
    bench.gate = asyncio.Event()
    waiting = [asyncio.ensure_future(bench.fetch(bench.wants(b"w=%d" % width))) for width in (1, 2)]
    await eventually(lambda: len(bench.plans) == 2)
    refused = await asyncio.wait_for(bench.fetch(), 5)
    assert refused.get(b"edgeproxy-image") == b"original; reason=queue"
    bench.gate.set()
    assert [(await one).body for one in waiting] == [b"variant"] * 2
    assert (await bench.fetch()).body == b"variant"


async def test_who_wants_the_same_waits_for_one_job_even_if_the_first_leaves() -> None:
    bench = Bench()
    bench.gate = asyncio.Event()
    first, second = (asyncio.ensure_future(bench.fetch()) for _ in range(2))
    await eventually(lambda: len(bench.plans) == 1)
    first.cancel()
    bench.gate.set()
    assert (await second).body == b"variant"
    assert first.cancelled()
    assert len(bench.plans) == 1
    bench.made = ImageError("damaged")
    assert (await bench.fetch(bench.wants(AVIF))).body == JPEG


async def test_what_would_be_no_smaller_is_the_original_and_kept() -> None:
    bench = Bench()
    bench.made = Picture(b"x" * len(JPEG), b"image/webp", 40, 30)
    x = bench.wants()
    response = await bench.fetch(x)
    assert (response.body, response.get(b"content-type"), x.keep) == (JPEG, b"image/jpeg", True)
    assert response.get(b"edgeproxy-image") == b"original; reason=larger"
    etag = response.get(b"etag", b"")
    assert etag != b'"v1"'
    assert (await bench.fetch(bench.wants(if_none_match=etag or b""))).status == 304
    assert len(bench.plans) == 1


@pytest.mark.parametrize(
    ("facet", "size", "body"),
    [
        (b"f=webp,w=20", (20, 15), len(JPEG)),  # smaller in pixels
        (b"f=webp,rotate=90", (30, 40), len(JPEG)),  # another picture
        (b"f=webp,metadata=none", (40, 30), len(JPEG) - 1),
        (b"f=json", (40, 30), len(JPEG)),
    ],
)
async def test_a_larger_file_that_is_asked_for_is_given(facet: bytes, size: tuple[int, int], body: int) -> None:
    bench = Bench()
    content_type = b"application/json" if facet == b"f=json" else b"image/webp"
    bench.made = Picture(b"x" * body, content_type, *size)
    assert (await bench.fetch(bench.wants(facet))).get(b"edgeproxy-image") is None


async def test_metadata_that_are_not_to_be_shown_are_no_reason_to_show_the_original() -> None:
    bench = Bench()
    source = pictures.encode(pictures.photo(40, 30), "JPEG") + b"Exif\0\0"
    bench.edge.answers(200, source, content_type=b"image/jpeg")
    bench.made = Picture(b"x" * len(source), b"image/webp", 40, 30)
    assert (await bench.fetch()).body == bench.made.body
    assert (await bench.fetch(bench.wants(b"f=webp,metadata=keep"))).body == source


@pytest.mark.parametrize("status", [404, 302, 410])
async def test_another_answer_than_a_picture_is_passed_on(status: int) -> None:
    bench, x = Bench(), None
    bench.edge.answers(status, b"none", cache_control=b"max-age=9", location=b"/b.jpg")
    x = bench.wants()
    response = await bench.fetch(x)
    assert (response.status, response.body, x.keep, bench.outcomes) == (status, b"none", True, {"no-source": 1})
    assert response.get(b"cache-status") is None


@pytest.mark.parametrize(
    ("status", "fields"), [(401, {}), (403, {}), (200, {"cache_control": b"private"}), (200, {"vary": b"Cookie"})]
)
async def test_what_is_for_somebody_in_particular_is_asked_for_by_the_client_itself(
    status: int, fields: dict[str, bytes]
) -> None:
    bench = Bench()
    bench.edge.answers(status, JPEG, content_type=b"image/jpeg", **fields)
    x = bench.wants(cookie=b"a=1")
    assert await bench.variants.fetch(x) is None
    assert (x.keep, bench.plans, bench.outcomes) == (False, [], {"personal": 1})


async def test_another_routes_picture_is_never_asked_for_in_the_clients_name() -> None:
    bench = Bench()
    bench.other = route([stage(Cache, {}, services())], bench.edge, name="others")
    bench.edge.answers(401, b"who are you?")
    response = await bench.fetch(bench.wants(cookie=b"a=1", if_match=b'"1"'))
    assert (response.status, response.body) == (401, b"who are you?")


async def test_a_condition_that_guards_a_change_is_for_the_origin() -> None:
    bench = Bench()
    x = bench.wants(if_match=b'"v1"')
    assert await bench.variants.fetch(x) is None
    assert (x.keep, bench.edge.asked) == (False, [])


async def test_a_route_that_is_gone_leads_nowhere() -> None:
    bench = Bench()
    bench.there = False
    with pytest.raises(EdgeError):
        await bench.fetch()


async def test_the_stage_adds_to_a_plan_what_it_is_configured_to() -> None:
    bench = Bench(likeness=0.95, hurry=False)
    await bench.fetch()
    await bench.fetch(bench.wants(b"q=75,w=320"))
    await bench.fetch(bench.wants(b"compression=fast"))
    assert bench.plans == [
        Plan(width=320, format="webp", ssim=0.95),
        Plan(width=320, quality=75),
        Plan(ssim=0.95, hurry=True),
    ]


# Better copies.


async def hurried(bench: Bench, facet: bytes = AVIF) -> tuple[Exchange, Response]:
    bench.made = Picture(b"quickly made", b"image/avif", 320, 240, unhurried=True)
    x = bench.wants(facet)
    return x, await bench.fetch(x)


async def test_what_was_made_in_a_hurry_says_how_it_is_made_well() -> None:
    bench = Bench()
    x, _ = await hurried(bench)
    assert isinstance(x.improvement, Unhurried)
    x, _ = await hurried(bench, b"compression=fast,f=avif")
    assert x.improvement is None
    bench.made = Picture(b"variant", b"image/webp", 32, 24)
    x = bench.wants()
    await bench.fetch(x)
    assert x.improvement is None
