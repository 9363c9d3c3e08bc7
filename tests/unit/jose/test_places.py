"""Where tokens stand in requests, and what is left there of those in URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.message import Response
from edgeproxy.jose.places import TAG, Places, keep_private
from tests.support.stages import exchange

ALL = ["bearer", "header:x-token", "cookie:session", "query:access_token"]


@pytest.mark.parametrize(
    ("headers", "target", "found"),
    [
        ({b"authorization": b"Bearer a.b.c"}, b"/", b"a.b.c"),
        ({b"authorization": b"bEARER   a.b.c "}, b"/", b"a.b.c"),
        ({b"authorization": b"Basic a.b.c"}, b"/", None),
        ({b"x-token": b"a.b.c"}, b"/", b"a.b.c"),
        ({b"x-token": b"Bearer a.b.c"}, b"/", b"a.b.c"),
        ({b"cookie": b"a=1; session=a.b.c"}, b"/", b"a.b.c"),
        ({b"cookie": b"sessions=a.b.c"}, b"/", None),
        ({}, b"/?access_token=a.b.c", b"a.b.c"),
        ({}, b"/?x=1&acc%65ss_token=a%2Eb.c", b"a.b.c"),
        ({}, b"/?xaccess_token=a.b.c", None),
        ({}, b"/?Access_Token=a.b.c", None),
        ({}, b"/?access_token", b""),
        ({}, b"/", None),
        ({b"authorization": b"Bearer first", b"x-token": b"second"}, b"/?access_token=third", b"first"),
        ({b"authorization": b"Basic x", b"cookie": b"session=second"}, b"/?access_token=third", b"second"),
    ],
)
def test_a_token_is_found_where_it_may_stand_in_the_order_given(
    headers: dict[bytes, bytes], target: bytes, found: bytes | None
) -> None:
    assert Places(ALL).find(exchange(target, headers)) == found


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (b"/a?access_token=t", b"/a"),
        (b"/a?access_token=t&b=1", b"/a?b=1"),
        (b"/a?b=1&access_token=t&c=%2F", b"/a?b=1&c=%2F"),
        (b"/a?b=1&access_token=t&access_token=u", b"/a?b=1"),
        (b"/a?%61ccess%5Ftoken=t&b", b"/a?b"),
        (b"/a?b=access_token=t", b"/a?b=access_token=t"),
        (b"/a?", b"/a?"),
    ],
)
def test_tokens_are_taken_out_of_the_target_however_they_are_spelled(target: bytes, left: bytes) -> None:
    x = exchange(target, {b"authorization": b"Bearer found-first"})
    Places(ALL).find(x)
    assert x.request.target == left
    assert x.request.query == left.partition(b"?")[2]
    assert (TAG in x.tags) is (target != left)


def test_the_first_of_repeated_tokens_counts() -> None:
    assert Places(["query:t"]).find(exchange(b"/?t=one&t=two")) == b"one"


def test_without_a_place_in_the_query_it_is_left_alone() -> None:
    x = exchange(b"/?access_token=t")
    assert Places(["bearer"]).find(x) is None
    assert (x.request.target, x.tags) == (b"/?access_token=t", ())


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (None, b"private"),
        (b"public, max-age=60", b"private, max-age=60"),
        (b"s-maxage=9, Private, no-cache", b"private, no-cache"),
    ],
)
def test_an_answer_to_a_token_in_the_url_is_private(told: bytes | None, kept: bytes) -> None:
    x, response = exchange(b"/?access_token=t"), Response(200, {b"cache-control": told} if told else {})
    keep_private(x, response)
    assert response.get(b"cache-control") == told
    Places(ALL).find(x)
    keep_private(x, response)
    assert response.get(b"cache-control") == kept


@given(st.lists(st.sampled_from([b"t=", b"%74=", b"&", b"t", b"=", b"%", b"a", b";", b"?", b"+", b"%00", b"\xff"])))
def test_no_query_brings_it_down_or_keeps_its_token(parts: list[bytes]) -> None:
    x = exchange(b"/a?" + b"".join(parts), {b"cookie": b"".join(parts), b"authorization": b"".join(parts)})
    Places(["query:t", "bearer", "cookie:t"]).find(x)
    path, _, query = x.request.target.partition(b"?")
    assert (path, query) == (b"/a", x.request.query)
    assert not any(pair.replace(b"%74", b"t").partition(b"=")[0] == b"t" for pair in query.split(b"&"))
