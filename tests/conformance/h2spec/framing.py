"""RFC 9113 §3 to §7: frames, streams and windows. Sections have the numbers of RFC 7540, as h2spec's have."""

from __future__ import annotations

from tests.conformance.h2spec.steps import (
    acknowledged,
    answer_to_ping,
    answered,
    case,
    closed,
    connection_error,
    content,
    data,
    ended,
    fill,
    frame,
    go_away,
    greeted,
    head,
    initial_window,
    more,
    ponged,
    ponged_or_closed,
    preface,
    priority,
    raw,
    reset,
    settings,
    stream_error,
    until,
    window,
)
from tests.conformance.h2spec.wire import (
    ACK,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    PADDED,
    Closed,
    Code,
    Type,
    Wire,
)

PROTOCOL = connection_error(Code.PROTOCOL_ERROR)
FRAME_SIZE = connection_error(Code.FRAME_SIZE_ERROR)
FLOW = connection_error(Code.FLOW_CONTROL_ERROR)
STREAM_CLOSED = stream_error(Code.STREAM_CLOSED)
STREAM_PROTOCOL = stream_error(Code.PROTOCOL_ERROR)
CLOSED_OR_PROTOCOL = stream_error(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR)

WINDOW_MOST = 2**31 - 1
SMALLEST_FRAME, LARGEST_FRAME = 2**14, 2**24 - 1
UNKNOWN = frame(0x16, 0, 0, bytes(8))
OPEN = head(method="POST", end=False)
ANOTHER = head(3)
UNFINISHED = head(end=False, done=False)


def _refused(wire: Wire) -> None:
    """GOAWAY with PROTOCOL_ERROR, or no word: what spoke was no HTTP/2 (§3.4)."""
    try:
        came = until(wire, lambda came: came.type == Type.GOAWAY)
    except Closed:
        return
    assert came.code == Code.PROTOCOL_ERROR, came


def _one_too_many(wire: Wire) -> None:
    """As many requests as may be open, whose answers have no window, and one more."""
    assert MAX_CONCURRENT_STREAMS in wire.settings, "no limit is announced"
    settings((INITIAL_WINDOW_SIZE, 0))(wire)
    most = wire.settings[MAX_CONCURRENT_STREAMS]
    for number in range(most + 1):
        head(1 + 2 * number)(wire)
    stream_error(Code.PROTOCOL_ERROR, Code.REFUSED_STREAM, stream=1 + 2 * most)(wire)


def _padded_beyond(wire: Wire) -> None:
    """HEADERS whose padding is as long as all of it."""
    block = wire.encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")])
    payload = bytes((len(block) + 2,)) + block
    wire.write(Type.HEADERS, END_HEADERS | END_STREAM | PADDED, 1, payload)


CASES = (
    case("http2/3.5/1", "a connection preface", preface, greeted, begun=False),
    case("http2/3.5/2", "another preface", raw(b"INVALID CONNECTION PREFACE\r\n\r\n"), _refused, begun=False),
    case("http2/4.1/1", "a frame of unknown type", UNKNOWN, ponged()),
    case("http2/4.1/2", "a frame with unknown flags", frame(Type.PING, 0x16, 0, bytes(8)), answer_to_ping()),
    case("http2/4.1/3", "a frame with the reserved bit", frame(Type.PING, 0x16, 1 << 31, bytes(8)), answer_to_ping()),
    case("http2/4.2/1", "DATA of 2^14 bytes", OPEN, data(1, bytes(SMALLEST_FRAME)), answered()),
    case(
        "http2/4.2/2",
        "DATA larger than allowed",
        OPEN,
        data(1, bytes(SMALLEST_FRAME + 1)),
        stream_error(Code.FRAME_SIZE_ERROR),
    ),
    case("http2/4.2/3", "HEADERS larger than allowed", head(1, *fill(5)), FRAME_SIZE),
    case(
        "http2/4.3/1",
        "a block that breaks off",
        frame(Type.HEADERS, END_STREAM | END_HEADERS, 1, b"\x40"),
        connection_error(Code.COMPRESSION_ERROR),
    ),
    case("http2/4.3/2", "PRIORITY between a block's frames", UNFINISHED, priority(1), more(), PROTOCOL),
    case("http2/4.3/3", "HEADERS between a block's frames", UNFINISHED, ANOTHER, more(), PROTOCOL),
    case("http2/5.1/1", "idle: DATA", data(), CLOSED_OR_PROTOCOL),
    case("http2/5.1/2", "idle: RST_STREAM", reset(), PROTOCOL),
    case("http2/5.1/3", "idle: WINDOW_UPDATE", window(1, 100), PROTOCOL),
    case("http2/5.1/4", "idle: CONTINUATION", more(), PROTOCOL),
    case("http2/5.1/5", "half-closed (remote): DATA", head(), data(), STREAM_CLOSED),
    case("http2/5.1/6", "half-closed (remote): HEADERS", head(), head(), STREAM_CLOSED),
    case("http2/5.1/7", "half-closed (remote): CONTINUATION", head(), more(), CLOSED_OR_PROTOCOL),
    case("http2/5.1/8", "closed by RST_STREAM: DATA", head(end=False), reset(), data(), STREAM_CLOSED),
    case("http2/5.1/9", "closed by RST_STREAM: HEADERS", head(end=False), reset(), head(), STREAM_CLOSED),
    case("http2/5.1/10", "closed by RST_STREAM: CONTINUATION", head(end=False), reset(), more(), CLOSED_OR_PROTOCOL),
    case("http2/5.1/11", "closed: DATA", head(), ended(), data(), STREAM_CLOSED),
    case("http2/5.1/12", "closed: HEADERS", head(), ended(), head(), connection_error(Code.STREAM_CLOSED)),
    case(
        "http2/5.1/13",
        "closed: CONTINUATION",
        head(),
        ended(),
        more(),
        connection_error(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR),
    ),
    case("http2/5.1.1/1", "an even stream", head(2), PROTOCOL),
    case("http2/5.1.1/2", "a stream below one before", head(5), head(3), PROTOCOL),
    case("http2/5.1.2/1", "more streams than allowed", _one_too_many),
    case("http2/5.3.1/1", "HEADERS that depend on themselves", head(depends=1), STREAM_PROTOCOL),
    case("http2/5.3.1/2", "PRIORITY on its own stream", priority(1, on=1), STREAM_PROTOCOL),
    case("http2/5.4.1/1", "a bad PING, and the connection is closed", frame(Type.PING, 0, 3, bytes(8)), closed),
    case("http2/5.4.1/2", "a bad PING, and GOAWAY comes first", frame(Type.PING, 0, 3, bytes(8)), PROTOCOL),
    case("http2/5.5/1", "an unknown frame", UNKNOWN, ponged()),
    case("http2/5.5/2", "an unknown frame within a block", head(done=False), UNKNOWN, PROTOCOL),
    case("http2/6.1/1", "DATA of stream 0", data(0), PROTOCOL),
    case("http2/6.1/2", "DATA of a stream that is not open", head(method="POST"), data(), STREAM_CLOSED),
    case(
        "http2/6.1/3",
        "DATA with more padding than payload",
        head(1, ("content-length", "4"), method="POST", end=False),
        frame(Type.DATA, END_STREAM | PADDED, 1, b"\x06Test"),
        PROTOCOL,
    ),
    case("http2/6.2/1", "PRIORITY within a block", UNFINISHED, priority(1), more(), PROTOCOL),
    case("http2/6.2/2", "HEADERS of another stream within a block", UNFINISHED, ANOTHER, more(), PROTOCOL),
    case("http2/6.2/3", "HEADERS of stream 0", head(0), PROTOCOL),
    case("http2/6.2/4", "HEADERS with more padding than payload", _padded_beyond, STREAM_PROTOCOL),
    case("http2/6.3/1", "PRIORITY of stream 0", priority(0), PROTOCOL),
    case(
        "http2/6.3/2",
        "PRIORITY of 4 bytes",
        head(),
        frame(Type.PRIORITY, 0, 1, b"\x80\x00\x00\x01"),
        stream_error(Code.FRAME_SIZE_ERROR),
    ),
    case("http2/6.4/1", "RST_STREAM of stream 0", reset(0), PROTOCOL),
    case("http2/6.4/2", "RST_STREAM of an idle stream", reset(), PROTOCOL),
    case("http2/6.4/3", "RST_STREAM of 3 bytes", head(), frame(Type.RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE),
    case("http2/6.5/1", "an acknowledgement with content", frame(Type.SETTINGS, ACK, 0, b"\x00"), FRAME_SIZE),
    case("http2/6.5/2", "SETTINGS of a stream", frame(Type.SETTINGS, 0, 1, b"\x00\x03\x00\x00\x00\x64"), PROTOCOL),
    case(
        "http2/6.5/3",
        "SETTINGS of 3 bytes",
        frame(Type.SETTINGS, 0, 0, b"\x00\x03\x00"),
        connection_error(Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR),
    ),
    case("http2/6.5.2/1", "ENABLE_PUSH 2", settings((ENABLE_PUSH, 2)), PROTOCOL),
    case("http2/6.5.2/2", "INITIAL_WINDOW_SIZE 2^31", settings((INITIAL_WINDOW_SIZE, WINDOW_MOST + 1)), FLOW),
    case("http2/6.5.2/3", "MAX_FRAME_SIZE 2^14 - 1", settings((MAX_FRAME_SIZE, SMALLEST_FRAME - 1)), PROTOCOL),
    case("http2/6.5.2/4", "MAX_FRAME_SIZE 2^24", settings((MAX_FRAME_SIZE, LARGEST_FRAME + 1)), PROTOCOL),
    case("http2/6.5.2/5", "an unknown setting", settings((0xFF, 1)), ponged()),
    case(
        "http2/6.5.3/1",
        "INITIAL_WINDOW_SIZE twice in one frame",
        settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)),
        acknowledged,
        head(),
        content(1),
    ),
    case("http2/6.5.3/2", "SETTINGS are acknowledged", settings((ENABLE_PUSH, 0)), acknowledged),
    case("http2/6.7/1", "PING", ponged(b"edgeprox")),
    case("http2/6.7/2", "PING's answer, unasked", frame(Type.PING, ACK, 0, b"unasked."), ponged(b"edgeprox")),
    case("http2/6.7/3", "PING of a stream", frame(Type.PING, 0, 1, bytes(8)), PROTOCOL),
    case("http2/6.7/4", "PING of 6 bytes", frame(Type.PING, 0, 0, bytes(6)), FRAME_SIZE),
    case("http2/6.8/1", "GOAWAY of a stream", frame(Type.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    case("http2/6.9/1", "WINDOW_UPDATE by 0", window(0, 0), PROTOCOL),
    case("http2/6.9/2", "WINDOW_UPDATE of a stream by 0", head(end=False), window(1, 0), STREAM_PROTOCOL),
    case("http2/6.9/3", "WINDOW_UPDATE of 3 bytes", frame(Type.WINDOW_UPDATE, 0, 0, b"\x00\x00\x01"), FRAME_SIZE),
    case("http2/6.9.1/1", "a window of 1 byte", initial_window(1), head(), content(1)),
    case("http2/6.9.1/2", "a window beyond 2^31 - 1", window(0, WINDOW_MOST), window(0, WINDOW_MOST), FLOW),
    case(
        "http2/6.9.1/3",
        "a stream's window beyond 2^31 - 1",
        head(end=False),
        window(1, WINDOW_MOST),
        window(1, WINDOW_MOST),
        stream_error(Code.FLOW_CONTROL_ERROR),
    ),
    case(
        "http2/6.9.2/1",
        "a window opened by SETTINGS",
        initial_window(0),
        head(),
        settings((INITIAL_WINDOW_SIZE, 1)),
        content(1),
    ),
    case(
        "http2/6.9.2/2",
        "a window below zero",
        initial_window(3),
        head(),
        content(3),
        initial_window(2),
        window(1, 2),
        content(1),
    ),
    case(
        "http2/6.9.2/3",
        "INITIAL_WINDOW_SIZE 2^31",
        frame(Type.SETTINGS, 0, 0, bytes.fromhex("0004 80000000")),
        FLOW,
    ),
    case("http2/6.10/1", "two CONTINUATION", head(done=False), more(done=False), more(), answered()),
    case("http2/6.10/2", "DATA behind CONTINUATION", UNFINISHED, more(done=False), data(), PROTOCOL),
    case("http2/6.10/3", "CONTINUATION of stream 0", head(done=False), more(0), PROTOCOL),
    case("http2/6.10/4", "CONTINUATION behind a whole block", head(), more(), PROTOCOL),
    case("http2/6.10/5", "CONTINUATION behind the last one", head(done=False), more(), more(), PROTOCOL),
    case("http2/6.10/6", "CONTINUATION behind DATA", UNFINISHED, data(), more(done=False), more(0), PROTOCOL),
    case("http2/7/1", "GOAWAY with an unknown code", go_away(0xFF), ponged_or_closed()),
    case("http2/7/2", "RST_STREAM with an unknown code", OPEN, reset(1, 0xFF), ponged_or_closed()),
)
