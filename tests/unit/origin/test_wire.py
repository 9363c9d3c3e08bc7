from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Request
from edgeproxy.origin.wire import Call


def call(method: bytes = b"GET", headers: dict[bytes, bytes] | None = None, **more) -> Call:
    return Call(Request(method, b"/a?b", headers or {}, **more), 0.0)


def test_the_whole_head():
    assert call(headers={b"host": b"x", b"accept": b"*/*"}).head(b"h") == (
        b"GET /a?b HTTP/1.1\r\nhost: h\r\naccept: */*\r\nvia: 1.1 edgeproxy\r\ncdn-loop: edgeproxy\r\n\r\n"
    )


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"2", b"3"])
def test_via_tells_the_version_the_request_came_in(version):
    assert b"\r\nvia: %b edgeproxy\r\n" % version in call(version=version).head(b"h")


def test_an_upgrade_is_asked_for_anew():
    head = call(headers={b"connection": b"x-a, UPGRADE", b"upgrade": b"WebSocket"}).head(b"h")
    assert b"\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n" in head
    assert b"upgrade" not in call(headers={b"connection": b"upgrade", b"upgrade": b"h2c"}).head(b"h")


def test_a_client_cannot_take_away_what_a_stage_has_set():
    """The fields Connection names went as the request came in (http/framing.py); these came later."""
    fields = {b"connection": b"x-forwarded-for, x-user", b"x-forwarded-for": b"192.0.2.7", b"x-user": b"me"}
    head = call(headers=fields).head(b"h")
    assert b"\r\nx-forwarded-for: 192.0.2.7\r\n" in head
    assert b"\r\nx-user: me\r\n" in head
    assert b"connection" not in head


def test_names_that_cgi_and_wsgi_would_mistake_are_not_passed_on():
    head = call(headers={b"x-user": b"me", b"x_user": b"admin", b"x_forwarded_for": b"127.0.0.1"}).head(b"h")
    assert b"\r\nx-user: me\r\n" in head
    assert b"x_" not in head


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b", b"a\r\n\r\nGET / HTTP/1.1"])
@pytest.mark.parametrize("place", ["field", "name", "host", "target", "method"])
def test_what_would_end_a_line_is_refused(value, place):
    request = {
        "field": Request(b"GET", b"/", {b"x": value}),
        "name": Request(b"GET", b"/", {value: b"x"}),
        "host": Request(b"GET", b"/", {}),
        "target": Request(b"GET", b"/" + value, {}),
        "method": Request(value, b"/", {}),
    }[place]
    with pytest.raises(EdgeError) as caught:
        Call(request, 0.0).head(value if place == "host" else b"h")
    assert caught.value.kind is Kind.INTERNAL


def test_set_cookie_in_a_request_stays_in_lines_of_its_own():
    head = call(headers={b"set-cookie": b"a=1\nb=2"}).head(b"h")
    assert b"\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n" in head


def test_repeatable_is_what_is_idempotent_and_not_begun():
    assert call(b"GET").repeatable
    assert call(b"DELETE").repeatable
    assert not call(b"POST").repeatable
    put = call(b"PUT", body=Pipe(3))
    assert put.repeatable
    put.begun = True
    assert not put.repeatable


def test_a_body_still_to_come_is_framed_by_its_length_or_in_chunks():
    known, unknown = call(b"PUT", body=Pipe(3)), call(b"PUT", body=Pipe())
    assert b"\r\ncontent-length: 3\r\n" in known.head(b"h")
    assert b"\r\ntransfer-encoding: chunked\r\n" in unknown.head(b"h")
    assert b"content-length" not in unknown.head(b"h")


@pytest.mark.parametrize(("data", "payload"), [(b"abc", b"3\r\nabc\r\n0\r\nx: 1\r\n\r\n"), (b"", b"0\r\nx: 1\r\n\r\n")])
def test_a_body_with_trailers_goes_in_chunks(data, payload):
    pipe = Pipe()
    if data:
        pipe.feed(data)
    pipe.finish({b"x": b"1"})
    assert call(b"PUT", body=pipe).payload == payload
