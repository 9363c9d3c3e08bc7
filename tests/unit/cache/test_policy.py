"""RFC 9111, rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache import directives, policy
from edgeproxy.cache.policy import Heuristic, Terms, Use
from edgeproxy.http.dates import format_date

NOW = 1_800_000_000.0
DATE = format_date(NOW)


def terms(headers: dict[bytes, bytes], status: int = 200, *, sent: float = NOW, got: float = NOW) -> Terms:
    return policy.terms(status, {b"date": DATE} | headers, request_time=sent, response_time=got)


STORABLE = [
    # request fields, status, response fields, may be stored
    ({}, 200, {b"cache-control": b"max-age=60"}, True),
    ({}, 200, {b"cache-control": b"no-store, max-age=60"}, False),
    ({}, 200, {b"cache-control": b"private, max-age=60"}, False),
    ({}, 200, {b"cache-control": b'private="x-user", max-age=60'}, False),
    ({}, 200, {b"cache-control": b"NO-STORE"}, False),
    ({}, 200, {b"cache-control": b"max-age=60", b"set-cookie": b"a=b"}, False),
    ({}, 200, {b"cache-control": b"max-age=60", b"vary": b"accept, *"}, False),
    ({}, 206, {b"cache-control": b"max-age=60"}, False),
    ({}, 304, {b"cache-control": b"max-age=60"}, False),
    ({}, 299, {}, False),
    ({}, 299, {b"cache-control": b"max-age=60"}, True),
    ({}, 299, {b"expires": DATE}, True),
    ({}, 404, {}, True),
    ({}, 302, {}, False),
    ({}, 302, {b"cache-control": b"public"}, True),
    ({}, 200, {b"cache-control": b"no-store, must-understand, max-age=60"}, True),
    ({}, 299, {b"cache-control": b"no-store, must-understand, max-age=60"}, False),
    ({b"cache-control": b"no-store"}, 200, {b"cache-control": b"max-age=60"}, False),
    ({b"authorization": b"Basic x"}, 200, {b"cache-control": b"max-age=60"}, False),
    ({b"authorization": b"Basic x"}, 200, {b"cache-control": b"max-age=60, public"}, True),
    ({b"authorization": b"Basic x"}, 200, {b"cache-control": b"s-maxage=60"}, True),
    ({b"authorization": b"Basic x"}, 200, {b"cache-control": b"max-age=60, must-revalidate"}, True),
]


@pytest.mark.parametrize(("request_fields", "status", "response", "expected"), STORABLE)
def test_what_a_shared_cache_may_store(
    request_fields: dict[bytes, bytes], status: int, response: dict[bytes, bytes], expected: bool
) -> None:
    assert policy.may_store(request_fields, status, response) is expected


def test_whoever_a_token_in_a_cookie_names_counts_like_authorization() -> None:
    assert not policy.may_store({}, 200, {b"cache-control": b"max-age=60"}, authorized=True)
    assert policy.may_store({}, 200, {b"cache-control": b"public, max-age=60"}, authorized=True)


LIFETIMES = [
    ({b"cache-control": b"max-age=60"}, 60),
    ({b"cache-control": b"max-age=60, s-maxage=10"}, 10),
    ({b"cache-control": b"max-age=60", b"expires": format_date(NOW + 900)}, 60),
    ({b"expires": format_date(NOW + 900)}, 900),
    ({b"expires": format_date(NOW - 900)}, 0),
    ({b"expires": b"0"}, 0),
    ({b"cache-control": b"max-age=nonsense"}, 0),
    ({b"cache-control": b"max-age=-5"}, 0),
    ({b"cache-control": b'max-age="60"'}, 60),
    ({b"cache-control": b"max-age=99999999999999"}, 2**31),
    ({b"cache-control": b"max-age=5, max-age=50"}, 5),
    ({b"last-modified": format_date(NOW - 1000)}, 100),
    ({b"last-modified": format_date(NOW - 10_000_000)}, 86_400),
    ({b"last-modified": format_date(NOW + 1000)}, 0),
    ({}, 0),
]


@pytest.mark.parametrize(("headers", "seconds"), LIFETIMES)
def test_how_long_an_answer_is_fresh(headers: dict[bytes, bytes], seconds: float) -> None:
    assert terms(headers).lifetime == seconds


def test_a_status_that_is_not_heuristically_cacheable_gets_no_guess() -> None:
    assert terms({b"last-modified": format_date(NOW - 1000)}, 302).lifetime == 0


def test_no_guess_where_none_is_wanted() -> None:
    headers = {b"date": DATE, b"last-modified": format_date(NOW - 1000)}
    made = policy.terms(200, headers, request_time=NOW, response_time=NOW, heuristic=Heuristic(share=0))
    assert made.lifetime == 0


@pytest.mark.parametrize(
    ("headers", "sent", "got", "age"),
    [
        ({}, NOW, NOW, 0),
        ({b"age": b"30"}, NOW, NOW, 30),
        ({b"age": b"30"}, NOW - 5, NOW, 35),  # the time on the way counts
        ({}, NOW + 40, NOW + 40, 40),  # a Date 40 s old
        ({b"age": b"7, 90"}, NOW, NOW, 7),
        ({b"age": b"-7"}, NOW, NOW, 0),
        ({b"age": b"abc"}, NOW, NOW, 0),
        ({b"date": format_date(NOW + 99)}, NOW, NOW, 0),  # an origin's clock that is ahead
    ],
)
def test_how_old_an_answer_is_on_arrival(headers: dict[bytes, bytes], sent: float, got: float, age: float) -> None:
    assert terms(headers, sent=sent, got=got).initial_age == age


FRESH = Terms(60, 0, validate=False, strict=False, while_revalidate=0, if_error=0)
LENIENT = FRESH._replace(while_revalidate=30)
STRICT = LENIENT._replace(strict=True)


@pytest.mark.parametrize(
    ("stored", "age", "request_directives", "expected"),
    [
        (FRESH, 59, b"", Use.FRESH),
        (FRESH, 60, b"", Use.REVALIDATE),
        (FRESH, 1, b"no-cache", Use.REVALIDATE),
        (FRESH._replace(validate=True), 1, b"", Use.REVALIDATE),
        (FRESH, 10, b"max-age=5", Use.REVALIDATE),
        (FRESH, 5, b"max-age=5", Use.FRESH),
        (FRESH, 50, b"min-fresh=5", Use.FRESH),
        (FRESH, 50, b"min-fresh=20", Use.REVALIDATE),
        (FRESH, 70, b"max-stale", Use.FRESH),
        (FRESH, 70, b"max-stale=10", Use.FRESH),
        (FRESH, 71, b"max-stale=10", Use.REVALIDATE),
        (STRICT, 70, b"max-stale", Use.REVALIDATE),
        (LENIENT, 89, b"", Use.STALE_MEANWHILE),
        (LENIENT, 90, b"", Use.REVALIDATE),
        (STRICT, 61, b"", Use.REVALIDATE),
    ],
)
def test_what_may_be_done_with_a_stored_answer(
    stored: Terms, age: float, request_directives: bytes, expected: Use
) -> None:
    assert policy.use(stored, age, directives.parse(request_directives)) is expected


@pytest.mark.parametrize(
    ("stored", "age", "unreachable", "expected"),
    [
        (FRESH, 100, True, True),
        (FRESH, 100, False, False),
        (FRESH, 60 + 3600, True, False),
        (FRESH._replace(if_error=50), 100, False, True),
        (FRESH._replace(if_error=50), 110, False, False),
        (FRESH._replace(strict=True, if_error=50), 100, True, False),
        (FRESH._replace(validate=True), 100, True, False),
    ],
)
def test_when_a_stale_answer_stands_in_for_an_error(
    stored: Terms, age: float, unreachable: bool, expected: bool
) -> None:
    assert policy.usable_on_error(stored, age, unreachable=unreachable, grace=3600) is expected


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=20))
def test_no_header_value_breaks_the_policy(control: bytes, expires: bytes, age: bytes) -> None:
    headers = {b"cache-control": control, b"expires": expires, b"age": age}
    made = terms(headers)
    assert made.lifetime >= 0
    assert made.initial_age >= 0
    policy.may_store({b"cache-control": control}, 200, headers)
    policy.use(made, 5, directives.of_request({b"pragma": control}))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_answer_is_fresh_exactly_until_its_lifetime_ends(lifetime: int, age: int) -> None:
    stored = FRESH._replace(lifetime=lifetime)
    assert (policy.use(stored, age, directives.parse(None)) is Use.FRESH) is (age < lifetime)
