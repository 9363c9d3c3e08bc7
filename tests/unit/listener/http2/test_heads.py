"""Response heads of HTTP/2: what HTTP/1.1 says, in blocks that any decoder reads."""

from __future__ import annotations

import hpack

from edgeproxy.http.body import Body
from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.listener.http2 import heads

NOW = 1_800_000_000.0
DATE = (b"date", b"Fri, 15 Jan 2027 08:00:00 GMT")


def wall() -> float:
    return NOW


def read(block: bytes) -> list[tuple[bytes, bytes]]:
    decoder = hpack.Decoder()
    decoder.max_header_list_size = 1 << 20
    fields = [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    assert decoder.header_table.dynamic_entries.__len__() == 0, "nothing is put into the table"
    return fields


def request(method: bytes = b"GET") -> Request:
    return Request(method, b"/", {}, version=b"2")


def test_a_whole_answer_has_its_status_its_length_and_a_date() -> None:
    block = heads.whole(request(), Response(404, {b"server": b"s"}), b"body", wall)
    assert read(block) == [(b":status", b"404"), (b"server", b"s"), DATE, (b"content-length", b"4")]


def test_the_layers_of_a_stored_answer_are_joined_and_its_block_is_made_once() -> None:
    shared = FieldBlock({b"date": b"now", b"etag": b'"x"', b"set-cookie": b"a=1\nb=2"})
    stamp = FieldBlock({b"age": b"7"})
    first = heads.whole(request(), Response(200, {b"x-request-id": b"1"}, shared=shared, stamp=stamp), b"", wall)
    made = shared.block
    second = heads.whole(request(), Response(200, {b"x-request-id": b"2"}, shared=shared, stamp=stamp), b"", wall)
    assert shared.block is made is not None
    assert read(first) == [
        (b":status", b"200"),
        (b"date", b"now"),
        (b"etag", b'"x"'),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"age", b"7"),
        (b"x-request-id", b"1"),
        (b"content-length", b"0"),
    ]
    assert read(second)[-2] == (b"x-request-id", b"2")


def test_nothing_of_http1_connections_is_said() -> None:
    own = {b"connection": b"close", b"keep-alive": b"5", b"transfer-encoding": b"chunked", b"date": b"d"}
    assert read(heads.whole(request(), Response(200, dict(own)), b"", wall))[1:-1] == [(b"date", b"d")]
    for name in (b"connection", b"set-cookie"):
        fields = read(heads.whole(request(), Response(200, {name: b"x"}, shared=DATED), b"", wall))
        assert ((name, b"x") in fields) == (name == b"set-cookie")


DATED = FieldBlock({b"date": b"now"})


def test_an_answer_without_a_body_says_what_a_get_would_have_had() -> None:
    told = Response(200, {b"content-length": b"1000", b"date": b"d"})
    assert read(heads.whole(request(b"HEAD"), told, b"", wall))[-1] == (b"content-length", b"1000")
    for status in (204, 304):
        block = heads.whole(request(), Response(status, {b"date": b"d"}), b"", wall)
        assert read(block) == [(b":status", b"%d" % status), (b"date", b"d")]


def test_a_streamed_answer_has_a_length_where_it_is_known() -> None:
    def head(length: int | None) -> list[tuple[bytes, bytes]]:
        return read(heads.streamed(Response(200, {b"date": b"d"}, Body()), length, wall))

    assert head(None) == [(b":status", b"200"), (b"date", b"d")]
    assert head(70) == [(b":status", b"200"), (b"date", b"d"), (b"content-length", b"70")]


def test_a_switch_of_protocols_is_a_200() -> None:
    own = {b"upgrade": b"websocket", b"connection": b"upgrade", b"sec-websocket-accept": b"x", b"date": b"d"}
    assert read(heads.streamed(Response(101, own, Body()), None, wall)) == [(b":status", b"200"), (b"date", b"d")]


def test_interim_answers_and_trailers_are_blocks_of_their_own() -> None:
    assert read(heads.interim(103, {b"link": b"</a>; rel=preload"})) == [
        (b":status", b"103"),
        (b"link", b"</a>; rel=preload"),
    ]
    assert read(heads.trailers({b"grpc-status": b"0"})) == [(b"grpc-status", b"0")]
    assert heads.trailers({}) == heads.trailers(None) == b""
