"""What a peer does wrong, by the rule it breaks; and that no bytes do more than break a connection."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.http2 import frames
from edgeproxy.http2.connection import Connection
from edgeproxy.http2.events import Data, Ended, Event, Fields, Priority, Reset, TooLarge, Trailers, Window
from edgeproxy.http2.hpack import encode
from edgeproxy.http2.settings import Settings

HEAD: Final = encode([(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"), (b":authority", b"a.example")])
TRAILER: Final = encode([(b"x-sum", b"1")])
SETTINGS: Final = Settings(streams=3, window=100_000, connection_window=200_000, fields=1_000, connect=True)
WHOLE: Final = frames.END_HEADERS | frames.END_STREAM
STOP: Final = frames.PROTOCOL_ERROR
EMPTY_SETTINGS: Final = frames.settings({})


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return frames.frame(kind, flags, stream, payload)


GET: Final = frame(frames.HEADERS, WHOLE, 1, HEAD)
POST: Final = frame(frames.HEADERS, frames.END_HEADERS, 1, HEAD)
UPDATE: Final = frames.WINDOW_UPDATE
MOST: Final = frames.uint32(frames.WINDOW_MOST)


def begun() -> Connection:
    connection = Connection(SETTINGS, clock=lambda: 0.0)
    assert connection.receive(frames.PREFACE + EMPTY_SETTINGS) == []
    connection.out.clear()
    return connection


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


# What breaks the connection, and by which code.
CONNECTION_ERRORS: Final[dict[str, tuple[int, bytes]]] = {
    "4.1 an unknown frame inside a field section": (STOP, frame(1, 1, 1, HEAD) + frame(0x42)),
    "4.2 a frame larger than announced": (frames.FRAME_SIZE_ERROR, frames.header(16_385, 0, 0, 1)),
    "4.3 a block that cannot be decoded": (frames.COMPRESSION_ERROR, frame(1, WHOLE, 1, b"\xff\xff\xff\xff\xff\xff")),
    "5.1 DATA on an idle stream": (STOP, frame(0, 1, 1, b"x")),
    "5.1 RST_STREAM on an idle stream": (STOP, frame(3, 0, 1, bytes(4))),
    "5.1 WINDOW_UPDATE on an idle stream": (STOP, frame(8, 0, 1, frames.uint32(1))),
    "5.1 CONTINUATION of nothing": (STOP, GET + frame(9, 4, 1, HEAD)),
    "5.1.1 a client's stream with an even number": (STOP, frame(1, WHOLE, 2, HEAD)),
    "5.1.1 a number below one that was used": (STOP, frame(1, WHOLE, 5, HEAD) + frame(1, WHOLE, 3, HEAD)),
    "6.1 DATA on the connection": (STOP, frame(0, 1, 0, b"x")),
    "6.1 more padding than frame": (STOP, POST + frame(0, 9, 1, b"\x05abcd")),
    "6.2 HEADERS on the connection": (STOP, frame(1, WHOLE, 0, HEAD)),
    "6.2 HEADERS with more padding than frame": (STOP, frame(1, WHOLE | 8, 1, b"\xf0" + HEAD)),
    "6.2 HEADERS too short for a priority": (frames.FRAME_SIZE_ERROR, frame(1, WHOLE | 0x20, 1, b"\0\0")),
    "6.2 HEADERS of another stream inside a field section": (STOP, frame(1, 1, 1, HEAD) + frame(1, 5, 3, HEAD)),
    "6.3 PRIORITY on the connection": (STOP, frame(2, 0, 0, bytes(5))),
    "6.4 RST_STREAM on the connection": (STOP, frame(3, 0, 0, bytes(4))),
    "6.4 RST_STREAM of a wrong size": (frames.FRAME_SIZE_ERROR, GET + frame(3, 0, 1, bytes(3))),
    "6.5 SETTINGS on a stream": (STOP, frame(4, 0, 1)),
    "6.5 SETTINGS of a wrong size": (frames.FRAME_SIZE_ERROR, frame(4, 0, 0, bytes(5))),
    "6.5 an acknowledgement that says something": (frames.FRAME_SIZE_ERROR, frame(4, 1, 0, bytes(6))),
    "6.5.2 ENABLE_PUSH 2": (STOP, frames.settings({2: 2})),
    "6.5.2 a window too large": (frames.FLOW_CONTROL_ERROR, frames.settings({4: 2**31})),
    "6.5.2 frames too small": (STOP, frames.settings({5: 16_383})),
    "6.5.2 frames too large": (STOP, frames.settings({5: 2**24})),
    "6.6 a promise": (STOP, GET + frame(5, 4, 1, bytes(4))),
    "6.7 PING on a stream": (STOP, frame(6, 0, 1, bytes(8))),
    "6.7 PING of a wrong size": (frames.FRAME_SIZE_ERROR, frame(6, 0, 0, bytes(6))),
    "6.8 GOAWAY on a stream": (STOP, frame(7, 0, 1, bytes(8))),
    "6.9 a connection's window opened by nothing": (STOP, frame(8, 0, 0, bytes(4))),
    "6.9 WINDOW_UPDATE of a wrong size": (frames.FRAME_SIZE_ERROR, frame(8, 0, 0, bytes(3))),
    "6.9.1 the connection's window beyond its most": (frames.FLOW_CONTROL_ERROR, frame(8, 0, 0, MOST)),
    "6.9.2 a stream's window beyond its most by SETTINGS": (
        frames.FLOW_CONTROL_ERROR,
        GET + frame(8, 0, 1, frames.uint32(2**31 - 1 - 65_535)) + frames.settings({4: 65_536}),
    ),
    "6.10 CONTINUATION on the connection": (STOP, frame(1, 1, 1, HEAD) + frame(9, 4, 0, HEAD)),
    "RFC 8441 3: ENABLE_CONNECT_PROTOCOL 2": (STOP, frames.settings({8: 2})),
    "RFC 8441 3: extended CONNECT taken back": (STOP, frames.settings({8: 1}) + frames.settings({8: 0})),
    "RFC 9218 2.1: NO_RFC7540_PRIORITIES 2": (STOP, frames.settings({9: 2})),
    "RFC 9218 7.1: PRIORITY_UPDATE of the connection": (STOP, frame(16, 0, 0, bytes(4) + b"u=1")),
    "RFC 9218 7.1: PRIORITY_UPDATE on a stream": (STOP, frame(16, 0, 1, frames.uint32(1))),
    "RFC 9218 7.1: PRIORITY_UPDATE too short": (frames.FRAME_SIZE_ERROR, frame(16, 0, 0, bytes(3))),
}

# What breaks stream 1 alone.
STREAM_ERRORS: Final[dict[str, tuple[int, bytes]]] = {
    "5.1 DATA behind the end": (frames.STREAM_CLOSED, GET + frame(0, 1, 1, b"x")),
    "5.1 HEADERS behind the end": (frames.STREAM_CLOSED, GET + frame(1, WHOLE, 1, TRAILER)),
    "5.3.1 HEADERS that depend on themselves": (STOP, frame(1, WHOLE | 0x20, 1, frames.uint32(1) + b"\x10" + HEAD)),
    "5.3.1 PRIORITY that depends on itself": (STOP, GET + frame(2, 0, 1, frames.uint32(1) + b"\x10")),
    "6.3 PRIORITY of a wrong size": (frames.FRAME_SIZE_ERROR, GET + frame(2, 0, 1, bytes(4))),
    "6.9 a window opened by nothing": (STOP, GET + frame(8, 0, 1, bytes(4))),
    "6.9.1 a window beyond its most": (frames.FLOW_CONTROL_ERROR, GET + frame(8, 0, 1, MOST)),
    "6.9.1 more than the window": (
        frames.FLOW_CONTROL_ERROR,
        POST + frame(0, 0, 1, bytes(16_384)) * 6 + frame(0, 0, 1, bytes(1_697)),
    ),
    "8.1 trailers that end nothing": (STOP, POST + frame(1, frames.END_HEADERS, 1, TRAILER)),
    "8.1 trailers too large": (
        frames.ENHANCE_YOUR_CALM,
        POST + frame(1, WHOLE, 1, encode([(b"x", bytes(1000))])),
    ),
}


@pytest.mark.parametrize("rule", CONNECTION_ERRORS)
def test_the_connection_ends(rule: str) -> None:
    code, sent = CONNECTION_ERRORS[rule]
    connection = begun()
    *_, last = connection.receive(sent)
    assert isinstance(last, Ended)
    assert frames.name_of(last.code) == frames.name_of(code)
    goaway = connection.out[-1]
    assert (goaway[3], goaway[13:17]) == (frames.GOAWAY, frames.uint32(code))
    assert connection.receive(GET) == []


@pytest.mark.parametrize("rule", STREAM_ERRORS)
def test_the_stream_ends_and_the_connection_goes_on(rule: str) -> None:
    code, sent = STREAM_ERRORS[rule]
    connection = begun()
    connection.receive(sent)
    assert connection.over is None
    assert connection.out[-1] == frame(3, 0, 1, frames.uint32(code))
    assert 1 not in connection.streams
    assert kinds(connection.receive(frame(1, WHOLE, 3, HEAD))) == [Fields]


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", b"\0"])
def test_what_is_no_preface_ends_the_connection(begin: bytes) -> None:
    connection = Connection(SETTINGS)
    assert kinds(connection.receive(begin)) == [Ended]


@pytest.mark.parametrize("first", [GET, frame(4, 1), frame(6, 0, 0, bytes(8)), frame(0x42)])
def test_the_first_frame_is_settings(first: bytes) -> None:
    connection = Connection(SETTINGS)
    assert kinds(connection.receive(frames.PREFACE + first)) == [Ended]


def test_frames_for_a_stream_that_was_reset_here_are_read_over_and_their_room_is_given_back() -> None:
    connection = begun()
    connection.receive(POST)
    connection.reset(1, frames.CANCEL)
    room = connection.incoming
    for _ in range(20):
        assert connection.receive(frame(0, 0, 1, bytes(16_000))) == []
    assert connection.over is None
    assert room - connection.incoming < SETTINGS.connection_window / 2
    assert connection.receive(frame(1, WHOLE, 1, TRAILER) + frame(3, 0, 1, bytes(4)) + frame(8, 0, 1, bytes(4))) == []


def test_a_frame_on_a_stream_that_ended_by_itself_ends_the_connection() -> None:
    connection = begun()
    connection.receive(GET)
    connection.fields(1, encode([(b":status", b"204")]), end=True)
    (ended,) = connection.receive(frame(1, WHOLE, 1, HEAD))
    assert isinstance(ended, Ended)
    assert ended.code == frames.STREAM_CLOSED


def test_a_head_too_large_is_an_event_and_the_table_stays_right() -> None:
    connection = begun()
    large = b"\x40\x01a\x01b" + encode([(b"x", b"y" * 1000)])
    (event,) = connection.receive(frame(1, WHOLE, 1, HEAD + large))
    assert isinstance(event, TooLarge)
    (event,) = connection.receive(frame(1, WHOLE, 3, HEAD + b"\xbe"))
    assert isinstance(event, Fields)
    assert event.fields[-1] == (b"a", b"b")


def test_a_body_with_padding_gives_what_it_took_of_the_windows() -> None:
    connection = begun()
    events = connection.receive(POST + frame(0, frames.PADDED, 1, b"\x03abc\0\0\0") + frame(1, WHOLE, 1, TRAILER))
    assert kinds(events) == [Fields, Data, Trailers]
    data = events[1]
    assert isinstance(data, Data)
    assert (data.data, data.size, data.ended) == (b"abc", 7, False)


def test_a_window_is_given_back_when_half_of_it_was_used() -> None:
    connection = begun()
    connection.receive(POST + frame(0, 0, 1, bytes(16_000)) * 6)
    connection.took(1, 49_999)
    assert connection.out == []
    connection.took(1, 1)
    assert connection.out == [frame(UPDATE, 0, 1, frames.uint32(50_000))]
    connection.took(1, 46_000)
    assert connection.out[1:] == []
    connection.receive(frame(0, 0, 1, bytes(16_000)) * 3)
    connection.took(1, 4_000)
    assert connection.out[1] == frame(UPDATE, 0, 0, frames.uint32(100_000))


def test_priorities_are_told_also_of_streams_that_have_not_begun() -> None:
    connection = begun()
    (event,) = connection.receive(frame(frames.PRIORITY_UPDATE, 0, 0, frames.uint32(7) + b"u=1, i"))
    assert isinstance(event, Priority)
    assert (event.stream, event.value) == (7, b"u=1, i")


def test_settings_open_the_windows_of_open_streams() -> None:
    connection = begun()
    connection.receive(GET)
    assert kinds(connection.receive(frames.settings({4: 100_000}))) == [Window]
    assert connection.streams[1].outgoing == 100_000
    assert connection.receive(frames.settings({4: 10})) == []
    assert connection.window(1) == 10


def test_each_stream_is_told_of_wider_windows_and_none_of_the_connection_s() -> None:
    connection = begun()
    connection.receive(GET + frame(1, WHOLE, 3, HEAD))
    wider = connection.receive(frames.settings({4: 100_000}))
    assert [(type(event), event.stream) for event in wider] == [(Window, 1), (Window, 3)]
    (event,) = connection.receive(frame(UPDATE, 0, 0, frames.uint32(1024)))
    assert (type(event), event.stream) == (Window, 0)


def test_the_rest_of_a_read_is_served_when_one_stream_was_broken() -> None:
    connection = begun()
    events = connection.receive(GET + frame(8, 0, 1, bytes(4)) + frame(1, WHOLE, 3, HEAD))
    assert kinds(events) == [Fields, Reset, Fields]


def test_bytes_may_come_in_any_pieces() -> None:
    whole, pieces = begun(), begun()
    sent = frame(1, frames.END_STREAM, 1, HEAD[:3]) + frame(9, 4, 1, HEAD[3:]) + frame(6, 0, 0, bytes(8))
    events = [event for at in range(len(sent)) for event in pieces.receive(sent[at : at + 1])]
    assert repr(events) == repr(whole.receive(sent))
    assert pieces.out == whole.out


hostile_frames = st.builds(
    frame,
    st.one_of(st.integers(0, 0x11), st.integers(0, 255)),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1]),
    st.one_of(st.binary(max_size=64), st.just(HEAD), st.just(bytes(4)), st.just(bytes(8))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(hostile_frames, max_size=30), st.binary(max_size=40), st.booleans())
def test_no_bytes_do_more_than_end_the_connection(parts: list[bytes], rest: bytes, client: bool) -> None:
    connection = Connection(SETTINGS, client=client, clock=lambda: 0.0)
    if client:
        connection.begin()
        connection.request(HEAD, end=False)
    connection.receive(EMPTY_SETTINGS if client else frames.PREFACE + EMPTY_SETTINGS)
    ended = 0
    for part in [*parts, rest]:
        for event in connection.receive(part):
            ended += isinstance(event, Ended)
            if isinstance(event, Fields):
                connection.fields(event.stream, TRAILER, end=False)
                connection.data(event.stream, bytes(100), end=True)
            elif isinstance(event, Data):
                connection.took(event.stream, event.size)
        assert len(connection.streams) <= SETTINGS.streams
    assert ended == (connection.over is not None) <= 1
    assert sum(map(len, connection.out)) < 20_000
