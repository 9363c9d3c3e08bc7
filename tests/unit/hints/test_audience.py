"""Who is told hints, and of which answers they are learned."""

from __future__ import annotations

import pytest

from edgeproxy.hints.audience import is_for_everybody, takes_hints
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import CHROME, exchange


def visitor(version: bytes = b"2", **fields: bytes) -> Exchange:
    x = exchange(headers=CHROME | {name.replace("_", "-").encode(): value for name, value in fields.items()})
    x.request.version = version
    return x


@pytest.mark.parametrize(
    ("version", "http1", "told"),
    [
        (b"2", False, True),
        (b"3", False, True),
        (b"1.1", False, False),
        (b"1.1", True, True),
        (b"1.0", True, False),
    ],
)
def test_http_1_1_is_told_only_where_it_is_asked_for(version: bytes, http1: bool, told: bool) -> None:
    assert takes_hints(visitor(version), http1=http1) is told


@pytest.mark.parametrize(
    "fields",
    [
        {"sec_fetch_mode": b"cors"},
        {"sec_fetch_mode": b"no-cors"},
        {"sec_fetch_mode": b""},
        {"sec_fetch_dest": b"iframe"},
        {"sec_purpose": b"prefetch;prerender"},
    ],
)
def test_only_a_browser_on_its_way_to_a_page_is_told(fields: dict[str, bytes]) -> None:
    assert takes_hints(visitor(), http1=False)
    assert not takes_hints(visitor(**fields), http1=False)


def test_what_says_nothing_of_where_it_goes_is_not_told() -> None:
    x = exchange(headers={b"host": b"www.example.com"})
    x.request.version = b"2"
    assert not takes_hints(x, http1=False)


def test_neither_crawlers_nor_other_methods_are_told() -> None:
    crawler, head = visitor(), visitor()
    crawler.agent = "Googlebot"
    head.request.method = b"HEAD"
    assert not takes_hints(crawler, http1=False)
    assert not takes_hints(head, http1=False)


SHARED = b"fwd=uri-miss; fwd-status=200; stored"


def answered(verdict: bytes = SHARED, status: int = 200, **fields: bytes) -> tuple[Exchange, Response]:
    x = visitor()
    x.verdict = verdict
    return x, Response(status, {name.replace("_", "-").encode(): value for name, value in fields.items()})


@pytest.mark.parametrize("verdict", [SHARED, b"hit", b"hit; detail=l2", b"hit; detail=stale"])
@pytest.mark.parametrize("vary", [{}, {"vary": b"Accept-Encoding, Origin"}])
def test_what_the_cache_gives_to_all_is_for_everybody(verdict: bytes, vary: dict[str, bytes]) -> None:
    assert is_for_everybody(*answered(verdict, **vary))


@pytest.mark.parametrize(
    ("verdict", "status", "fields"),
    [
        (b"fwd=uri-miss; fwd-status=200", 200, {}),
        (b"fwd=uri-miss; collapsed", 200, {}),
        (b"fwd=bypass", 200, {}),
        (b"", 200, {}),
        (SHARED, 404, {}),
        (SHARED, 206, {}),
        (SHARED, 200, {"vary": b"Cookie"}),
        (SHARED, 200, {"vary": b"Accept-Encoding, X-User"}),
        (SHARED, 200, {"vary": b"Accept-Language"}),
        (SHARED, 200, {"set_cookie": b"a=1"}),
    ],
)
def test_what_may_differ_between_visitors_is_not(verdict: bytes, status: int, fields: dict[str, bytes]) -> None:
    assert not is_for_everybody(*answered(verdict, status, **fields))


def test_nor_is_what_somebody_known_was_given() -> None:
    (token, page), (user, _), (basic, _) = answered(), answered(), answered()
    token.claims = {"sub": "a"}
    user.identity = "a"
    basic.request.headers[b"authorization"] = b"Basic x"
    assert not any(is_for_everybody(x, page) for x in (token, user, basic))
