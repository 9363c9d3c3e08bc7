"""The receiving half of an HTTP/2 connection: bytes in, events out (RFC 9113 §5, §6).

Whatever the peer does wrong is one of two things: a stream is reset, or the connection ends with a GOAWAY. Both are
written into :attr:`Receiver.out` beside what the protocol answers by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.errors import ConnectionFailure, StreamFailure
from edgeproxy.http2.events import (
    Answered,
    Data,
    Event,
    FieldList,
    Fields,
    Leaving,
    Priority,
    Reset,
    TooLarge,
    Trailers,
    Window,
)
from edgeproxy.http2.hpack import Decoder, FieldsTooLarge
from edgeproxy.http2.settings import Settings, heed
from edgeproxy.http2.state import State
from edgeproxy.http2.streams import HALF_CLOSED_REMOTE, RECEIVED_END, RESET, Stream
from edgeproxy.http2.strings import CompressionError

SKIPPED_KEPT: Final = 16  # gaps between the identifiers that a peer used
PIECES: Final = 8  # frames of one field section, beside one for each 4 KB of it that we bear
TINY_UPDATE: Final = 1024  # bytes: who opens a window by less is counted
HONEST: Final = 64  # bytes of a frame that is work, not noise

_WHOLE: Final = frames.END_HEADERS | frames.END_STREAM
_RESERVED: Final = 0x8000_0000  # a bit of the stream's identifier (§4.1)


class Receiver(State):
    """A connection as it is heard."""

    def __init__(self, settings: Settings, clock: Callable[[], float], *, client: bool) -> None:
        super().__init__(settings, clock, client=client)
        self._decoder = Decoder(settings.table, settings.fields)
        self._rest = b""  # the beginning of a frame
        self._greeted = client  # the preface has come
        self.settled = False  # the peer's first SETTINGS have
        self._skipped: list[tuple[int, int]] = []
        self._block: list[bytes] = []  # a field section that goes on
        self._block_stream = 0
        self._block_size = 0
        self._block_ends = False
        self._block_most = 2 * settings.fields + frames.FRAME_SIZE
        self._pieces_most = PIECES + self._block_most // 4096

    def receive(self, data: bytes) -> list[Event]:
        """What ``data`` says, in order. Never raises: the last event of a connection that broke is Ended."""
        events = self._events = []
        if self.over is None:
            try:
                self._read(data)
            except ConnectionFailure as failure:
                self._break(failure)
        return events

    @property
    def in_head(self) -> bool:
        """A field section has begun and not ended, or the peer has not begun to speak HTTP/2."""
        return self.in_block or not self.settled

    @property
    def _free(self) -> bool:
        """A frame of any type may come."""
        return self.settled and not self._block_stream

    @property
    def in_block(self) -> bool:
        """A field section has begun and not ended."""
        rest = self._rest
        return self._block_stream != 0 or (len(rest) > 3 and rest[3] in {frames.HEADERS, frames.CONTINUATION})

    def _read(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if not self._greeted:
            if data[: len(frames.PREFACE)] != frames.PREFACE[:end]:
                raise ConnectionFailure(frames.PROTOCOL_ERROR, "no preface")
            if end < len(frames.PREFACE):
                self._rest = data
                return
            self._greeted = True
            at = len(frames.PREFACE)
        while end - at >= frames.HEADER_SIZE:
            upper, lower, kind, flags, stream = frames.unpack_header(data, at)
            size: int = upper << 8 | lower
            if size > frames.FRAME_SIZE:
                raise ConnectionFailure(frames.FRAME_SIZE_ERROR, "a frame larger than announced")
            start = at + frames.HEADER_SIZE
            if end - start < size:
                break
            at = start + size
            try:
                if kind == frames.HEADERS and flags == _WHOLE and 0 < stream < _RESERVED and self._free:
                    self.on_fields(stream, data[start:at], ended=True)  # what nearly all are
                else:
                    self._take(kind, flags, stream & frames.STREAM_MOST, data[start:at])
            except StreamFailure as failure:
                self._fail(failure)
        self._rest = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block_stream and (kind != frames.CONTINUATION or stream != self._block_stream):
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "another frame inside a field section")
        shape = frames.SHAPES.get(kind)
        if not self.settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "the first frame is no SETTINGS")
        if shape is None:
            self.floods.count(floods.UNKNOWN)
            return
        if shape.place != frames.ON_EITHER and (stream == 0) != (shape.place == frames.ON_CONNECTION):
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "a frame on the wrong stream")
        if not shape.shortest <= len(payload) <= shape.longest:
            if shape.mild and not self._is_idle(stream):
                raise StreamFailure(stream, frames.FRAME_SIZE_ERROR, "a frame of a wrong size")
            raise ConnectionFailure(frames.FRAME_SIZE_ERROR, "a frame of a wrong size")
        _HANDLERS[kind](self, flags, stream, payload)

    # Field sections.

    def on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = _unpadded(payload)
        if flags & frames.WITH_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFailure(frames.FRAME_SIZE_ERROR, "HEADERS too short")
            own = int.from_bytes(payload[:4], "big") & frames.STREAM_MOST == stream
            payload = payload[5:]
            if own and stream & 1:
                self._decode(payload)  # or the next section would be misread
                self.last = max(self.last, stream)
                raise StreamFailure(stream, frames.PROTOCOL_ERROR, "a stream that depends on itself")
        ended = flags & frames.END_STREAM != 0
        if flags & frames.END_HEADERS:
            self.on_fields(stream, payload, ended=ended)
            return
        if not payload:
            self.floods.count(floods.EMPTY)
        self._block = [payload]
        self._block_stream = stream
        self._block_size = len(payload)
        self._block_ends = ended

    def on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if not self._block_stream:
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block.append(payload)
        self._block_size += len(payload)
        if self._block_size > self._block_most or len(self._block) > self._pieces_most:
            raise ConnectionFailure(
                frames.ENHANCE_YOUR_CALM, "a field section too long", flood=floods.CONTINUATION_FLOOD
            )
        if flags & frames.END_HEADERS:
            block, self._block = b"".join(self._block), []
            self._block_stream = 0
            self.on_fields(stream, block, ended=self._block_ends)

    def _decode(self, block: bytes) -> FieldList | None:
        """None for a section that is too large."""
        try:
            return self._decoder.decode(block)
        except FieldsTooLarge:
            self.floods.count(floods.HEADS)
            return None
        except CompressionError as error:
            raise ConnectionFailure(frames.COMPRESSION_ERROR, str(error)) from None

    def on_fields(self, number: int, block: bytes, *, ended: bool) -> None:
        fields = self._decode(block)
        stream = self.streams.get(number)
        if stream is None:
            if not self._admit(number):
                return
            self.floods.worked += 1
            self.streams[number] = stream = Stream(number, self.peer.window, self._own.window)
        elif stream.state >= HALF_CLOSED_REMOTE:
            raise StreamFailure(number, frames.STREAM_CLOSED, "HEADERS behind the end")
        headed = stream.headed
        if headed and not ended:
            raise StreamFailure(number, frames.PROTOCOL_ERROR, "trailers that end nothing")
        if headed and fields is None:
            raise StreamFailure(number, frames.ENHANCE_YOUR_CALM, "trailers too large")
        if not headed and not (self._client and fields and _is_interim(fields)):
            stream.headed = True
        elif ended and not headed:
            raise StreamFailure(number, frames.PROTOCOL_ERROR, "an interim answer that ends the stream")
        if ended:
            self._advance(stream, RECEIVED_END)
        if fields is None:
            self._events.append(TooLarge(number, ended=ended))
        elif headed:
            self._events.append(Trailers(number, fields))
        else:
            self._events.append(Fields(number, fields, ended))

    def _admit(self, number: int) -> bool:
        """Whether a stream begins with this head; False if it is to be read over."""
        if self._client:
            if self._is_idle(number):
                raise ConnectionFailure(frames.PROTOCOL_ERROR, "HEADERS on an idle stream")
            return self._must_be_broken(number)
        if not number & 1:
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "a client's stream with an even number")
        last = self.last
        if number <= last:
            if any(low <= number <= high for low, high in self._skipped):
                raise ConnectionFailure(frames.PROTOCOL_ERROR, "a stream below one that was opened")
            return self._must_be_broken(number)
        self.last = number
        if number > last + 2:
            self._skipped = [*self._skipped[1 - SKIPPED_KEPT :], (last + 2, number - 2)]
        if self._final:
            self._forget(number)
            return False
        if len(self.streams) >= self._own.streams:
            self.floods.count(floods.REFUSED)
            self._reset(number, frames.REFUSED_STREAM)
            return False
        return True

    def _must_be_broken(self, number: int) -> bool:
        """False for a stream that was reset here lately; nothing may come on one that ended otherwise."""
        if number not in self._broken:
            raise ConnectionFailure(frames.STREAM_CLOSED, "a frame on a stream that is over")
        self.floods.count(floods.UNKNOWN)
        return False

    # Bodies and windows.

    def on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        if self._is_idle(number):
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "DATA on an idle stream")
        data = _unpadded(payload) if flags & frames.PADDED else payload
        if len(data) >= HONEST:
            self.floods.worked += 1  # broken off or not: much may have been on its way
        self.incoming -= size
        if self.incoming < 0:
            raise ConnectionFailure(frames.FLOW_CONTROL_ERROR, "more than the connection's window")
        stream = self.streams.get(number)
        if stream is None or stream.state >= HALF_CLOSED_REMOTE or size > stream.incoming or not stream.headed:
            self.took(0, size)
            if stream is None:
                self._must_be_broken(number)
                return
            if stream.state >= HALF_CLOSED_REMOTE:
                raise StreamFailure(number, frames.STREAM_CLOSED, "DATA behind the end")
            if not stream.headed:
                raise StreamFailure(number, frames.PROTOCOL_ERROR, "DATA before its head")
            raise StreamFailure(number, frames.FLOW_CONTROL_ERROR, "more than the stream's window")
        stream.incoming -= size
        ended = flags & frames.END_STREAM != 0
        if not data and not ended:
            self.floods.count(floods.EMPTY)
        if ended:
            self._advance(stream, RECEIVED_END)
        self._events.append(Data(number, data, size, ended=ended))

    def on_window_update(self, _: int, number: int, payload: bytes) -> None:
        size = int.from_bytes(payload, "big") & frames.WINDOW_MOST
        stream: Stream | None = None
        if number:
            if self._is_idle(number):
                raise ConnectionFailure(frames.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
            stream = self.streams.get(number)
        if size < TINY_UPDATE:
            self.floods.count(floods.WINDOW)
        if not number:
            self.outgoing += size
            if not size:
                raise ConnectionFailure(frames.PROTOCOL_ERROR, "a window opened by nothing")
            if self.outgoing > frames.WINDOW_MOST:
                raise ConnectionFailure(frames.FLOW_CONTROL_ERROR, "a window too large")
        elif stream is None:
            self.floods.count(floods.UNKNOWN)
            return
        else:
            stream.outgoing += size
            if not size:
                raise StreamFailure(number, frames.PROTOCOL_ERROR, "a window opened by nothing")
            if stream.outgoing > frames.WINDOW_MOST:
                raise StreamFailure(number, frames.FLOW_CONTROL_ERROR, "a window too large")
        self._events.append(Window(number))

    # What concerns the connection, and streams as a whole.

    def on_settings(self, flags: int, _: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise ConnectionFailure(frames.FRAME_SIZE_ERROR, "an acknowledgement that says something")
            self.floods.count(floods.SETTINGS)
            return
        before = self.peer
        self.peer = peer = heed(before, payload, client=self._client)
        if self.settled:
            self.floods.count(floods.SETTINGS)
        self.settled = True
        if peer.table < frames.TABLE_FIRST:
            self._shrunk = True
        self.out.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        more = peer.window - before.window
        for stream in self.streams.values():
            stream.outgoing += more
            if stream.outgoing > frames.WINDOW_MOST:
                raise ConnectionFailure(frames.FLOW_CONTROL_ERROR, "a window too large")
            if more > 0:
                self._events.append(Window(stream.number))

    def on_ping(self, flags: int, _: int, payload: bytes) -> None:
        self.floods.count(floods.PING)
        if not flags & frames.ACK:
            self.out.append(frames.frame(frames.PING, frames.ACK, 0, payload))
            return
        if self._leaving:
            self._leaving = False
            self._leave(frames.NO_ERROR, b"")
        self._events.append(Answered(0))

    def on_reset(self, _: int, number: int, payload: bytes) -> None:
        if self._is_idle(number):
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "RST_STREAM on an idle stream")
        stream = self.streams.get(number)
        if stream is None:
            self.floods.count(floods.UNKNOWN)
            return
        self._advance(stream, RESET)
        self._events.append(Reset(number, int.from_bytes(payload, "big")))
        if not self._client:
            self.floods.count(floods.RESET)

    def on_priority(self, _: int, number: int, payload: bytes) -> None:
        """RFC 7540's priorities are read over (§5.3.2), but must be well-formed."""
        self.floods.count(floods.PRIORITY)
        if int.from_bytes(payload[:4], "big") & frames.STREAM_MOST == number:
            if self._is_idle(number):
                raise ConnectionFailure(frames.PROTOCOL_ERROR, "a stream that depends on itself")
            raise StreamFailure(number, frames.PROTOCOL_ERROR, "a stream that depends on itself")

    def on_priority_update(self, _: int, __: int, payload: bytes) -> None:
        self.floods.count(floods.PRIORITY)
        number = int.from_bytes(payload[:4], "big") & frames.STREAM_MOST
        if self._client or not number & 1:
            raise ConnectionFailure(frames.PROTOCOL_ERROR, "PRIORITY_UPDATE of no request")
        self._events.append(Priority(number, payload[4:]))

    def on_goaway(self, _: int, __: int, payload: bytes) -> None:
        last = int.from_bytes(payload[:4], "big") & frames.STREAM_MOST
        self.floods.count(floods.SETTINGS)
        for number in [number for number in self.streams if self._client and number > last]:
            del self.streams[number]
            self._forget(number)
        self._events.append(Leaving(last, int.from_bytes(payload[4:8], "big")))

    def on_push_promise(self, _: int, __: int, ___: bytes) -> None:
        raise ConnectionFailure(frames.PROTOCOL_ERROR, "a promise that nobody takes")


def _unpadded(payload: bytes) -> bytes:
    """Without the padding (§6.1)."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailure(frames.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _is_interim(fields: FieldList) -> bool:
    name, value = fields[0]
    return name == b":status" and value[:1] == b"1" and value != b"101"


_HANDLERS: Final[dict[int, Callable[[Receiver, int, int, bytes], None]]] = {
    frames.DATA: Receiver.on_data,
    frames.HEADERS: Receiver.on_headers,
    frames.PRIORITY: Receiver.on_priority,
    frames.RST_STREAM: Receiver.on_reset,
    frames.SETTINGS: Receiver.on_settings,
    frames.PUSH_PROMISE: Receiver.on_push_promise,
    frames.PING: Receiver.on_ping,
    frames.GOAWAY: Receiver.on_goaway,
    frames.WINDOW_UPDATE: Receiver.on_window_update,
    frames.CONTINUATION: Receiver.on_continuation,
    frames.PRIORITY_UPDATE: Receiver.on_priority_update,
}
