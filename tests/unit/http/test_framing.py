"""Framing: what llhttp leaves to its user."""

from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.framing import check_upgrade, expects_continue, frame, keep_trailers, wants_tunnel
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import UNKNOWN_LENGTH

HOST = {b"host": b"a.test"}


def test_fields_that_connection_names_are_gone_before_any_stage_reads_them() -> None:
    sent = HOST | {b"connection": b"close, X-User, Accept-Language", b"x-user": b"me", b"accept-language": b"de"}
    assert frame(b"GET", b"/", "1.1", sent, b"http").headers == HOST | {b"connection": sent[b"connection"]}


def test_naming_in_connection_takes_away_neither_host_nor_length_nor_what_proxies_say() -> None:
    kept = HOST | {b"content-length": b"1", b"x-forwarded-for": b"192.0.2.7", b"upgrade": b"websocket"}
    sent = kept | {b"connection": b"host, content-length, x-forwarded-for, upgrade"}
    request = frame(b"POST", b"/", "1.1", dict(sent), b"http")
    assert (request.headers, request.length) == (sent, 1)


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        (HOST, 0),
        (HOST | {b"content-length": b"0"}, 0),
        (HOST | {b"content-length": b"12"}, 12),
        (HOST | {b"content-length": b"12 \t"}, 12),
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
        (b"POST", b"/", "1.1", HOST | {b"transfer-encoding": b"chunked\t"}, Kind.NOT_IMPLEMENTED),
        (b"CONNECT", b"a.test:443", "1.1", HOST, Kind.METHOD_NOT_ALLOWED),
        (b"CONNECT", b"/", "1.1", HOST, Kind.METHOD_NOT_ALLOWED),
        (b"TRACE", b"/", "1.1", HOST, Kind.METHOD_NOT_ALLOWED),
        (b"GET", b"http://a.test/", "1.1", {}, Kind.BAD_REQUEST),
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
    assert frame(b"GET", b"http://a.test/", "1.0", {}, b"http").host == b"a.test"


def test_blanks_behind_a_host_are_not_part_of_it() -> None:
    assert frame(b"GET", b"/", "1.1", {b"host": b"A.test \t"}, b"http").authority == b"a.test"
    assert frame(b"GET", b"http://a.test/", "1.1", {b"host": b"a.test "}, b"http").host == b"a.test"


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


_SOCKET = HOST | {b"upgrade": b"websocket", b"connection": b"upgrade"}


@pytest.mark.parametrize(
    ("method", "version", "headers", "kept"),
    [
        (b"GET", "1.1", _SOCKET, True),
        (b"POST", "1.1", _SOCKET, False),
        (b"GET", "1.0", _SOCKET, False),
        (b"GET", "1.1", _SOCKET | {b"upgrade": b"h2c"}, False),
    ],
)
def test_an_upgrade_nobody_takes_is_dropped(method: bytes, version: str, headers: Headers, kept: bool) -> None:
    request = frame(method, b"/", version, dict(headers), b"http")
    check_upgrade(request, asked=True)
    assert (b"upgrade" in request.headers) is kept


@pytest.mark.parametrize("framing", [{b"content-length": b"5"}, {b"transfer-encoding": b"chunked"}])
def test_an_upgrade_with_a_body_is_refused(framing: Headers) -> None:
    request = frame(b"GET", b"/", "1.1", _SOCKET | framing, b"http")
    with pytest.raises(EdgeError) as caught:
        check_upgrade(request, asked=True)
    assert caught.value.kind is Kind.BAD_REQUEST


@pytest.mark.parametrize(
    ("version", "value", "expected"),
    [("1.1", b"100-Continue ", True), ("1.0", b"100-continue", False), ("1.0", b"x", False)],
)
def test_only_http_1_1_waits_to_be_told_to_send(version: str, value: bytes, expected: bool) -> None:
    request = frame(b"POST", b"/", version, HOST | {b"content-length": b"5", b"expect": value}, b"http")
    assert expects_continue(request) is expected
    assert b"expect" not in request.headers


def test_another_expectation_is_not_met() -> None:
    request = frame(b"POST", b"/", "1.1", HOST | {b"content-length": b"5", b"expect": b"x"}, b"http")
    with pytest.raises(EdgeError) as caught:
        expects_continue(request)
    assert caught.value.kind is Kind.EXPECTATION_FAILED


def test_trailers_cannot_frame_route_or_authorise() -> None:
    fields = {b"x-sum": b"1", b"content-length": b"5", b"host": b"b", b"authorization": b"x"}
    assert keep_trailers(fields) == {b"x-sum": b"1"}
