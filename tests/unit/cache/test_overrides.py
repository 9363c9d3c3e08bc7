"""What a route says of lifetimes: which fields policy goes by, what stays out, and within which bounds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache import directives, policy
from edgeproxy.cache.directives import parse
from edgeproxy.cache.overrides import YEAR, Lifetimes, Overrides
from edgeproxy.cache.static import HASHED
from edgeproxy.http.headers import Headers
from edgeproxy.http.media import media_matcher
from edgeproxy.http.message import Request
from tests.support.stages import exchange

NOW = 1_800_000_000.0
COOKIE = {b"cookie": b"session=1"}
FORBIDS_STALE = [
    b"max-age=60, must-revalidate",
    b"max-age=60, proxy-revalidate",
    b"s-maxage=60",
    b"max-age=60, no-cache",
]


def asked(target: bytes = b"/", fields: Headers | None = None) -> Request:
    return exchange(target, fields or {}).request


def fields(rules: Overrides, told: Headers, status: int = 200, request: Request | None = None) -> Headers | None:
    return rules.fields(request or asked(), status, told)


def kept(rules: Overrides, told: Headers, status: int = 200, request: Request | None = None) -> policy.Terms | None:
    """The terms an answer is stored on, or None: as a look-up asks."""
    request = request or asked()
    told_to_policy = rules.fields(request, status, told)
    if told_to_policy is None or not policy.may_store(request.headers, status, told_to_policy):
        return None
    terms = policy.terms(status, told_to_policy, request_time=NOW, response_time=NOW)
    return rules.terms(status, told_to_policy, terms)


def lifetime(rules: Overrides, told: Headers, status: int = 200, request: Request | None = None) -> float | None:
    terms = kept(rules, told, status, request)
    return None if terms is None else terms.lifetime


def table(**more: Any) -> Overrides:
    media = ((media_matcher(["text/html"]), 60.0), (media_matcher(["image/*"]), 300.0), (media_matcher(["*/*"]), 7.0))
    return Overrides(lifetimes=Lifetimes({404: 10, 302: 20, 204: 0}, media, {2: 30, 5: 0, 3: 40}), **more)


# -- lifetimes by status and media type --


@pytest.mark.parametrize(
    ("status", "content_type", "seconds"),
    [
        (404, b"text/html", 10),
        (302, b"", 20),
        (301, b"text/html", 40),
        (200, b"text/html; charset=utf-8", 60),
        (200, b"image/webp", 300),
        (200, b"", 30),
        (410, b"text/html", None),
        (500, b"text/html", 0),
        (204, b"text/html", 0),
    ],
)
def test_a_status_goes_before_a_media_type_and_that_before_hundreds(
    status: int, content_type: bytes, seconds: float | None
) -> None:
    rules = table()._replace(lifetimes=table().lifetimes._replace(media=table().lifetimes.media[:2]))
    assert rules.lifetimes.of(status, {b"content-type": content_type} if content_type else {}) == seconds


def test_they_count_where_the_origin_says_nothing() -> None:
    html = {b"content-type": b"text/html"}
    assert lifetime(table(), html) == 60
    assert lifetime(table(), {}, 404) == 10
    assert lifetime(table(), {}, 302) == 20
    assert lifetime(table(), html | {b"cache-control": b"max-age=5"}) == 5
    assert lifetime(table(), html | {b"expires": b"0"}) == 0
    assert lifetime(table(), html | {b"cache-control": b"no-cache"}) == 0


def test_an_override_takes_the_place_of_what_the_origin_says_of_freshness() -> None:
    rules = table(override=True)
    html = {b"content-type": b"text/html", b"expires": b"0", b"cache-control": b"max-age=0, no-cache, must-revalidate"}
    terms = kept(rules, html)
    assert terms is not None
    assert (terms.lifetime, terms.validate, terms.strict) == (60, False, False)
    assert lifetime(rules, {b"cache-control": b"max-age=99"}, 410) == 99, "no rule, no override"


@pytest.mark.parametrize("override", [True, False])
@pytest.mark.parametrize(
    ("told", "request_fields"),
    [
        ({b"cache-control": b"private"}, {}),
        ({b"cache-control": b"no-store"}, {}),
        ({b"set-cookie": b"a=1"}, {}),
        ({b"set-cookie": b"session=8f14e45f", b"cache-control": b"max-age=60"}, {}),
        ({b"vary": b"*"}, {}),
        ({}, {b"authorization": b"Basic eA=="}),
    ],
)
def test_what_keeps_an_answer_out_is_no_routes_to_override(
    told: Headers, request_fields: Headers, override: bool
) -> None:
    assert kept(table(override=override), told, request=asked(b"/", request_fields)) is None


def test_a_lifetime_of_nothing_keeps_an_answer_out() -> None:
    assert fields(table(), {b"etag": b'"1"'}, 503) is None
    assert fields(table(), {b"cache-control": b"max-age=60"}, 503) is not None, "the origin's word counts"
    assert fields(table(override=True), {b"cache-control": b"max-age=60"}, 503) is None


def test_fields_are_the_answers_own_where_nothing_is_ruled() -> None:
    for told in ({}, {b"cache-control": b"max-age=60"}, {b"last-modified": b"Fri, 15 Jan 2027 07:58:20 GMT"}):
        assert fields(Overrides(), told) is told


def test_fields_that_may_not_be_stored_stay_so_under_an_override() -> None:
    limited = b'no-cache="x-user", private="x-name,x-mail", max-age=5'
    changed = fields(table(override=True), {b"cache-control": limited, b"content-type": b"text/html"})
    assert changed is not None
    written = parse(changed[b"cache-control"])
    assert directives.fields(written, b"no-cache") == {b"x-user"}
    assert directives.fields(written, b"private") == {b"x-name", b"x-mail"}
    assert written[b"max-age"] == b"60"


def test_words_that_are_not_about_freshness_stay() -> None:
    told = {b"cache-control": b'public, max-age=5, no-transform, x="a, \\"b"', b"content-type": b"text/html"}
    changed = fields(table(override=True), told)
    assert changed is not None
    assert changed[b"cache-control"] == b'public, no-transform, x="a, \\"b", max-age=60'
    assert told[b"cache-control"].startswith(b"public"), "the answer's own are not written to"


@pytest.mark.parametrize("target", [b"/static/..%2Faccount", b"/static//x", b"/static/x;y", b"/static/x%0Ay"])
def test_no_rule_counts_for_a_path_that_origins_may_read_differently(target: bytes) -> None:
    rules = table(override=True, hashed=re.compile(HASHED.encode()))
    html = {b"content-type": b"text/html", b"etag": b'"1"'}
    assert lifetime(rules, html, request=asked(target)) == 0
    assert lifetime(rules, html | {b"cache-control": b"max-age=9"}, request=asked(target)) == 9


# -- bounds --


@pytest.mark.parametrize(
    ("status", "told", "seconds"),
    [(200, 1, 10), (200, 50, 50), (200, 500, 100), (200, 0, 0), (404, 500, 20), (503, 500, 20), (404, 1, 10)],
)
def test_lifetimes_are_bounded_and_those_of_errors_more_closely(status: int, told: int, seconds: float) -> None:
    rules = Overrides(shortest=10, longest=100, longest_error=20)
    assert lifetime(rules, {b"cache-control": b"max-age=%d" % told}, status) == seconds


def test_the_bound_of_errors_is_no_bound_of_its_own_rules_only() -> None:
    assert lifetime(table(longest_error=5), {}, 404) == 5
    assert lifetime(Overrides(longest=5, longest_error=50), {b"cache-control": b"max-age=60"}, 404) == 5


# -- stale windows --


def test_windows_are_granted_where_the_origin_says_nothing_of_them() -> None:
    rules = Overrides(while_revalidate=30, if_error=40)
    terms = kept(rules, {b"cache-control": b"max-age=60"})
    assert terms is not None
    assert (terms.while_revalidate, terms.if_error) == (30, 40)
    terms = kept(rules, {b"cache-control": b"max-age=60, stale-while-revalidate=0, stale-if-error=5"})
    assert terms is not None
    assert (terms.while_revalidate, terms.if_error) == (0, 5)


@pytest.mark.parametrize("told", FORBIDS_STALE)
def test_windows_are_never_granted_where_the_origin_forbids_stale_answers(told: bytes) -> None:
    terms = kept(Overrides(while_revalidate=30, if_error=40), {b"cache-control": told})
    assert terms is not None
    assert (terms.while_revalidate, terms.if_error) == (0, 0)


def test_what_was_never_fresh_gets_no_window() -> None:
    terms = kept(Overrides(while_revalidate=30, if_error=40), {b"cache-control": b"max-age=0"})
    assert terms is not None
    assert (terms.while_revalidate, terms.if_error) == (0, 0)


# -- names with a digest --


def hashed(**more: Any) -> Overrides:
    return Overrides(hashed=re.compile(HASHED.encode()), **more)


def test_what_has_a_digest_in_its_name_is_kept_for_a_year() -> None:
    script, page = {b"content-type": b"text/javascript"}, {b"content-type": b"text/html"}
    named = asked(b"/app.3f2a91bc.js")
    assert lifetime(hashed(), script, request=named) == YEAR
    assert hashed().immutable(named, 200, script)
    assert lifetime(hashed(), script, request=asked(b"/app.js")) == 0
    assert kept(hashed(), page, request=named) is None, "HTML is no script"
    assert not hashed().immutable(named, 200, page)
    assert lifetime(hashed(), script | {b"cache-control": b"max-age=5"}, request=named) == 5
    assert not hashed().immutable(named, 200, script | {b"cache-control": b"max-age=5"})
    assert lifetime(hashed(override=True), script | {b"cache-control": b"max-age=5"}, request=named) == YEAR
    assert not hashed().immutable(named, 404, script)
    assert not Overrides().immutable(named, 200, script)


# -- safety --


@pytest.mark.parametrize("status", [200, 203])
def test_an_answer_that_is_not_what_its_name_says_stays_out(status: int) -> None:
    """Web cache deception: a private page under a stylesheet's name."""
    page = {b"content-type": b"text/html", b"cache-control": b"max-age=60"}
    named = asked(b"/account/x.css")
    assert kept(Overrides(), page, status, named) is None
    assert lifetime(Overrides(guard=False), page, status, named) == 60
    assert lifetime(Overrides(), page, status, asked(b"/account")) == 60
    assert lifetime(Overrides(), page, 404, named) == 60, "a page that says there is no such file"
    assert lifetime(Overrides(), page | {b"content-type": b"text/css"}, status, named) == 60


@pytest.mark.parametrize("word", [b"public, max-age=60", b"s-maxage=60"])
def test_the_guard_believes_an_origin_that_speaks_of_shared_caches(word: bytes) -> None:
    page = {b"content-type": b"text/html", b"cache-control": word}
    assert lifetime(Overrides(), page, request=asked(b"/docs/style.css")) == 60


def test_nothing_is_guessed_for_who_shows_a_cookie() -> None:
    modified = {b"last-modified": b"Fri, 15 Jan 2027 07:58:20 GMT"}
    mine = asked(b"/", COOKIE)
    assert (lifetime(Overrides(), modified) or 0) > 0
    assert kept(Overrides(), modified, request=mine) is None
    assert kept(Overrides(), {b"etag": b'"1"'}, request=mine) is None, "nor is it kept to be revalidated"
    assert (lifetime(Overrides(guess_for_cookies=True), modified, request=mine) or 0) > 0
    assert (lifetime(Overrides(), modified | {b"cache-control": b"public"}, request=mine) or 0) > 0
    assert lifetime(Overrides(), modified | {b"cache-control": b"max-age=60"}, request=mine) == 60
    assert lifetime(table(), {b"content-type": b"text/html"}, request=mine) == 60, "a rule is no guess"


directive = st.sampled_from(
    [
        *(b"private", b"no-store", b"public", b"no-cache", b"must-revalidate", b"proxy-revalidate", b"must-understand"),
        *(b"max-age=0", b"max-age=60", b"s-maxage=9", b"stale-while-revalidate=5", b"stale-if-error=5", b"immutable"),
    ]
)


@given(
    words=st.lists(directive, max_size=5),
    status=st.sampled_from([200, 204, 206, 301, 302, 404, 410, 500, 503]),
    cookies=st.booleans(),
    rules=st.builds(
        lambda override, guard, shortest, longest: table(
            override=override, guard=guard, shortest=shortest, longest=longest, while_revalidate=30, if_error=40
        ),
        st.booleans(),
        st.booleans(),
        st.sampled_from([0, 5]),
        st.sampled_from([5, 1000]),
    ),
)
def test_no_rule_lets_in_what_an_origin_keeps_to_one_client(
    words: list[bytes], status: int, cookies: bool, rules: Overrides
) -> None:
    told = {b"cache-control": b", ".join(words), b"etag": b'"1"'}
    terms = kept(rules, told, status, asked(b"/", COOKIE if cookies else {}))
    if terms is None:
        return
    assert b"private" not in words
    assert b"no-store" not in words or b"must-understand" in words
    assert terms.lifetime == 0 or rules.shortest <= terms.lifetime <= rules.longest
    if terms.strict or terms.validate:
        assert terms.while_revalidate in (0, 5)
        assert terms.if_error in (0, 5)
