from __future__ import annotations

import hpack
import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Request
from edgeproxy.origin.http2_head import head, plain, trailers
from edgeproxy.origin.wire import Call


def call(method: bytes = b"GET", headers: dict[bytes, bytes] | None = None, **more) -> Call:
    return Call(Request(method, b"/a?b", headers or {}, version=b"2", **more), 100.0)


def said(block: bytes) -> list[tuple[bytes, bytes]]:
    return list(hpack.Decoder().decode(block, raw=True))


def fields(call: Call, host: bytes = b"h", now: float = 0.0) -> dict[bytes, bytes]:
    return dict(said(head(call, host, b"https", now)))


def test_the_whole_head():
    assert said(head(call(headers={b"host": b"x", b"accept": b"*/*"}), b"h:8", b"https", 0.0)) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"h:8"),
        (b":path", b"/a?b"),
        (b"accept", b"*/*"),
        (b"via", b"2 edgeproxy"),
        (b"cdn-loop", b"edgeproxy"),
    ]


@pytest.mark.parametrize(("told", "kept"), [(b"trailers", True), (b"gzip, Trailers", True), (b"gzip", False)])
def test_of_te_trailers_alone_are_passed_on(told, kept):
    """RFC 9113 §8.2.2"""
    assert fields(call(headers={b"te": told})).get(b"te") == (b"trailers" if kept else None)


@pytest.mark.parametrize("name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
def test_fields_of_the_clients_connection_stay_with_it(name):
    assert name not in fields(call(headers={name: b"x"}))


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [(b"GET", None, None), (b"POST", None, b"0"), (b"PUT", Pipe(7), b"7"), (b"PUT", Pipe(), None)],
)
def test_the_length_is_said_if_it_is_known(method, body, length):
    assert fields(call(method, body=body)).get(b"content-length") == length


def test_a_body_that_is_here_is_told_by_its_length_unless_trailers_follow_or_it_is_a_calls():
    def whole(kept: dict[bytes, bytes] | None = None, **headers: bytes) -> Call:
        body = Pipe()
        body.feed(b"abc")
        body.finish(kept)
        return call(b"POST", {name.replace("_", "-").encode(): value for name, value in headers.items()}, body=body)

    assert fields(whole())[b"content-length"] == b"3"
    assert b"content-length" not in fields(whole({b"x-sum": b"1"}))
    assert b"content-length" not in fields(whole(content_type=b"application/grpc"))


def test_a_websocket_is_asked_for_by_connect():
    """RFC 8441 §4, §5"""
    asked = {b"connection": b"upgrade", b"upgrade": b"websocket", b"sec-websocket-key": b"k", b"origin": b"https://a"}
    got = fields(call(headers=asked))
    assert (got[b":method"], got[b":protocol"], got[b":path"]) == (b"CONNECT", b"websocket", b"/a?b")
    assert got[b"origin"] == b"https://a"
    assert not {b"sec-websocket-key", b"connection", b"upgrade"} & got.keys()


def test_a_calls_deadline_is_what_is_left_of_it():
    asked = call(b"POST", {b"content-type": b"application/grpc", b"grpc-timeout": b"9H"})
    assert fields(asked, now=90.0)[b"grpc-timeout"] == b"9H"
    asked.rpc = True
    assert fields(asked, now=90.0)[b"grpc-timeout"] == b"10000000u"
    assert fields(asked, now=200.0)[b"grpc-timeout"] == b"0u"


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\0b"])
def test_what_no_field_may_hold_is_refused(value):
    for asked, host in ((call(headers={b"x": value}), b"h"), (call(headers={value: b"x"}), b"h"), (call(), value)):
        with pytest.raises(EdgeError) as caught:
            head(asked, host, b"http", 0.0)
        assert caught.value.kind is Kind.INTERNAL


def test_cookies_and_trailers_are_lines():
    assert said(trailers({b"set-cookie": b"a\nb", b"x": b"1"})) == [
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
        (b"x", b"1"),
    ]
    assert said(plain(b"GET", b"http", b"h", b"/", {b"x": b"1"}))[-1] == (b"x", b"1")
