"""HEAD and what is stored for GET (RFC 9111 §4.3.5)."""

from __future__ import annotations

import pytest

from tests.support.caching import Edge

HIT = b"edgeproxy; hit"


async def stale(**fields: bytes) -> Edge:
    """An edge with a stale answer of four bytes."""
    edge = Edge()
    edge.answers(**({"cache_control": b"max-age=60", "x_a": b"1"} | fields))
    await edge.get()
    edge.clock.advance(61)
    return edge


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({}, {}),
        ({}, {"content_length": b"4"}),
        ({"etag": b'"1"'}, {"etag": b'"1"', "content_length": b"9"}),
        ({"etag": b'W/"1"'}, {"etag": b'"1"'}),
        ({"last_modified": b"Thu, 14 Jan 2027 08:00:00 GMT"}, {"last_modified": b"Thu, 14 Jan 2027 08:00:00 GMT"}),
        ({"content_encoding": b"br"}, {"content_length": b"9"}),
    ],
)
async def test_a_head_about_the_same_freshens_what_is_stored(stored: dict[str, bytes], told: dict[str, bytes]) -> None:
    edge = await stale(**stored)
    edge.answers(200, b"", cache_control=b"max-age=60", x_b=b"2", **told)
    head = await edge.send(b"HEAD")
    assert (head.status, head.field(b"x-a"), head.field(b"x-b")) == (200, b"1", b"2")
    get = await edge.get()
    assert (get.body, get.field(b"x-a"), get.field(b"x-b"), get.field(b"cache-status")) == (b"body", b"1", b"2", HIT)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"etag": b'"1"'}, {"etag": b'"2"', "content_length": b"4"}),
        ({"last_modified": b"Thu, 14 Jan 2027 08:00:00 GMT"}, {"last_modified": b"Thu, 14 Jan 2027 09:00:00 GMT"}),
        ({}, {"content_length": b"5"}),
    ],
)
async def test_a_head_about_something_else_ends_the_freshness(stored: dict[str, bytes], told: dict[str, bytes]) -> None:
    edge = Edge()
    edge.answers(cache_control=b"max-age=60", **stored)
    await edge.get()
    edge.answers(200, b"", cache_control=b"max-age=60", **told)
    await edge.send(b"HEAD", cache_control=b"no-cache")
    assert (await edge.get()).field(b"cache-status") != HIT


@pytest.mark.parametrize(("status", "fields"), [(410, {}), (500, {}), (200, {"authorization": b"Basic x"})])
async def test_any_other_answer_changes_nothing(status: int, fields: dict[str, bytes]) -> None:
    edge = await stale()
    edge.answers(status, b"", cache_control=b"max-age=60")
    assert (await edge.send(b"HEAD", **fields)).status == status
    assert (await edge.get()).field(b"cache-status") != HIT


async def test_a_head_for_more_than_the_key_says_changes_nothing() -> None:
    edge = Edge(key={"query": {"tracking": "drop"}})
    edge.answers(cache_control=b"max-age=60")
    await edge.get()
    edge.answers(200, b"", cache_control=b"max-age=60", x_evil=b"1")
    await edge.send(b"HEAD", b"/?utm_source=x", cache_control=b"no-cache")
    assert (await edge.get()).field(b"x-evil") is None


async def test_a_head_is_answered_from_what_is_stored() -> None:
    edge = Edge()
    await edge.get()
    assert (await edge.send(b"HEAD")).field(b"cache-status") == HIT
    assert len(edge.asked) == 1
