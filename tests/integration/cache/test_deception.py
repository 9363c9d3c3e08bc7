"""Web cache deception: a private page asked for under a name that looks static is given to nobody else.

The origin ignores what it does not know of a path, as many frameworks do, and says nothing, or too little, of caching.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.site import config, request

COOKIE = b"Cookie: session=victim"
TRICKS = [
    *(b"/account/x.css", b"/account;x.css", b"/account%2fx.css", b"/account%3fx.css", b"/account%23x.css"),
    *(b"/account%0ax.css", b"/account/x.js", b"/account/x.woff2", b"/account/x.PNG", b"/account.css"),
    *(b"/account/..%2fstatic/x.css", b"/static/..%2faccount/x.css", b"/account//x.css", b"/account%5cx.css"),
]
SAYS = [b"", b"Cache-Control: max-age=600", b"Expires: Fri, 31 Dec 2100 00:00:00 GMT"]
MODIFIED = b"Last-Modified: Fri, 15 Jan 2021 07:58:20 GMT"


class Careless(RecordingOrigin):
    """Answers every path with the page of whoever asks."""

    def __init__(self) -> None:
        super().__init__(self.page)
        self.says = b""
        self.content_type = b"text/html; charset=utf-8"

    def page(self, request: RecordedRequest) -> bytes:
        fields = [line for line in (self.says, MODIFIED, b"Content-Type: " + self.content_type) if line]
        return answer(200, b"page of " + (request.get(b"cookie") or b"nobody"), *fields)


@pytest.fixture
def origin() -> Iterator[Careless]:
    with Careless() as origin:
        yield origin


def edge_for(origin: Careless, **cache: Any) -> InProcessEdge:
    return InProcessEdge(config(origin.url, middleware={"bot_check": False, "cache": cache}))


def lure_and_look(edge: InProcessEdge, target: bytes) -> bytes:
    """What the attacker is given after the victim was lured to the address."""
    ask(edge.address, request(target, COOKIE, b"Connection: close"))
    answers = ask(edge.address, request(target, b"Connection: close")).final
    return answers[0].body


@pytest.mark.parametrize("says", SAYS)
@pytest.mark.parametrize("target", TRICKS)
def test_a_page_is_not_kept_under_a_static_name(origin: Careless, target: bytes, says: bytes) -> None:
    origin.says = says
    with edge_for(origin) as edge:
        assert b"victim" not in lure_and_look(edge, target)
    assert not edge.faults


@pytest.mark.parametrize(
    "target", [b"/static/..%2faccount", b"/static/..%5caccount", b"/static/..;/account", b"/static//account"]
)
def test_a_rule_for_static_files_does_not_count_for_a_path_that_leads_out_of_them(
    origin: Careless, target: bytes
) -> None:
    origin.says = b"Cache-Control: no-cache"
    rule = {"ttl": {"2xx": "1h"}, "origin": "override"}
    whole = config(origin.url, middleware={"bot_check": False})
    whole["routes"].append(
        {"name": "static", "match": {"path": "/static/"}, "pool": "site", "middleware": {"cache": rule}}
    )
    with InProcessEdge(whole) as edge:
        lure_and_look(edge, b"/static/page")
        assert len(origin.requests) == 1, "the rule is in force"
        assert b"victim" not in lure_and_look(edge, target)


def test_an_answer_without_a_type_is_no_stylesheet(origin: Careless) -> None:
    origin.says, origin.content_type = b"Cache-Control: max-age=600", b""
    with edge_for(origin) as edge:
        assert b"victim" not in lure_and_look(edge, b"/account/x.css")


def test_a_null_byte_in_a_path_is_refused(origin: Careless) -> None:
    with edge_for(origin) as edge:
        assert lure_and_look(edge, b"/account%00x.css").startswith(b"400")
    assert not origin.requests


def test_nothing_is_guessed_for_a_page_with_a_cookie(origin: Careless) -> None:
    with edge_for(origin) as edge:
        assert b"victim" not in lure_and_look(edge, b"/account")


def test_static_files_are_kept_all_the_same(origin: Careless) -> None:
    """Or else the guard would only be a cache turned off."""
    origin.says, origin.content_type = b"Cache-Control: max-age=600", b"text/css"
    with edge_for(origin) as edge:
        lure_and_look(edge, b"/static/x.css")
    assert len(origin.requests) == 1


@pytest.mark.parametrize("says", [b"Cache-Control: public, max-age=600", b"Cache-Control: s-maxage=600"])
def test_an_origin_that_means_shared_caches_is_believed(origin: Careless, says: bytes) -> None:
    origin.says = says
    with edge_for(origin) as edge:
        lure_and_look(edge, b"/docs/about.css")
    assert len(origin.requests) == 1
