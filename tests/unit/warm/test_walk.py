"""The pace of a walk, and what it reads from Cache-Status. How it asks: tests/integration/commands/test_warm.py."""

from __future__ import annotations

import pytest

from edgeproxy.warm.walk import Pacer, Walk, verdict_of


def test_turns_come_at_the_rate_and_are_not_saved_up() -> None:
    pacer = Pacer(4)
    assert [pacer.turn(100.0) for _ in range(3)] == [0.0, 0.25, 0.5]
    assert pacer.turn(200.0) == 0.0
    assert pacer.turn(200.0) == 0.25


def test_a_node_that_wants_to_be_left_alone_is() -> None:
    pacer = Pacer(4)
    pacer.hold(100.0, 5)
    assert pacer.turn(100.0) == 5.0
    pacer.hold(100.0, 1)
    assert pacer.turn(100.0) == 5.25


@pytest.mark.parametrize(
    ("field", "verdict"),
    [
        ("edgeproxy; hit", "hit"),
        ("edgeproxy; hit; detail=l2", "hit"),
        ("edgeproxy; fwd=uri-miss; fwd-status=200; stored", "stored"),
        ("edgeproxy; fwd=uri-miss; fwd-status=200", "passed"),
        ("origin; hit, edgeproxy; fwd=bypass", "passed"),
        ('edgeproxy; fwd=miss; detail="hit, stored"', "passed"),
        ("", "no cache"),
    ],
)
def test_the_nearest_cache_says_what_became_of_a_request(field: str, verdict: str) -> None:
    assert verdict_of(field) == verdict


async def test_urls_the_node_has_no_address_for_are_refused_before_anything_is_asked() -> None:
    async with Walk({"http": "127.0.0.1:1"}, rate=1, concurrency=1, fields={}) as walk:
        with pytest.raises(ValueError, match="2 of the URLs are https"):
            await walk.ask(["http://a.example/", "https://a.example/", "https://b.example/"], print)
        with pytest.raises(ValueError, match="no https address"):
            await walk.get("https://a.example/sitemap.xml")
