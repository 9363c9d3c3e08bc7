"""RFC 9875: answers that go out of date together."""

from __future__ import annotations

import pytest

from edgeproxy.cache import groups
from tests.support.caching import Edge
from tests.support.stages import exchange

KEY = b"https://www.example.com/a?b#part"


@pytest.mark.parametrize(
    ("told", "tags"),
    [
        (b'"news", "eu news"', (b"https://www.example.com news", b"https://www.example.com eu news")),
        (b'"news";x=1, "news"', (b"https://www.example.com news",)),
        (b'news, 1, "sport"', (b"https://www.example.com sport",)),
        (b'"news', ()),
        (b"", ()),
    ],
)
def test_groups_are_tags_of_their_origin(told: bytes, tags: tuple[bytes, ...]) -> None:
    assert groups.of({b"cache-groups": told}, KEY) == tags


def test_what_names_no_group_has_none() -> None:
    assert groups.of({}, KEY) == ()
    assert groups.invalidated({}, exchange().request) == ()


def test_names_and_their_number_are_bounded() -> None:
    told = b", ".join(b'"%d"' % number for number in range(groups.MOST + 1))
    assert len(groups.of({b"cache-groups": told}, KEY)) == groups.MOST
    assert groups.of({b"cache-groups": b'"%b"' % (b"x" * (groups.LONGEST + 1))}, KEY) == ()


async def test_an_unsafe_request_makes_its_groups_out_of_date() -> None:
    edge = Edge()
    for target, told in ((b"/a", b'"news"'), (b"/b", b'"news", "eu"'), (b"/c", b'"sport"')):
        edge.answers(cache_control=b"max-age=60", cache_groups=told)
        await edge.get(target)
    edge.answers(204, b"", cache_group_invalidation=b'"news"')
    await edge.send(b"POST", b"/publish")
    asked = len(edge.asked)
    edge.answers(cache_control=b"max-age=60")
    verdicts = [(await edge.get(target)).field(b"cache-status") for target in (b"/a", b"/b", b"/c")]
    assert verdicts[2] == b"edgeproxy; hit"
    assert len(edge.asked) == asked + 2


@pytest.mark.parametrize(("method", "status"), [(b"POST", 500), (b"GET", 200)])
async def test_a_failed_or_a_safe_request_does_not(method: bytes, status: int) -> None:
    edge = Edge()
    edge.answers(cache_control=b"max-age=60", cache_groups=b'"news"')
    await edge.get(b"/a")
    edge.answers(status, b"", cache_group_invalidation=b'"news"')
    await edge.send(method, b"/publish")
    assert (await edge.get(b"/a")).field(b"cache-status") == b"edgeproxy; hit"
