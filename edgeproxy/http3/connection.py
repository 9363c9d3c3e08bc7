"""One HTTP/3 connection's way in, as server: bytes of streams in, events out (RFC 9114). Nothing here knows a socket.

Frames are taken as they come: of a DATA frame each piece at once, of an unknown one nothing is kept, and only a HEADERS
frame waits until it is whole, up to a bound. What a peer may do for nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http2.errors import ConnectionFailure
from edgeproxy.http2.events import Event, FieldList, Fields, Trailers
from edgeproxy.http2.floods import BROKEN, EMPTY, HEADS, PRIORITY, UNKNOWN, Floods
from edgeproxy.http3 import codes, varint
from edgeproxy.http3.codes import ProtocolError, TooLargeError
from edgeproxy.http3.control import Control
from edgeproxy.http3.events import Broken, Data, TooLarge, Unwanted
from edgeproxy.http3.instructions import Cancellations, take_encoder
from edgeproxy.http3.qpack import Decoder

# What a stream is.
REQUEST: Final = -1
UNTYPED: Final = -2
IGNORED: Final = -3

# How far a request has come.
HEAD: Final = 0
BODY: Final = 1
TRAILED: Final = 2

_CRITICAL: Final[frozenset[int]] = frozenset((codes.CONTROL, codes.QPACK_ENCODER, codes.QPACK_DECODER))


class Inbound:
    """A stream that something is still to come on. ``held``: bytes that are no use before more come; ``left``: of the
    frame that has begun."""

    __slots__ = ("frame", "held", "kind", "left", "stage")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.stage = HEAD
        self.frame = codes.HEADERS
        self.left = 0
        self.held = b""


class Connection:
    """``most`` bounds a field section, in bytes as RFC 9114 §4.2.2 counts them, ``longest`` an encoded one.
    ``monotonic`` is the clock that floods are counted by. Every method raises ProtocolError where the connection has to
    end."""

    def __init__(self, most: int, longest: int, monotonic: Callable[[], float]) -> None:
        self._decoder = Decoder(most)
        self._cancellations = Cancellations()
        self._longest = longest
        self._streams: dict[int, Inbound] = {}
        self._typed: dict[int, int] = {}  # the streams there is one of, by type
        self.control = Control()
        self.floods = Floods(monotonic)

    def receive(self, stream: int, data: bytes, ended: bool) -> list[Event]:
        """Bytes of one stream, in order; ``ended``: its last."""
        one = self._streams.get(stream)
        if one is None:
            if stream & 2:
                one = Inbound(UNTYPED)
            else:
                one = Inbound(REQUEST)
                self.control.last = max(self.control.last, stream)
            self._streams[stream] = one
        out: list[Event] = []
        if one.kind != REQUEST:
            self._receive_other(stream, one, data, ended, out)
        else:
            self._receive_request(stream, one, data, ended, out)
        return out

    def reset(self, stream: int) -> bool:
        """The peer broke its side off; whether that was its own idea: what was dropped here it was asked to reset."""
        one = self._streams.pop(stream, None)
        if one is None:
            return True
        if one.kind in _CRITICAL:
            raise ProtocolError(codes.CLOSED_CRITICAL_STREAM, "a reset of a stream that has to stay")
        return one.kind != IGNORED

    def drop(self, stream: int) -> None:
        """Nothing more of a request is wanted; what still comes is thrown away."""
        one = self._streams.get(stream)
        if one is not None:
            one.kind = IGNORED
            one.held = b""

    def is_half_a_head(self, stream: int) -> bool:
        """Whether a request has begun there whose fields are not all here."""
        one = self._streams.get(stream)
        return one is not None and one.kind == REQUEST and one.stage == HEAD

    def count(self, kind: int) -> None:
        """One more of what costs us work and brings no request any farther (:mod:`edgeproxy.http2.floods`)."""
        try:
            self.floods.count(kind)
        except ConnectionFailure as failure:
            raise ProtocolError(codes.EXCESSIVE_LOAD, failure.detail) from None

    # Requests.

    def _receive_request(self, stream: int, one: Inbound, data: bytes, ended: bool, out: list[Event]) -> None:
        if one.held:
            data = one.held + data
            one.held = b""
        at, end = 0, len(data)
        while at < end:
            if one.left:
                if one.frame == codes.HEADERS:
                    if end - at < one.left:
                        break
                    block = data[at : at + one.left]
                    at += one.left
                    one.left = 0
                    last = ended and at == end
                    fields = self._section(stream, one, block, out)
                    if fields is None:
                        return
                    self._read(stream, one, fields, last, out)
                    if last:
                        del self._streams[stream]
                        return
                    continue
                piece = data if not at and end <= one.left else data[at : at + one.left]
                at += len(piece)
                one.left -= len(piece)
                if one.frame == codes.DATA:
                    out.append(Data(stream, piece, ended=ended and at == end and not one.left))
                continue
            width = varint.size(data[at])
            begin = at + width
            if begin >= end or begin + varint.size(data[begin]) > end:
                break
            kind = varint.decode(data, at)
            one.left = varint.decode(data, begin)
            one.frame = kind
            at = begin + varint.size(data[begin])
            if not self._frame(stream, one, kind, out):
                return
        if at < end:
            one.held = data[at:]
        if ended:
            self._end(stream, one, out)

    def _frame(self, stream: int, one: Inbound, kind: int, out: list[Event]) -> bool:
        """A frame begins; whether the stream goes on."""
        if kind == codes.HEADERS:
            if one.stage == TRAILED:
                raise ProtocolError(codes.FRAME_UNEXPECTED, "HEADERS behind trailers")
            if not one.left:
                raise ProtocolError(codes.QPACK_DECOMPRESSION_FAILED, "an empty field section")
            if one.left > self._longest:
                self._too_large(stream, one, out)
                return False
        elif kind == codes.DATA:
            if one.stage != BODY:
                raise ProtocolError(codes.FRAME_UNEXPECTED, "DATA that is not between HEADERS")
            if not one.left:
                self.count(EMPTY)
        elif kind in codes.KNOWN_FRAMES:
            raise ProtocolError(codes.FRAME_UNEXPECTED, "a frame that has no place on a request stream")
        else:
            self.count(UNKNOWN)
        return True

    def _section(self, stream: int, one: Inbound, block: bytes, out: list[Event]) -> FieldList | None:
        """The fields of a whole section, None if it is too large."""
        try:
            return self._decoder.decode(block)
        except TooLargeError:
            self._too_large(stream, one, out)
            return None

    def _read(self, stream: int, one: Inbound, fields: FieldList, last: bool, out: list[Event]) -> None:
        self.floods.worked += 1
        if one.stage == HEAD:
            one.stage = BODY
            out.append(Fields(stream, fields, last))
        else:
            one.stage = TRAILED
            out.append(Trailers(stream, fields))
            if last:
                out.append(Data(stream, b"", ended=True))

    def _too_large(self, stream: int, one: Inbound, out: list[Event]) -> None:
        self.count(HEADS)
        one.kind = IGNORED
        out.append(TooLarge(stream))

    def _end(self, stream: int, one: Inbound, out: list[Event]) -> None:
        """The stream's last byte was read."""
        if one.held or one.left:
            raise ProtocolError(codes.FRAME_ERROR, "a stream that ends within a frame")  # RFC 9114 §7.1
        del self._streams[stream]
        if one.stage == HEAD:
            self.count(BROKEN)
            out.append(Broken(stream, codes.REQUEST_INCOMPLETE))
        elif not (out and isinstance(event := out[-1], Data) and event.ended):
            out.append(Data(stream, b"", ended=True))

    # Unidirectional streams.

    def _receive_other(self, stream: int, one: Inbound, data: bytes, ended: bool, out: list[Event]) -> None:
        if one.kind == UNTYPED:
            data = one.held + data
            if not data or varint.size(data[0]) > len(data):
                one.held = data
                if ended:  # before anybody could know what it was to be: borne (RFC 9114 §6.2)
                    del self._streams[stream]
                return
            kind = varint.decode(data, 0)
            data = data[varint.size(data[0]) :]
            one.held = b""
            one.kind = self._type(stream, kind)
            if one.kind == IGNORED:
                self.count(UNKNOWN)
                out.append(Unwanted(stream))
        if ended:
            if one.kind in _CRITICAL:
                raise ProtocolError(codes.CLOSED_CRITICAL_STREAM, "the end of a stream that has to stay")
            del self._streams[stream]
        if not data:
            return
        if one.kind == codes.QPACK_ENCODER:
            take_encoder(data)
        elif one.kind == codes.QPACK_DECODER:
            self._cancellations.take(data)
        elif one.kind == codes.CONTROL:
            self._receive_control(one, data, out)

    def _type(self, stream: int, kind: int) -> int:
        if kind == codes.PUSH:
            raise ProtocolError(codes.STREAM_CREATION_ERROR, "a push from a client")
        if kind not in _CRITICAL:
            return IGNORED
        if kind in self._typed:
            raise ProtocolError(codes.STREAM_CREATION_ERROR, "a second stream of which there is one")
        self._typed[kind] = stream
        return kind

    def _receive_control(self, one: Inbound, data: bytes, out: list[Event]) -> None:
        if one.held:
            data = one.held + data
            one.held = b""
        at, end = 0, len(data)
        while at < end:
            if one.left and one.stage == HEAD:  # of a frame nobody knows
                size = min(one.left, end - at)
                at += size
                one.left -= size
                continue
            if one.stage == BODY:
                if end - at < one.left:
                    break
                event = self.control.take(one.frame, data[at : at + one.left])
                if event is not None:
                    self.count(PRIORITY)
                    out.append(event)
                at += one.left
                one.left = 0
                one.stage = HEAD
                continue
            begin = at + varint.size(data[at])
            if begin >= end or begin + varint.size(data[begin]) > end:
                break
            one.frame, one.left = varint.decode(data, at), varint.decode(data, begin)
            at = begin + varint.size(data[begin])
            if self.control.begin(one.frame, one.left):
                one.stage = BODY
                if not one.left:  # a frame without a payload is whole
                    self.control.take(one.frame, b"")
                    one.stage = HEAD
                if one.frame != codes.PRIORITY_UPDATE:
                    self.count(EMPTY)
            else:
                self.count(UNKNOWN)
        if at < end:
            one.held = data[at:]

    def __repr__(self) -> str:
        return f"<Connection {len(self._streams)} streams to come>"
