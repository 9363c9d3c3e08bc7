"""Which answers get a page, and what is left of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import FieldBlock, Response
from edgeproxy.pipeline.runner import error_response
from edgeproxy.routing.error_pages import HTML, JSON, TEXT, ErrorPages, Page, form
from tests.support.stages import exchange

PAGES = {status: Page("<p>{status} {reason} {request.id} {x} {}") for status in (404, 502, 503)}
CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def answered(
    response: Response, accept: bytes = CHROME, *, origin: bool = False, error: str = "", endpoint: str = ""
) -> Response:
    x = exchange(headers={b"accept": accept} if accept else {})
    x.id, x.error, x.endpoint = b"id-<1>", error, endpoint
    ErrorPages(PAGES, origin=origin).response(x, response)
    return response


def failed(kind: Kind = Kind.CONNECT_REFUSED) -> Response:
    return error_response(EdgeError(kind, "origin"))


def refused(status: int = 503) -> Response:
    fields = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
    return Response(status, fields, b"%d Come back later.\n" % status)


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        (CHROME, HTML),
        (b"text/html", HTML),
        (b"TEXT/HTML;q=0.5", HTML),
        (b"text/*", HTML),
        (b"*/*", TEXT),
        (b"", TEXT),
        (b"application/json", JSON),
        (b"application/json, text/html", HTML),
        (b"application/json, text/html;q=0.9", JSON),
        (b"application/problem+json, text/plain;q=0.1", JSON),
        (b"text/plain, application/json;q=0.2", TEXT),
        (b"text/html;q=0", TEXT),
        (b"text/html;q=x", TEXT),
        (b"x-text/html", TEXT),
        (b'text/html;p="a,b", application/json', JSON),
    ],
)
def test_the_form_is_the_one_that_is_named_and_liked_best(accept: bytes, found: int) -> None:
    assert form(accept) == found


@given(st.binary(max_size=200))
def test_no_accept_field_raises(accept: bytes) -> None:
    assert form(accept) in (HTML, JSON, TEXT)


def test_an_error_of_the_edge_has_a_page_with_its_slots_filled_and_escaped() -> None:
    response = answered(failed(), error="connect_refused")
    assert response.status == 502
    assert response.body == b"<p>502 Bad Gateway id-&lt;1&gt; {x} {}"
    assert response.headers() == {
        b"cache-control": b"no-store",
        b"proxy-status": b"edgeproxy; error=connection_refused",
        b"content-type": b"text/html; charset=utf-8",
        b"vary": b"accept",
    }


def test_json_is_a_problem_and_text_stays_the_sentence_it_was() -> None:
    response = answered(failed(), b"application/json", error="connect_refused")
    assert response.get(b"content-type") == b"application/problem+json"
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {"title": "Bad Gateway", "status": 502, "request_id": "id-<1>"}
    assert answered(failed(), b"*/*", error="connect_refused").body == b"502 The origin refused the connection.\n"


def test_refusals_have_a_page_and_what_stages_say_beyond_a_refusal_stays() -> None:
    assert answered(refused()).get(b"content-type") == b"text/html; charset=utf-8"
    for body, kind in ((b"<h1>Solve this", b"text/html; charset=utf-8"), (b"closed", b"text/plain; charset=utf-8")):
        assert answered(Response(503, {b"content-type": kind}, body)).body == body
    assert answered(Response(503, {b"content-type": b"application/json"}, b'503 "x"')).body == b'503 "x"'


def test_statuses_without_a_page_and_answers_that_are_no_errors_stay() -> None:
    assert answered(refused(429)).body == b"429 Come back later.\n"
    assert answered(Response(200, {b"content-type": b"text/plain; charset=utf-8"}, b"200 ok\n")).body == b"200 ok\n"


def test_origins_errors_have_a_page_only_on_demand() -> None:
    for origin in (False, True):
        kept = FieldBlock(
            {
                b"content-type": b"text/plain; charset=utf-8",
                b"content-encoding": b"br",
                b"etag": b'"1"',
                b"last-modified": b"x",
                b"cache-control": b"max-age=60",
                b"x-own": b"1",
            }
        )
        response = answered(Response(404, None, b"404 not here", kept), origin=origin, endpoint="127.0.0.1:80")
        assert kept.fields[b"etag"] == b'"1"', "the kept copy is not touched"
        if not origin:
            assert (response.body, response.shared) == (b"404 not here", kept)
            continue
        assert response.body == b"<p>404 Not Found id-&lt;1&gt; {x} {}"
        assert response.headers() == {
            b"cache-control": b"max-age=60",
            b"x-own": b"1",
            b"content-type": b"text/html; charset=utf-8",
            b"vary": b"accept",
        }
        assert answered(Response(404, {}, b"x"), b"*/*", origin=True, endpoint="e").body == b"404 Not Found\n"


def test_a_page_takes_the_place_of_what_compression_was_to_do() -> None:
    response = failed()
    response.filter(lambda data: b"")
    assert answered(response, error="dns").filters is None


def test_what_a_page_holds_can_be_changed() -> None:
    page = Page("{status}")
    page.fill("<b>{reason}{request.id}</b>{")
    values = {"status": b"502", "reason": b"Bad Gateway", "request.id": b"\xe4&"}
    assert page.render(values) == "<b>Bad Gatewayä&amp;</b>{".encode()
