"""Framing: what llhttp leaves to its user."""

from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.framing import frame, keep_trailers, wants_tunnel
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import UNKNOWN_LENGTH

HOST = {b"host": b"a.test"}


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        (HOST, 0),
        (HOST | {b"content-length": b"0"}, 0),
        (HOST | {b"content-length": b"12"}, 12),
        (HOST | {b"transfer-encoding": b"Chunked"}, UNKNOWN_LENGTH),
    ],
)
def test_how_a_body_is_framed(headers: Headers, length: int) -> None:
    assert frame(b"POST", b"/", "1.1", headers, b"http").length == length


@pytest.mark.parametrize(
    ("method", "target", "version", "headers", "kind"),
    [
        (b"GET", b"/", "1.1", {}, Kind.BAD_REQUEST),
        (b"GET", b"/", "1.1", {b"host": b"a, b"}, Kind.BAD_REQUEST),
        (b"GET", b"/", "2.0", HOST, Kind.VERSION),
        (b"GET", b"/", "0.9", HOST, Kind.VERSION),
        (b"POST", b"/", "1.0", HOST | {b"transfer-encoding": b"chunked"}, Kind.BAD_REQUEST),
        (b"POST", b"/", "1.1", HOST | {b"transfer-encoding": b"gzip, chunked"}, Kind.NOT_IMPLEMENTED),
        (b"POST", b"/", "1.1", HOST | {b"content-length": b"5, 5"}, Kind.BAD_REQUEST),
        (b"POST", b"/", "1.1", HOST | {b"content-length": b"9" * 30}, Kind.BAD_REQUEST),
        (b"CONNECT", b"a.test:443", "1.1", HOST, Kind.METHOD_NOT_ALLOWED),
        (b"GET", b"*", "1.1", HOST, Kind.BAD_REQUEST),
        (b"GET", b"ftp://a.test/", "1.1", HOST, Kind.BAD_REQUEST),
        (b"GET", b"http://b.test/", "1.1", HOST, Kind.BAD_REQUEST),
        (b"GET", b"http://a.test@b.test/", "1.1", HOST, Kind.BAD_REQUEST),
    ],
)
def test_what_is_refused(method: bytes, target: bytes, version: str, headers: Headers, kind: Kind) -> None:
    with pytest.raises(EdgeError) as caught:
        frame(method, target, version, headers, b"http")
    assert caught.value.kind is kind


def test_absolute_form_gives_the_authority() -> None:
    request = frame(b"GET", b"http://A.test/x?y", "1.1", HOST, b"http")
    assert (request.host, request.target, request.query) == (b"a.test", b"/x?y", b"y")
    assert frame(b"GET", b"http://a.test", "1.1", HOST, b"http").target == b"/"


def test_http_1_0_needs_no_host() -> None:
    assert frame(b"GET", b"/", "1.0", {}, b"http").host == b""


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({b"upgrade": b"WebSocket", b"connection": b"keep-alive, Upgrade"}, True),
        ({b"upgrade": b"websocket"}, False),
        ({b"upgrade": b"h2c", b"connection": b"upgrade"}, False),
        ({b"upgrade": b"websocket, h2c", b"connection": b"upgrade"}, False),
    ],
)
def test_only_websocket_is_tunnelled(headers: Headers, wanted: bool) -> None:
    assert wants_tunnel(headers) is wanted


def test_trailers_cannot_frame_route_or_authorise() -> None:
    fields = {b"x-sum": b"1", b"content-length": b"5", b"host": b"b", b"authorization": b"x"}
    assert keep_trailers(fields) == {b"x-sum": b"1"}
