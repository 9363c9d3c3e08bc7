"""No-Vary-Search: URLs that have one answer although their queries differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache.no_vary_search import PATHS, QUERIES, RULES, Searches, parse
from tests.support.caching import Edge


@pytest.mark.parametrize(
    ("field", "one", "other", "same"),
    [
        (b"params", b"a=1&b=2", b"", True),
        (b"params", b"a=1", b"c", True),
        (b'params=("utm" "ref")', b"id=1&utm=x", b"utm=y&id=1&ref=z", True),
        (b'params=("utm")', b"id=1", b"id=2", False),
        (b'params=("utm")', b"id=1&utm=x", b"id=1&utm2=x", False),
        (b'params, except=("id")', b"id=1&x=2", b"y&id=1", True),
        (b'params, except=("id")', b"id=1", b"id=2", False),
        (b"key-order", b"a=1&b=2", b"b=2&a=1", True),
        (b"key-order", b"a=1&b=2", b"b=2", False),
        (b"key-order", b"a=1&a=2", b"a=2&a=1", False),
        (b'params=("utm")', b"a=1&b=2", b"b=2&a=1", False),
        (b'key-order, params=("utm")', b"a=1&b=2&utm=3", b"b=2&a=1", True),
        (b'params=("a%20b")', b"a+b=1", b"a%20b=2", True),
        (b"key-order", b"q=%C3%BC", b"q=%c3%bc", True),
        (b"key-order", b"q=a+b", b"q=a%20b", True),
        (b"key-order", b"q=a&&r", b"r=&q=a&", True),
    ],
)
def test_queries_that_are_one(field: bytes, one: bytes, other: bytes, same: bool) -> None:
    rule = parse(field)
    assert rule is not None
    assert (rule.canonical(one) == rule.canonical(other)) is same


@pytest.mark.parametrize(
    "field",
    [
        None,
        b"",
        b"params=?0",
        b"params=()",
        b"key-order=?0",
        b"params=1",
        b"params=(1)",
        b"params=(utm)",
        b'except=("a")',
        b'params=("a"), except=("b")',
        b'params, except="a"',
        b'params=("a"',
        b"params=(%b)" % b" ".join(b'"%d"' % number for number in range(65)),
    ],
)
def test_what_says_nothing_or_is_malformed_is_no_rule(field: bytes | None) -> None:
    assert parse(field) is None


@given(st.lists(st.sampled_from([b"a=1", b"b=2", b"c", b"utm=9"]), max_size=6), st.randoms())
def test_what_does_not_matter_makes_no_difference_wherever_it_stands(query: list[bytes], dice: object) -> None:
    rule = parse(b'key-order, params=("utm")')
    assert rule is not None
    kept = [each for each in query if each != b"utm=9"]
    assert rule.canonical(b"&".join(query)) == rule.canonical(b"&".join(sorted(kept, key=lambda each: each[:1])))


def test_what_is_remembered_is_bounded() -> None:
    searches = Searches()
    for number in range(QUERIES + 10):
        searches.stored(b"http://a/?id=%d" % number, b'params=("utm")')
    assert searches.same_as(b"http://a/?id=0&utm=1") == []
    assert [key for _, key in searches.same_as(b"http://a/?id=20&utm=1")] == [b"http://a/?id=20"]
    for number in range(RULES + 1):
        searches.stored(b"http://a/?id=20", b'params=("%d")' % number)
    assert searches.same_as(b"http://a/?id=20&utm=1") == []
    for number in range(PATHS):
        searches.stored(b"http://a/%d" % number, b"params")
    assert searches.same_as(b"http://a/?id=20&4=1") == []
    assert repr(searches) == f"<Searches {PATHS} paths>"


def test_a_partition_of_its_own_keeps_its_searches() -> None:
    searches = Searches()
    searches.stored(b"http://a/?x=1#api", b"params")
    assert searches.same_as(b"http://a/?x=2") == []
    assert [key for _, key in searches.same_as(b"http://a/?x=2#api")] == [b"http://a/?x=1#api"]


async def test_an_answer_is_given_to_equal_searches_while_it_is_fresh() -> None:
    edge = Edge()
    edge.answers(cache_control=b"max-age=60", no_vary_search=b'params=("utm")')
    await edge.get(b"/?id=1&utm=a")
    assert (await edge.get(b"/?utm=b&id=1")).field(b"cache-status") == b"edgeproxy; hit"
    assert (await edge.get(b"/?id=2")).field(b"cache-status") == b"edgeproxy; fwd=uri-miss; fwd-status=200; stored"
    edge.clock.advance(61)
    await edge.get(b"/?id=1&utm=c")
    assert [request.target for request in edge.asked] == [b"/?id=1&utm=a", b"/?id=2", b"/?id=1&utm=c"]


async def test_only_what_the_stored_answer_says_now_counts() -> None:
    edge = Edge()
    edge.answers(cache_control=b"max-age=60", no_vary_search=b"params")
    await edge.get(b"/?a")
    edge.answers(cache_control=b"max-age=60")
    await edge.get(b"/?a", cache_control=b"no-cache")
    assert (await edge.get(b"/?b")).field(b"cache-status") == b"edgeproxy; fwd=uri-miss; fwd-status=200; stored"
