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
    ({}, 200, {b"cache-control": b'private="x-user", max-age=60'}, True),
    ({}, 200, {b"cache-control": b"private=x-user, max-age=60"}, False),
    ({}, 200, {b"cache-control": b'private="x-user", private, max-age=60'}, False),
    ({}, 200, {b"cache-control": b"NO-STORE"}, False),
    ({}, 200, {b"cache-control": b"max-age=60", b"set-cookie": b"lang=en; Path=/"}, True),
    ({}, 200, {b"set-cookie": b"lang=en", b"last-modified": DATE}, False),
    ({b"cookie": b"a=b"}, 200, {b"cache-control": b"max-age=60", b"set-cookie": b"lang=en"}, False),
    ({b"authorization": b"x"}, 200, {b"cache-control": b"public, max-age=60", b"set-cookie": b"lang=en"}, False),
    ({}, 200, {b"cache-control": b"public, s-maxage=60", b"set-cookie": b"id=3f2a91bc"}, False),
    ({}, 200, {b"cache-control": b"max-age=60", b"set-cookie": b"lang=en\nid=3f2a91bc"}, False),
    ({}, 200, {b"cache-control": b'max-age=60, private="set-cookie"', b"set-cookie": b"id=3f2a91bc"}, True),
    ({}, 200, {b"cache-control": b'max-age=60, no-cache="Set-Cookie"', b"set-cookie": b"id=3f2a91bc"}, True),
    ({}, 200, {b"cache-control": b"max-age=60", b"vary": b"accept, *"}, False),
    ({}, 206, {b"cache-control": b"max-age=60"}, True),
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
        (LENIENT, 50, b"min-fresh=20", Use.REVALIDATE),
        (FRESH, 70, b"max-stale", Use.FRESH),
        (FRESH, 70, b"max-stale=10", Use.FRESH),
        (FRESH, 71, b"max-stale=10", Use.REVALIDATE),
        (STRICT, 70, b"max-stale", Use.REVALIDATE),
        (LENIENT, 89, b"", Use.STALE_MEANWHILE),
        (LENIENT, 90, b"", Use.REVALIDATE),
        (STRICT, 61, b"", Use.REVALIDATE),
        (FRESH._replace(immutable=True), 50, b"max-age=0", Use.FRESH),
        (FRESH._replace(immutable=True), 60, b"max-age=0", Use.REVALIDATE),
        (FRESH._replace(immutable=True), 50, b"no-cache", Use.REVALIDATE),
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


DIRECTIVES = st.sampled_from(
    [
        *(b"no-store", b"no-cache", b"private", b"public", b"must-revalidate", b"proxy-revalidate", b"must-understand"),
        *(b"max-age=60", b"s-maxage=30", b"stale-while-revalidate=30", b"stale-if-error=30", b"immutable"),
        *(b'private="x"', b'no-cache="x"', b"PRIVATE", b"max-age=0", b"max-age=x", b"foo=bar"),
    ]
)
CONTROL = st.lists(DIRECTIVES, max_size=5).map(b", ".join)
ASKED = st.lists(
    st.sampled_from([b"max-stale", b"max-stale=99999", b"min-fresh=0", b"max-age=99999", b"only-if-cached"]), max_size=3
).map(b", ".join)
STATUS = st.sampled_from([200, 203, 204, 206, 299, 301, 302, 404, 500, 503, 599])


def names(control: bytes) -> set[bytes]:
    return {member.partition(b"=")[0].lower() if b'"' not in member else member for member in control.split(b", ")}


@given(CONTROL, STATUS, st.booleans(), st.booleans())
def test_what_forbids_storing_forbids_it_whatever_else_is_said(
    control: bytes, status: int, authorization: bool, cookies: bool
) -> None:
    request = {b"authorization": b"Basic x"} if authorization else {}
    response = {b"cache-control": control} | ({b"set-cookie": b"id=0123456789"} if cookies else {})
    told = names(control)
    if policy.may_store(request, status, response):
        assert b"private" not in told
        assert b"no-store" not in told or (b"must-understand" in told and status in policy.UNDERSTOOD)
        assert not cookies
        assert not authorization or told & {b"public", b"s-maxage", b"must-revalidate"}


@given(CONTROL, ASKED, st.integers(0, 10**5), st.floats(0, 10**6), st.booleans())
def test_what_forbids_stale_answers_forbids_them_whoever_asks(
    control: bytes, asked: bytes, age: int, grace: float, unreachable: bool
) -> None:
    """RFC 9111 §4.2.4, RFC 5861 §3, §4: no window, no grace and no client stands above these."""
    stored = terms({b"cache-control": control})
    strict = names(control) & {b"must-revalidate", b"proxy-revalidate", b"s-maxage", b"no-cache"}
    if strict and age >= stored.lifetime:
        assert policy.use(stored, age, directives.parse(asked)) is Use.REVALIDATE
        assert not policy.usable_on_error(stored, age, unreachable=unreachable, grace=grace)


@given(CONTROL, ASKED, st.integers(0, 200), st.integers(0, 200))
def test_nothing_becomes_fresh_by_growing_older(control: bytes, asked: bytes, age: int, more: int) -> None:
    stored, wanted = terms({b"cache-control": control}), directives.parse(asked)
    order = [Use.FRESH, Use.STALE_MEANWHILE, Use.REVALIDATE]
    before, after = (order.index(policy.use(stored, each, wanted)) for each in (age, age + more))
    assert before <= after


@given(st.integers(0, 2**40), st.integers(-(10**6), 10**6), st.integers(0, 100))
def test_clocks_that_are_wrong_make_nothing_younger_than_it_is(told: int, skew: int, delay: int) -> None:
    """RFC 9111 §4.2.3: whatever Date says, Age and the time on the way count in full."""
    headers = {b"date": format_date(NOW + skew), b"age": b"%d" % told, b"cache-control": b"max-age=60"}
    made = policy.terms(200, headers, request_time=NOW - delay, response_time=NOW)
    assert made.initial_age >= told + delay
    assert made.lifetime == 60


@pytest.mark.parametrize(
    ("control", "fields"),
    [
        (b"max-age=60", set()),
        (b"private, no-cache", set()),
        (b'private="Set-Cookie, X-User"', {b"set-cookie", b"x-user"}),
        (b'no-cache="a", private="b"', {b"a", b"b"}),
    ],
)
def test_fields_that_are_not_stored(control: bytes, fields: set[bytes]) -> None:
    assert policy.withheld({b"cache-control": control}) == fields


def test_no_cache_that_is_limited_to_fields_demands_no_validation() -> None:
    assert terms({b"cache-control": b"no-cache, max-age=60"}).validate
    assert not terms({b"cache-control": b'no-cache="a", max-age=60'}).validate
    assert terms({b"cache-control": b'no-cache="a", no-cache, max-age=60'}).validate
