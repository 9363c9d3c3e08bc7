"""Interim answers: which pass on, with which fields, how many, and until when."""

from __future__ import annotations

import pytest

from edgeproxy.http.headers import Headers
from edgeproxy.http.links import MOST as MOST_LINKS
from edgeproxy.http.message import Response
from edgeproxy.pipeline.interim import MOST, Interims
from tests.support.stages import exchange

STYLE = b"</a.css>; rel=preload; as=style"
SCRIPT = b"</a.js>; rel=preload; as=script"


class Told:
    """An exchange and what its client was told."""

    def __init__(self) -> None:
        self.x = exchange()
        self.heard: list[tuple[int, Headers]] = []
        self._interims = Interims(self.x, lambda x, status, fields: self.heard.append((status, fields)))

    def tell(self, status: int, **fields: bytes) -> None:
        self._interims.pass_on(status, {name.replace("_", "-").encode(): value for name, value in fields.items()})


def test_of_early_hints_links_pass_and_what_they_are_loaded_under_and_nothing_else() -> None:
    told = Told()
    told.tell(
        103, link=STYLE, set_cookie=b"id=1", content_security_policy=b"default-src 'self'", x_hint=b"1", etag=b"x"
    )
    assert told.heard == [(103, {b"link": STYLE, b"content-security-policy": b"default-src 'self'"})]


@pytest.mark.parametrize(
    "fields", [{}, {"content_security_policy": b"x"}, {"link": b"no link"}, {"set_cookie": b"a=1"}]
)
def test_early_hints_without_a_link_say_nothing(fields: dict[str, bytes]) -> None:
    told = Told()
    told.tell(103, **fields)
    assert told.heard == []


def test_no_link_is_told_twice() -> None:
    told = Told()
    told.tell(103, link=STYLE + b", " + STYLE)
    told.tell(103, link=STYLE, referrer_policy=b"no-referrer")
    told.tell(103, link=SCRIPT + b"," + STYLE)
    assert [fields for _, fields in told.heard] == [{b"link": STYLE}, {b"link": SCRIPT}]


@pytest.mark.parametrize("status", [102, 104, 199])
def test_others_pass_with_all_their_fields_as_often_as_they_come(status: int) -> None:
    told = Told()
    told.tell(status, upload_offset=b"5", link=STYLE)
    told.tell(status, upload_offset=b"5", link=STYLE)
    assert told.heard == [(status, {b"upload-offset": b"5", b"link": STYLE})] * 2


@pytest.mark.parametrize("status", [0, 99, 100, 101, 200, 404])
def test_what_is_no_interim_answer_of_ours_does_not_pass(status: int) -> None:
    told = Told()
    told.tell(status, link=STYLE)
    assert told.heard == []


def test_nothing_passes_once_there_is_a_final_answer() -> None:
    told = Told()
    told.x.response = Response(200)
    told.tell(102)
    told.tell(103, link=STYLE)
    assert told.heard == []


def test_their_number_has_a_bound_and_so_has_that_of_their_links() -> None:
    told = Told()
    told.tell(103, link=b", ".join([b"</%d>; rel=preload" % number for number in range(1000)]))
    for _ in range(1000):
        told.tell(102)
    assert len(told.heard) == MOST
    assert told.heard[0][1][b"link"].count(b"<") == MOST_LINKS
