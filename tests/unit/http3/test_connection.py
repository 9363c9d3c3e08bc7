"""HTTP/3's frames out of bytes in whatever pieces; the errors are in the cases of tests/conformance/http3."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.http2.events import Event, Fields, Priority, Trailers
from edgeproxy.http3 import codes, qpack
from edgeproxy.http3.codes import ProtocolError
from edgeproxy.http3.connection import Connection
from edgeproxy.http3.events import Broken, Data, TooLarge, Unwanted
from edgeproxy.http3.varint import encode

HEAD = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/")]
TAIL = [(b"x-sum", b"1")]


def frame(kind: int, payload: bytes) -> bytes:
    return encode(kind) + encode(len(payload)) + payload


HEADERS = frame(codes.HEADERS, qpack.encode(HEAD))
TRAILERS = frame(codes.HEADERS, qpack.encode(TAIL))


def made() -> Connection:
    return Connection(5_000, 2_000, lambda: 0.0)


def fed(connection: Connection, stream: int, pieces: Sequence[bytes]) -> list[Event]:
    """The events of a stream that ends with its last piece."""
    events: list[Event] = []
    for number, piece in enumerate(pieces):
        events += connection.receive(stream, piece, number == len(pieces) - 1)
    return events


def told(events: list[Event]) -> list[object]:
    """What they say, bodies joined."""
    said: list[object] = []
    body, ended = b"", False
    for event in events:
        if isinstance(event, Data):
            body += event.data
            ended |= event.ended
        elif isinstance(event, Fields | Trailers):
            said.append(event.fields)
            ended |= isinstance(event, Fields) and event.ended
    return [*said, body, ended]


@given(st.lists(st.integers(1, 30), max_size=12))
def test_a_request_is_the_same_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    whole = (
        frame(0x21, b"ab")
        + HEADERS
        + frame(codes.DATA, b"one ")
        + frame(0x40, b"")
        + frame(codes.DATA, b"two")
        + TRAILERS
    )
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(whole[at : at + cut])
        at += cut
    assert told(fed(made(), 0, [*pieces, whole[at:]])) == [HEAD, TAIL, b"one two", True]


def test_a_request_without_a_body_has_ended_with_its_head() -> None:
    (event,) = made().receive(0, HEADERS, True)
    assert isinstance(event, Fields)
    assert event.ended


def test_an_end_that_comes_alone_ends_the_body() -> None:
    connection = made()
    connection.receive(0, HEADERS + frame(codes.DATA, b"x"), False)
    (event,) = connection.receive(0, b"", True)
    assert isinstance(event, Data)
    assert (event.data, event.ended) == (b"", True)


def test_a_body_is_told_as_it_comes_not_when_its_frame_is_whole() -> None:
    connection = made()
    connection.receive(0, HEADERS + encode(codes.DATA) + encode(1 << 40), False)
    (event,) = connection.receive(0, b"so far", False)
    assert isinstance(event, Data)
    assert event.data == b"so far"


@pytest.mark.parametrize("section", [b"x" * 3_000, qpack.encode([(b"a", b"b" * 1_900)] * 3)])
def test_a_head_that_is_too_large_is_told_and_nothing_more_of_its_stream(section: bytes) -> None:
    connection = made()
    events = connection.receive(0, frame(codes.HEADERS, section)[:1_500], False)
    events += connection.receive(0, frame(codes.HEADERS, section)[1_500:], False)
    assert [type(event) for event in events] == [TooLarge]
    assert connection.receive(0, HEADERS, True) == []
    assert told(fed(connection, 4, [HEADERS])) == [HEAD, b"", True]


def test_what_is_dropped_says_nothing_more() -> None:
    connection = made()
    connection.receive(0, HEADERS, False)
    connection.drop(0)
    assert connection.receive(0, frame(codes.DATA, b"x"), False) == []
    assert not connection.reset(0), "it was asked to"
    assert connection.reset(4)
    assert repr(connection) == "<Connection 0 streams to come>"


def test_an_unknown_stream_is_unwanted_and_read_over() -> None:
    connection = made()
    (event,) = connection.receive(14, encode(0x21) + b"abc", False)
    assert isinstance(event, Unwanted)
    assert connection.receive(14, b"more", True) == []
    assert repr(connection) == "<Connection 0 streams to come>"


def test_priorities_come_in_whatever_pieces() -> None:
    connection = made()
    control = b"\0" + frame(codes.SETTINGS, b"") + frame(0x21, b"abc") + frame(codes.PRIORITY_UPDATE, b"\x04u=1")
    events = [event for byte in control for event in connection.receive(2, bytes((byte,)), False)]
    assert [(type(event), event.stream) for event in events] == [(Priority, 4)]


def test_a_request_without_a_head_is_broken_off() -> None:
    (event,) = made().receive(0, b"", True)
    assert isinstance(event, Broken)
    assert event.code == codes.REQUEST_INCOMPLETE


PARTS = st.sampled_from((HEADERS, TRAILERS, b"\0", b"\2", b"\3", frame(codes.SETTINGS, b""), frame(codes.DATA, b"x")))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from((0, 2, 4, 6, 10)), PARTS | st.binary(max_size=40), st.booleans()), max_size=12)
)
def test_hostile_bytes_bring_about_nothing_but_the_error_declared(steps: list[tuple[int, bytes, bool]]) -> None:
    connection, ended = made(), set[int]()
    try:
        for stream, data, end in steps:
            if stream not in ended:
                connection.receive(stream, data, end)
                if end:
                    ended.add(stream)
    except ProtocolError as error:
        assert_known(error)


def assert_known(error: ProtocolError) -> None:
    assert error.code in codes.ERROR_NAMES
