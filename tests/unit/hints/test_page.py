"""Which links of a page are told before it is here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.hints.page import LONGEST, MOST, is_hint, of_page
from edgeproxy.http.links import parse_links
from edgeproxy.http.message import Response

STYLE = b"</a.css>; rel=preload; as=style"


def page(link: bytes, **fields: bytes) -> Response:
    return Response(200, {b"link": link} | {name.replace("_", "-").encode(): value for name, value in fields.items()})


@pytest.mark.parametrize(
    "link",
    [
        STYLE,
        b'</a.css>; rel="stylesheet preload"; as=style; nopush',
        b"<a.js>; rel=modulepreload",
        b"<https://cdn.example.com>; rel=preconnect; crossorigin",
        b"<//cdn.example.com/a.woff2>; rel=preload; as=font; crossorigin",
        b'</hero>; rel=preload; as=image; imagesrcset="/hero-1 1x, /hero-2 2x"; fetchpriority=high',
    ],
)
def test_what_browsers_begin_with_is_told_as_it_is_written(link: bytes) -> None:
    assert of_page(page(b"</next>; rel=next, " + link)) == {b"link": link}


@pytest.mark.parametrize(
    "link",
    [
        b"</next>; rel=next",
        b"</next>; rel=prefetch",
        b"</a.css>; rel=preload",  # nobody knows what it is
        b"</a.js>; rel=preload; as=script; nonce=r4nd0m",
        b'</a.css>; rel=preload; as=style; anchor="/other"',
        b"<>; rel=preload; as=style",
        b"<data:text/css,x>; rel=preload; as=style",
        b"<javascript:alert(1)>; rel=modulepreload",
        b"<https://user:password@example.com/a.css>; rel=preload; as=style",
        b"<//user@example.com>; rel=preconnect",
        b"no link",
        b"",
    ],
)
def test_what_is_of_no_use_or_somebodys_own_is_not(link: bytes) -> None:
    assert of_page(page(link)) == {}


def test_policies_go_along() -> None:
    told = of_page(page(STYLE, content_security_policy=b"style-src 'self'", referrer_policy=b"origin", x_other=b"1"))
    assert told == {b"link": STYLE, b"content-security-policy": b"style-src 'self'", b"referrer-policy": b"origin"}


def test_under_a_policy_made_for_one_answer_nothing_is_told() -> None:
    assert of_page(page(STYLE, content_security_policy=b"script-src 'Nonce-r4nd0m'")) == {}


def test_as_many_links_as_there_is_room_for_each_once() -> None:
    links = [b"</%d.css>; rel=preload; as=style" % number for number in range(100)]
    told = of_page(page(b", ".join(links[:3] + links)))
    assert told[b"link"].split(b", ") == links[:MOST]
    long = [b"</%s%d>; rel=preconnect" % (b"x" * 1000, number) for number in range(10)]
    told = of_page(page(b", ".join(long), referrer_policy=b"y" * 1500))
    assert told[b"link"].split(b", ") == long[:2]
    assert sum(len(name) + len(value) for name, value in told.items()) <= LONGEST


def test_under_a_policy_too_long_to_go_along_nothing_is_told() -> None:
    assert of_page(page(STYLE, content_security_policy=b"x" * LONGEST)) == {}


@given(st.binary(max_size=200) | st.text("<>;,=\"\\ /:@arelspodnc'", max_size=60).map(str.encode))
def test_whatever_a_page_says_what_is_told_is_links_again(value: bytes) -> None:
    told = of_page(page(value))
    again = parse_links(told.get(b"link", b""))
    assert bool(told) == bool(again)
    assert all(is_hint(link) for link in again)
    assert of_page(page(told.get(b"link", b""))) == told
