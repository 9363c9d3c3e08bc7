"""The errors of RFC 9114 §8, RFC 9204 and RFC 9218 as clients can make them: what is sent, and what must come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edgeproxy.http3 import codes, qpack
from edgeproxy.http3.varint import encode
from tests.support.quic import QuicClient, get

CONTROL, ENCODER, DECODER, OTHER = 2, 6, 10, 14  # a client's unidirectional streams, in order
REQUEST = 0


class Ends(Enum):
    """What must end."""

    CONNECTION = "the connection"
    STREAM = "the stream"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Case:
    """``code``: what the connection or the stream ends with. Where nothing does, another request is answered all the
    same; ``status``: what this one is answered with."""

    section: str
    what: str
    send: Callable[[QuicClient], None]
    code: int = 0
    ends: Ends = Ends.CONNECTION
    status: int = 0

    @property
    def expected(self) -> str:
        if self.status:
            return f"answered with {self.status}"
        if self.ends is Ends.NOTHING:
            return "borne"
        return f"{codes.error_name(self.code)}, {self.ends.value}"

    @property
    def name(self) -> str:
        return f"{self.section}: {self.what}"


def frame(kind: int, payload: bytes = b"") -> bytes:
    return encode(kind) + encode(len(payload)) + payload


SETTINGS = frame(codes.SETTINGS, b"")
HEADERS = frame(codes.HEADERS, qpack.encode(get()))
POST = frame(codes.HEADERS, qpack.encode(get(method=b"POST")))


def on_control(*frames: bytes, settings: bytes = SETTINGS, end: bool = False) -> Callable[[QuicClient], None]:
    return lambda client: client.send(CONTROL, b"\0" + settings + b"".join(frames), end=end)


def on_stream(kind: int, data: bytes = b"", *, end: bool = False) -> Callable[[QuicClient], None]:
    """A unidirectional stream of a type, after a control stream."""

    def send(client: QuicClient) -> None:
        client.send(CONTROL, b"\0" + SETTINGS)
        client.send(ENCODER, encode(kind) + data, end=end)

    return send


def request(*parts: bytes, end: bool = True) -> Callable[[QuicClient], None]:
    """A request stream, after a control stream."""

    def send(client: QuicClient) -> None:
        client.send(CONTROL, b"\0" + SETTINGS)
        client.send(REQUEST, b"".join(parts), end=end)

    return send


def fields(*pairs: tuple[bytes, bytes]) -> Callable[[QuicClient], None]:
    return request(frame(codes.HEADERS, qpack.encode(pairs)))


def twice(first: bytes, second: bytes) -> Callable[[QuicClient], None]:
    def send(client: QuicClient) -> None:
        client.send(CONTROL, first)
        client.send(ENCODER, second)

    return send


def break_off(stream: int, data: bytes) -> Callable[[QuicClient], None]:
    def send(client: QuicClient) -> None:
        client.send(stream, data)
        client.flush()
        client.quic.reset_stream(stream, codes.NO_ERROR)

    return send


def unwanted(stream: int) -> Callable[[QuicClient], None]:
    """Have the server stop what it says on one of its own streams."""

    def send(client: QuicClient) -> None:
        client.until(lambda: stream in client.raw, "the server's streams")
        client.quic.stop_stream(stream, codes.NO_ERROR)

    return send


def _settings(*numbers: int) -> bytes:
    return frame(codes.SETTINGS, b"".join(map(encode, numbers)))


PSEUDO = get()
NAMED = dict(PSEUDO)


def _without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [(key, value) for key, value in PSEUDO if key != name]


CASES: tuple[Case, ...] = (
    # RFC 9114 §6: streams.
    Case("RFC 9114 §6.1", "HTTP/3 on no stream: nothing is sent", lambda client: None, ends=Ends.NOTHING),
    Case("RFC 9114 §6.2", "a stream of a reserved type", on_stream(0x21, b"anything"), ends=Ends.NOTHING),
    Case(
        "RFC 9114 §6.2",
        "a stream that ends before its type",
        lambda c: c.send(CONTROL, b"", end=True),
        ends=Ends.NOTHING,
    ),
    Case(
        "RFC 9114 §6.2.1",
        "a second control stream",
        twice(b"\0" + SETTINGS, b"\0" + SETTINGS),
        codes.STREAM_CREATION_ERROR,
    ),
    Case("RFC 9114 §6.2.1", "a control stream that ends", on_control(end=True), codes.CLOSED_CRITICAL_STREAM),
    Case(
        "RFC 9114 §6.2.1",
        "a control stream that is reset",
        break_off(CONTROL, b"\0" + SETTINGS),
        codes.CLOSED_CRITICAL_STREAM,
    ),
    Case("RFC 9114 §6.2.1", "the server's control stream is not wanted", unwanted(3), codes.CLOSED_CRITICAL_STREAM),
    Case(
        "RFC 9114 §6.2.1",
        "a frame before SETTINGS",
        on_control(frame(codes.GOAWAY, b"\0"), settings=b""),
        codes.MISSING_SETTINGS,
    ),
    Case(
        "RFC 9114 §6.2.1",
        "a reserved frame before SETTINGS",
        on_control(frame(0x21), settings=b""),
        codes.MISSING_SETTINGS,
    ),
    Case("RFC 9114 §6.2.2", "a push stream from a client", on_stream(codes.PUSH, b"\0"), codes.STREAM_CREATION_ERROR),
    # §7: frames and where they stand.
    Case("RFC 9114 §7.1", "a request that ends within a frame's head", request(HEADERS, b"\0"), codes.FRAME_ERROR),
    Case("RFC 9114 §7.1", "a request that ends within HEADERS", request(HEADERS[:-3]), codes.FRAME_ERROR),
    Case("RFC 9114 §7.1", "a request that ends within DATA", request(POST, b"\0\x08abc"), codes.FRAME_ERROR),
    Case(
        "RFC 9114 §7.1",
        "SETTINGS that end within a number",
        on_control(settings=frame(codes.SETTINGS, b"\x06\x40")),
        codes.FRAME_ERROR,
    ),
    Case(
        "RFC 9114 §7.1",
        "SETTINGS without a value",
        on_control(settings=frame(codes.SETTINGS, b"\x06")),
        codes.FRAME_ERROR,
    ),
    Case(
        "RFC 9114 §7.1",
        "a GOAWAY with more behind its number",
        on_control(frame(codes.GOAWAY, b"\0\0")),
        codes.FRAME_ERROR,
    ),
    Case("RFC 9114 §7.1", "a GOAWAY without a number", on_control(frame(codes.GOAWAY)), codes.FRAME_ERROR),
    Case(
        "RFC 9114 §7.1",
        "a MAX_PUSH_ID whose number is not whole",
        on_control(frame(codes.MAX_PUSH_ID, b"\x40")),
        codes.FRAME_ERROR,
    ),
    Case("RFC 9114 §7.2.1", "DATA on the control stream", on_control(frame(codes.DATA, b"x")), codes.FRAME_UNEXPECTED),
    Case("RFC 9114 §7.2.2", "HEADERS on the control stream", on_control(HEADERS), codes.FRAME_UNEXPECTED),
    Case(
        "RFC 9114 §7.2.3",
        "CANCEL_PUSH on a request stream",
        request(HEADERS, frame(codes.CANCEL_PUSH, b"\0")),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9114 §7.2.3",
        "CANCEL_PUSH of a push that was never promised",
        on_control(frame(codes.CANCEL_PUSH, b"\0")),
        codes.ID_ERROR,
    ),
    Case("RFC 9114 §7.2.4", "SETTINGS twice", on_control(SETTINGS), codes.FRAME_UNEXPECTED),
    Case("RFC 9114 §7.2.4", "SETTINGS on a request stream", request(SETTINGS), codes.FRAME_UNEXPECTED),
    Case("RFC 9114 §7.2.4", "SETTINGS behind a request's head", request(HEADERS, SETTINGS), codes.FRAME_UNEXPECTED),
    Case("RFC 9114 §7.2.4", "a setting twice", on_control(settings=_settings(6, 1, 6, 1)), codes.SETTINGS_ERROR),
    *(
        Case(
            "RFC 9114 §7.2.4.1",
            f"setting 0x{number:02x} of HTTP/2",
            on_control(settings=_settings(number, 0)),
            codes.SETTINGS_ERROR,
        )
        for number in (2, 3, 4, 5)
    ),
    Case("RFC 9114 §7.2.4.1", "a reserved setting", on_control(settings=_settings(0x21, 99)), ends=Ends.NOTHING),
    Case(
        "RFC 9297 §2.1.1",
        "SETTINGS_H3_DATAGRAM of 2",
        on_control(settings=_settings(codes.H3_DATAGRAM, 2)),
        codes.SETTINGS_ERROR,
    ),
    Case(
        "RFC 9220 §3",
        "SETTINGS_ENABLE_CONNECT_PROTOCOL of 2",
        on_control(settings=_settings(8, 2)),
        codes.SETTINGS_ERROR,
    ),
    Case(
        "RFC 9114 §7.2.5",
        "PUSH_PROMISE on the control stream",
        on_control(frame(codes.PUSH_PROMISE, b"\0")),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9114 §7.2.5",
        "PUSH_PROMISE from a client",
        request(HEADERS, frame(codes.PUSH_PROMISE, b"\0\0\0")),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9114 §7.2.6",
        "GOAWAY on a request stream",
        request(HEADERS, frame(codes.GOAWAY, b"\0")),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9114 §5.2",
        "a GOAWAY of a higher number than the last",
        on_control(frame(codes.GOAWAY, b"\0"), frame(codes.GOAWAY, b"\1")),
        codes.ID_ERROR,
    ),
    Case(
        "RFC 9114 §7.2.7",
        "MAX_PUSH_ID on a request stream",
        request(frame(codes.MAX_PUSH_ID, b"\0")),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9114 §7.2.7",
        "a MAX_PUSH_ID below the last",
        on_control(frame(codes.MAX_PUSH_ID, b"\2"), frame(codes.MAX_PUSH_ID, b"\1")),
        codes.ID_ERROR,
    ),
    *(
        Case(
            "RFC 9114 §7.2.8",
            f"frame 0x{kind:02x} of HTTP/2 on the control stream",
            on_control(frame(kind)),
            codes.FRAME_UNEXPECTED,
        )
        for kind in sorted(codes.RESERVED_FRAMES)
    ),
    *(
        Case(
            "RFC 9114 §7.2.8",
            f"frame 0x{kind:02x} of HTTP/2 on a request stream",
            request(HEADERS, frame(kind)),
            codes.FRAME_UNEXPECTED,
        )
        for kind in sorted(codes.RESERVED_FRAMES)
    ),
    Case(
        "RFC 9114 §7.2.8", "a reserved frame on the control stream", on_control(frame(0x21, b"abc")), ends=Ends.NOTHING
    ),
    Case(
        "RFC 9114 §9",
        "a reserved frame before, between and behind a request's",
        request(frame(0x21, b"a"), POST, frame(0x40), frame(0, b"x"), frame(0x5F, b"b" * 99)),
        ends=Ends.NOTHING,
    ),
    # §4: messages.
    Case("RFC 9114 §4.1", "DATA before HEADERS", request(frame(codes.DATA, b"x"), HEADERS), codes.FRAME_UNEXPECTED),
    Case(
        "RFC 9114 §4.1",
        "HEADERS behind trailers",
        request(POST, frame(codes.HEADERS, qpack.encode([(b"a", b"b")])) * 2),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9114 §4.1",
        "DATA behind trailers",
        request(POST, frame(codes.HEADERS, qpack.encode([(b"a", b"b")])), frame(codes.DATA, b"x")),
        codes.FRAME_UNEXPECTED,
    ),
    Case("RFC 9114 §4.1", "a request without HEADERS", request(b""), codes.REQUEST_INCOMPLETE, Ends.STREAM),
    Case(
        "RFC 9114 §4.1",
        "a request of a reserved frame alone",
        request(frame(0x21)),
        codes.REQUEST_INCOMPLETE,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.1.2",
        "a body shorter than Content-Length",
        request(
            frame(codes.HEADERS, qpack.encode([*get(method=b"POST"), (b"content-length", b"9")])),
            frame(codes.DATA, b"short"),
        ),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.1.2",
        "a body longer than Content-Length",
        request(
            frame(codes.HEADERS, qpack.encode([*get(method=b"POST"), (b"content-length", b"1")])),
            frame(codes.DATA, b"longer"),
        ),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.1.2",
        "a Content-Length without a body",
        fields(*get(method=b"POST"), (b"content-length", b"1")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.2",
        "a field name with a capital letter",
        fields(*PSEUDO, (b"Accept", b"*/*")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.2", "a field name that is none", fields(*PSEUDO, (b"a b", b"c")), codes.MESSAGE_ERROR, Ends.STREAM
    ),
    Case(
        "RFC 9114 §10.3",
        "a line feed in a field's value",
        fields(*PSEUDO, (b"a", b"b\nc")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    *(
        Case(
            "RFC 9114 §4.2",
            f"the field {name.decode()}",
            fields(*PSEUDO, (name, b"x")),
            codes.MESSAGE_ERROR,
            Ends.STREAM,
        )
        for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
    ),
    Case(
        "RFC 9114 §4.2",
        "a TE that is not trailers",
        fields(*PSEUDO, (b"te", b"gzip")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case("RFC 9114 §4.2", "a TE of trailers", fields(*PSEUDO, (b"te", b"trailers")), ends=Ends.NOTHING),
    Case(
        "RFC 9114 §4.3",
        "a pseudo-field behind a field",
        fields(*PSEUDO[:-1], (b"a", b"b"), PSEUDO[-1]),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case("RFC 9114 §4.3", "a pseudo-field twice", fields(*PSEUDO, PSEUDO[-1]), codes.MESSAGE_ERROR, Ends.STREAM),
    Case(
        "RFC 9114 §4.3",
        "a pseudo-field of an answer",
        fields(*PSEUDO, (b":status", b"200")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.3",
        "a pseudo-field nobody knows",
        fields(*PSEUDO, (b":unknown", b"x")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.3",
        "a pseudo-field among trailers",
        request(POST, frame(codes.HEADERS, qpack.encode([(b":path", b"/")]))),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    *(
        Case("RFC 9114 §4.3.1", f"no {name.decode()}", fields(*_without(name)), codes.MESSAGE_ERROR, Ends.STREAM)
        for name in (b":method", b":scheme", b":path")
    ),
    Case(
        "RFC 9114 §4.3.1",
        "an empty :path",
        fields(*_without(b":path"), (b":path", b"")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.3.1",
        "neither :authority nor Host",
        fields(*_without(b":authority")),
        ends=Ends.NOTHING,
        status=400,
    ),
    Case(
        "RFC 9114 §4.3.1",
        "a Host that disagrees with :authority",
        fields(*PSEUDO, (b"host", b"other.example")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.4",
        "a CONNECT with :path",
        fields((b":method", b"CONNECT"), (b":authority", b"a:1"), (b":path", b"/")),
        codes.MESSAGE_ERROR,
        Ends.STREAM,
    ),
    Case(
        "RFC 9114 §4.4",
        "a CONNECT",
        fields((b":method", b"CONNECT"), (b":authority", b"a:1")),
        ends=Ends.NOTHING,
        status=405,
    ),
    Case(
        "RFC 9220 §3",
        "an extended CONNECT of an unknown protocol",
        fields((b":method", b"CONNECT"), *PSEUDO[1:], (b":protocol", b"unknown")),
        ends=Ends.NOTHING,
        status=501,
    ),
    Case(
        "RFC 9114 §4.2.2",
        "a field section that is too large",
        fields(*PSEUDO, (b"a", b"b" * 60_000)),
        ends=Ends.NOTHING,
        status=431,
    ),
    Case(
        "RFC 9114 §4.2.2",
        "a field section of too many lines",
        fields(*PSEUDO, *[(b"a%d" % n, b"b") for n in range(200)]),
        ends=Ends.NOTHING,
        status=431,
    ),
    # RFC 9204: QPACK.
    Case(
        "RFC 9110 §5.5",
        "a value that is no UTF-8",
        fields(*PSEUDO, (b"x-latin", b"caf\xe9")),
        ends=Ends.NOTHING,
        status=200,
    ),
    Case(
        "RFC 9204 §2.2.3",
        "an index beyond the static table",
        request(frame(codes.HEADERS, b"\0\0\xff\x64")),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case(
        "RFC 9204 §2.1.2",
        "a field section that refers to a table",
        request(frame(codes.HEADERS, b"\2\0\x80")),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case(
        "RFC 9204 §4.5.1.2",
        "a field section that counts from a number and refers to nothing",
        request(frame(codes.HEADERS, b"\0\x7f\x01" + qpack.encode(PSEUDO)[2:])),
        ends=Ends.NOTHING,
        status=200,
    ),
    Case(
        "RFC 9204 §4.5.1.2",
        "a field section that counts from below zero",
        request(frame(codes.HEADERS, b"\0\x80" + qpack.encode(PSEUDO)[2:])),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case("RFC 9204 §4.5.1", "an empty field section", request(frame(codes.HEADERS)), codes.QPACK_DECOMPRESSION_FAILED),
    Case(
        "RFC 9204 §4.5.1",
        "a field section that ends within its prefix",
        request(frame(codes.HEADERS, b"\0")),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case(
        "RFC 9204 §4.5.1",
        "a Required Insert Count beyond any table",
        request(frame(codes.HEADERS, b"\xff\xff\xff\xff\xff\x7f\0\x80")),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case(
        "RFC 9204 §4.5.4",
        "a literal that ends too soon",
        request(frame(codes.HEADERS, b"\0\0\x51\x09abc")),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case(
        "RFC 9204 §4.1.2",
        "a Huffman code that ends wrongly",
        request(frame(codes.HEADERS, b"\0\0\x51\x83\0\0\0")),
        codes.QPACK_DECOMPRESSION_FAILED,
    ),
    Case("RFC 9204 §4.2", "a second encoder stream", twice(b"\2", b"\2"), codes.STREAM_CREATION_ERROR),
    Case("RFC 9204 §4.2", "a second decoder stream", twice(b"\3", b"\3"), codes.STREAM_CREATION_ERROR),
    Case(
        "RFC 9204 §4.2",
        "an encoder stream that ends",
        on_stream(codes.QPACK_ENCODER, end=True),
        codes.CLOSED_CRITICAL_STREAM,
    ),
    Case(
        "RFC 9204 §4.2",
        "a decoder stream that ends",
        on_stream(codes.QPACK_DECODER, end=True),
        codes.CLOSED_CRITICAL_STREAM,
    ),
    Case("RFC 9204 §4.2", "an encoder stream that is reset", break_off(CONTROL, b"\2"), codes.CLOSED_CRITICAL_STREAM),
    Case(
        "RFC 9204 §3.2.3",
        "a table of nothing, as was offered",
        on_stream(codes.QPACK_ENCODER, b"\x20"),
        ends=Ends.NOTHING,
    ),
    Case(
        "RFC 9204 §3.2.3",
        "an entry for a table that was not offered",
        on_stream(codes.QPACK_ENCODER, b"\x41a\x01b"),
        codes.QPACK_ENCODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §4.3.1",
        "a table larger than was offered",
        on_stream(codes.QPACK_ENCODER, b"\x3f\xe1\xff\x03"),
        codes.QPACK_ENCODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §4.3.2",
        "an insertion with a name that is not there",
        on_stream(codes.QPACK_ENCODER, b"\x3f\x81\x01\xff\x64\x01x"),
        codes.QPACK_ENCODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §4.3.4",
        "a copy of an entry that is not there",
        on_stream(codes.QPACK_ENCODER, b"\x3f\x81\x01\x05"),
        codes.QPACK_ENCODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §3.2.2",
        "an entry larger than the table",
        on_stream(codes.QPACK_ENCODER, b"\x3f\x01\x43abc\x7f\x01" + b"x" * 128),
        codes.QPACK_ENCODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §4.4.1",
        "an acknowledgement of no section",
        on_stream(codes.QPACK_DECODER, b"\x80"),
        codes.QPACK_DECODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §4.4.2",
        "the cancellation of a stream",
        on_stream(codes.QPACK_DECODER, b"\x40\x7f\x81\x01"),
        ends=Ends.NOTHING,
    ),
    Case(
        "RFC 9204 §4.4.3",
        "an increment of zero",
        on_stream(codes.QPACK_DECODER, b"\x00"),
        codes.QPACK_DECODER_STREAM_ERROR,
    ),
    Case(
        "RFC 9204 §4.4.3",
        "an increment beyond what was inserted",
        on_stream(codes.QPACK_DECODER, b"\x01"),
        codes.QPACK_DECODER_STREAM_ERROR,
    ),
    # RFC 9218: priorities.
    Case(
        "RFC 9218 §7.2",
        "PRIORITY_UPDATE on a request stream",
        request(HEADERS, frame(codes.PRIORITY_UPDATE, b"\0u=1")),
        codes.FRAME_UNEXPECTED,
    ),
    Case(
        "RFC 9218 §7.2",
        "PRIORITY_UPDATE of a stream that is no request's",
        on_control(frame(codes.PRIORITY_UPDATE, b"\1u=1")),
        codes.ID_ERROR,
    ),
    Case(
        "RFC 9218 §7.2",
        "PRIORITY_UPDATE of a stream far beyond any limit",
        on_control(frame(codes.PRIORITY_UPDATE, encode(1 << 40) + b"u=1")),
        codes.ID_ERROR,
    ),
    Case(
        "RFC 9218 §7.2",
        "PRIORITY_UPDATE of a push that was never promised",
        on_control(frame(codes.PRIORITY_UPDATE_PUSH, b"\0u=1")),
        codes.ID_ERROR,
    ),
    Case(
        "RFC 9218 §7.2",
        "PRIORITY_UPDATE before its request",
        on_control(frame(codes.PRIORITY_UPDATE, b"\0u=1")),
        ends=Ends.NOTHING,
    ),
    Case(
        "RFC 9218 §7.2",
        "PRIORITY_UPDATE whose value is no priority",
        on_control(frame(codes.PRIORITY_UPDATE, b"\0!!")),
        ends=Ends.NOTHING,
    ),
)


def run(case: Case, client: QuicClient) -> str:
    """Carry a case out on a fresh connection; "" if what must come came, else what did."""
    client.connect()
    case.send(client)
    if case.ends is Ends.CONNECTION:
        client.until(lambda: client.closed is not None, "the connection's end", 5)
        return "" if client.closed == case.code else f"the connection ended with {_code(client.closed)}"
    if case.ends is Ends.STREAM:
        client.until(lambda: REQUEST in client.reset or client.closed is not None, "the stream's end", 5)
        if client.closed is not None:
            return f"the connection ended with {_code(client.closed)}"
        if client.reset[REQUEST] != case.code:
            return f"the stream ended with {_code(client.reset[REQUEST])}"
        return _goes_on(client)
    if case.status:
        client.until(lambda: REQUEST in client.ended or client.closed is not None, "the answer", 5)
        if client.closed is not None:
            return f"the connection ended with {_code(client.closed)}"
        if _status(client.raw[REQUEST]) != case.status:
            return f"answered with {_status(client.raw[REQUEST])}"
    return _goes_on(client)


def _goes_on(client: QuicClient) -> str:
    """ "" if another request on the connection is answered."""
    stream = 4
    client.send(stream, HEADERS, end=True)
    client.until(lambda: stream in client.ended or client.closed is not None, "another request's answer", 5)
    return "" if client.closed is None else f"the connection ended with {_code(client.closed)}"


def _status(answer: bytearray) -> int:
    """The status of an answer that begins as ours do: with an indexed or a literal :status."""
    from qh3._hazmat import QpackDecoder

    begin = 1 + (1 << (answer[1] >> 6))
    size = int.from_bytes(answer[1:begin], "big") & ((1 << (8 * (begin - 1) - 2)) - 1)
    return int(dict(QpackDecoder(0, 0).feed_header(0, bytes(answer[begin : begin + size]))[1])[b":status"])


def _code(code: int | None) -> str:
    return codes.error_name(code or 0) if code in codes.ERROR_NAMES else f"code {code}"
