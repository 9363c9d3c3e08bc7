"""Requests that change something: what goes out of date, and a POST that answers later GETs."""

from __future__ import annotations

import pytest

from tests.support.caching import Edge

HIT = b"edgeproxy; hit"


async def stored(edge: Edge, *targets: bytes) -> None:
    edge.answers(cache_control=b"max-age=60")
    for target in targets:
        await edge.get(target)


@pytest.mark.parametrize("field", ["location", "content_location"])
@pytest.mark.parametrize(
    ("told", "hit"),
    [
        (b"/b", False),
        (b"http://a.test/b", False),
        (b"http://A.test:80/b", True),
        (b"http://b.test/b", True),
        (b"//b.test/b", True),
        (b"https://a.test/b", True),
        (b"b", True),
        (b"\xff", True),
    ],
)
async def test_where_the_answer_points_is_out_of_date_on_the_same_site(field: str, told: bytes, hit: bool) -> None:
    edge = Edge()
    await stored(edge, b"/a", b"/b")
    edge.answers(201, b"", **{field: told})
    await edge.send(b"POST", b"/a")
    edge.answers(cache_control=b"max-age=60")
    assert ((await edge.get(b"/b")).field(b"cache-status") == HIT) is hit
    assert (await edge.get(b"/a")).field(b"cache-status") != HIT


async def test_a_post_that_says_its_answer_is_the_target_answers_later_gets() -> None:
    """RFC 9110 §9.3.3."""
    edge = Edge()
    await stored(edge, b"/a")
    edge.answers(200, b"posted", cache_control=b"max-age=60", content_location=b"/a")
    first = await edge.send(b"POST", b"/a")
    assert (first.body, first.field(b"cache-status")) == (b"posted", b"edgeproxy; fwd=method; fwd-status=200; stored")
    second = await edge.get(b"/a")
    assert (second.body, second.field(b"cache-status")) == (b"posted", HIT)


@pytest.mark.parametrize(
    ("method", "status", "request_fields", "fields"),
    [
        (b"POST", 200, {}, {"cache_control": b"max-age=60", "content_location": b"/b"}),
        (b"POST", 200, {}, {"cache_control": b"max-age=60"}),
        (b"POST", 200, {}, {"cache_control": b"max-age=0", "content_location": b"/a"}),
        (b"POST", 200, {}, {"cache_control": b"public", "content_location": b"/a", "etag": b'"1"'}),
        (b"POST", 200, {}, {"cache_control": b"no-store, max-age=60", "content_location": b"/a"}),
        (b"POST", 201, {}, {"cache_control": b"max-age=60", "content_location": b"/a"}),
        (b"PUT", 200, {}, {"cache_control": b"max-age=60", "content_location": b"/a"}),
        (b"POST", 200, {"authorization": b"Basic x"}, {"cache_control": b"max-age=60", "content_location": b"/a"}),
        (b"POST", 200, {"x_http_method": b"GET"}, {"cache_control": b"max-age=60", "content_location": b"/a"}),
    ],
)
async def test_any_other_answer_to_an_unsafe_request_is_not_kept(
    method: bytes, status: int, request_fields: dict[str, bytes], fields: dict[str, bytes]
) -> None:
    edge = Edge()
    edge.answers(status, b"posted", **fields)
    assert (await edge.send(method, b"/a", **request_fields)).body == b"posted"
    assert len(edge.tiers.memory) == 0


async def test_what_the_key_leaves_out_keeps_a_posts_answer_out() -> None:
    edge = Edge(key={"query": {"tracking": "drop"}})
    edge.answers(200, b"posted", cache_control=b"max-age=60", content_location=b"/a?utm_source=x")
    await edge.send(b"POST", b"/a?utm_source=x")
    assert len(edge.tiers.memory) == 0
