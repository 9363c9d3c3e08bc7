"""Fields of an answer whose freshness was ended: no reader of them finds any left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache.directives import parse, seconds
from edgeproxy.cache.ended import ended
from edgeproxy.cache.policy import Use, terms, use
from edgeproxy.http.headers import Headers


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (b"max-age=60", b"max-age=7"),
        (b"public, Max-Age=60, stale-while-revalidate=30", b"max-age=7, public, stale-while-revalidate=30"),
        (b"s-maxage=60", b"max-age=7, s-maxage=7"),
        (b'private="a, b", s-maxage=60, max-age=5', b'max-age=7, s-maxage=7, private="a, b"'),
        (b"", b"max-age=7"),
        (b"no-cache", b"max-age=7, no-cache"),
    ],
)
def test_every_lifetime_is_what_is_over(told: bytes, says: bytes) -> None:
    assert ended({b"cache-control": told}, 7) == {b"cache-control": says}


def test_a_lifetime_of_another_field_is_overruled() -> None:
    headers = {b"expires": b"Fri, 15 Jan 2027 08:00:00 GMT", b"etag": b'"1"'}
    assert ended(headers, 7) == headers | {b"cache-control": b"max-age=7"}


def test_targeted_fields_say_the_same() -> None:
    headers = {b"cdn-cache-control": b"max-age=600;x=1, stale-if-error=60", b"edge-cache-control": b""}
    assert ended(headers, 7) == {
        b"cdn-cache-control": b"max-age=7, stale-if-error=60",
        b"edge-cache-control": b"",
        b"cache-control": b"max-age=7",
    }


@given(
    st.lists(
        st.sampled_from(
            [b"max-age=60", b"s-maxage=99", b"public", b"stale-while-revalidate=9", b"immutable", b"max-age=x"]
        )
    ),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_no_cache_that_gets_it_can_take_it_for_fresh(told: list[bytes], expires: bool, age: int) -> None:
    headers: Headers = {b"cache-control": b", ".join(told), b"date": b"Fri, 15 Jan 2027 08:00:00 GMT"}
    if expires:
        headers[b"expires"] = b"Sat, 16 Jan 2027 08:00:00 GMT"
    seen = ended(headers, age) | {b"age": b"%d" % age}
    now = 1_800_000_000.0  # when that Date is
    got = terms(200, seen, request_time=now, response_time=now)
    assert use(got, got.initial_age, {}) is not Use.FRESH
    assert seconds(parse(seen[b"cache-control"]), b"max-age") == age
