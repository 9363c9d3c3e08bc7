from __future__ import annotations

import pytest

from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline import calls
from edgeproxy.pipeline.exchange import Exchange, Peer

GRPC = {b"content-type": b"application/grpc"}


def exchange(headers: dict[bytes, bytes]) -> Exchange:
    return Exchange(Request(b"POST", b"/a.B/c", headers), Peer("192.0.2.7", 1, "", "", None), 0.0)


def test_an_error_is_told_in_grpcs_words_and_keeps_the_fields_of_its_stages():
    x = exchange(GRPC)
    response = Response(
        502,
        {
            b"content-type": b"text/plain; charset=utf-8",
            b"content-length": b"9",
            b"proxy-status": b"edgeproxy; error=connection_refused",
            b"x-request-id": b"1",
        },
        b"502 No origin.\n",
    )
    calls.refuse(x, response)
    assert (response.status, response.body, x.grpc) == (200, b"", "14")
    assert response.headers() == {
        b"content-type": b"application/grpc",
        b"grpc-status": b"14",
        b"grpc-message": b"502 No origin.",
        b"proxy-status": b"edgeproxy; error=connection_refused",
        b"x-request-id": b"1",
    }


@pytest.mark.parametrize("body", [b"<h1>No</h1>", Pipe()])
def test_a_page_is_not_told(body):
    response = Response(403, {b"content-type": b"text/html", b"content-encoding": b"br"}, body)
    calls.refuse(exchange(GRPC), response)
    assert response.get(b"grpc-message") == b"HTTP status 403"
    assert response.get(b"grpc-status") == b"7"
    assert response.get(b"content-encoding") is None


@pytest.mark.parametrize(
    ("headers", "code"), [(GRPC, b"14"), (GRPC | {b"grpc-timeout": b"1S"}, b"4")], ids=["ours", "the client's"]
)
def test_a_deadline_of_the_clients_own_is_called_so(headers, code):
    x = exchange(headers)
    x.error = "response_timeout"
    response = Response(504)
    calls.refuse(x, response)
    assert response.get(b"grpc-status") == code


def test_what_a_call_ended_with_is_noted_from_trailers_or_from_a_head_that_is_all():
    x = exchange(GRPC)
    body = Pipe()
    body.finish({b"grpc-status": b"5"})
    calls.note(x, Response(200, {}, body))
    assert x.grpc == "5"
    calls.note(x, Response(200, {b"grpc-status": b"3"}))
    assert x.grpc == "3"


def test_of_other_requests_nothing_is_noted():
    x = exchange({})
    calls.note(x, Response(200, {b"grpc-status": b"3"}))
    assert x.grpc == ""
