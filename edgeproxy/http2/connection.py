"""One HTTP/2 connection (RFC 9113), as server or as client: what its owner says on it. No I/O.

What comes in is :mod:`edgeproxy.http2.receiver`'s: ``receive`` gives events. Frames to be written gather in ``out``.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.errors import ConnectionFailure, Refused
from edgeproxy.http2.frames import FRAME_SIZE, WINDOW_MOST, Code, header
from edgeproxy.http2.receiver import HONEST, Receiver
from edgeproxy.http2.settings import Settings, announce
from edgeproxy.http2.streams import HALF_CLOSED_LOCAL, HALF_CLOSED_REMOTE, RESET, SENT_END, Stream

_EMPTIED: Final = b"\x20"  # HPACK's table has no room (RFC 7541 §6.3); what we send never uses any
# What a stream is reset for that the peer has done wrong: one that makes us do it often is a flood.
_BLAMED: Final = frozenset(
    (frames.PROTOCOL_ERROR, frames.FLOW_CONTROL_ERROR, frames.STREAM_CLOSED, frames.FRAME_SIZE_ERROR)
)


class Connection(Receiver):
    """``settings``: what we tell the peer and what we bear; its windows are 65535 at least, which is what a peer takes
    them to be before it has heard of them. ``clock``: monotonic seconds, by which floods are told."""

    def __init__(self, settings: Settings, *, client: bool = False, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(settings, clock, client=client)

    def begin(self) -> None:
        """The first that is written."""
        if self._client:
            self.out.append(frames.PREFACE)
        self.out.append(frames.settings(announce(self._own, client=self._client)))
        more = self._own.connection_window - frames.WINDOW_FIRST
        if more > 0:
            self.out.append(frames.frame(frames.WINDOW_UPDATE, 0, 0, frames.uint32(more)))

    @property
    def room(self) -> int:
        """How many more streams may be opened now, as a client."""
        if self.over is not None or self._final or self._next > frames.STREAM_MOST:
            return 0
        return max(0, min(self.peer.streams, self._own.streams) - len(self.streams))

    def request(self, block: bytes, *, end: bool) -> int:
        """Open a stream with a head; returns its identifier. Raises Refused when no more may be opened."""
        if not self.room:
            raise Refused
        number = self._next
        self._next += 2
        self.streams[number] = Stream(number, self.peer.window, self._own.window)
        self.floods.worked += 1
        self.fields(number, block, end=end)
        return number

    def fields(self, stream: int, block: bytes, *, end: bool) -> None:
        """A head, an interim one or trailers, cut where it is too long for a frame; nothing on one that is over."""
        own = self.streams.get(stream)
        if own is None or own.state == HALF_CLOSED_LOCAL:
            return
        if self._shrunk:
            self._shrunk = False
            block = _EMPTIED + block
        flags = frames.END_STREAM if end else 0
        size = len(block)
        if size <= FRAME_SIZE:
            self.out.append(header(size, frames.HEADERS, flags | frames.END_HEADERS, stream) + block)
        else:
            self.out.append(frames.frame(frames.HEADERS, flags, stream, block[:FRAME_SIZE]))
            for start in range(FRAME_SIZE, size, FRAME_SIZE):
                flags = frames.END_HEADERS if start + FRAME_SIZE >= size else 0
                piece = block[start : start + FRAME_SIZE]
                self.out.append(frames.frame(frames.CONTINUATION, flags, stream, piece))
        if end:
            self._advance(own, SENT_END)

    def answer(self, stream: int, block: bytes, body: bytes) -> bool:
        """A head with a body in one frame behind it, which end the stream; False, and nothing was written, where they
        do not fit as they are: the body's windows, the sizes of frames."""
        own = self.streams.get(stream)
        size = len(body)
        if own is None or own.state == HALF_CLOSED_LOCAL:
            return True
        if size > own.outgoing or size > self.outgoing or size > FRAME_SIZE or len(block) > FRAME_SIZE or self._shrunk:
            return False
        own.outgoing -= size
        self.outgoing -= size
        self.floods.worked += 1
        out = self.out
        out.append(header(len(block), frames.HEADERS, frames.END_HEADERS, stream))
        out.append(block)
        out.append(header(size, frames.DATA, frames.END_STREAM, stream))
        out.append(body)
        self._advance(own, SENT_END)
        return True

    def data(self, stream: int, data: bytes, *, end: bool, start: int = 0, most: int = WINDOW_MOST) -> int:
        """Of a body's bytes from ``start`` on as many as the windows allow, ``most`` at most, and its end if all went;
        how many bytes went. A stream that is over takes everything."""
        own = self.streams.get(stream)
        left = len(data) - start
        if own is None or own.state == HALF_CLOSED_LOCAL:
            return left
        window = min(own.outgoing, self.outgoing)
        size = max(0, min(left, most, window))
        if left and not size:
            return 0
        end = end and size == left
        at, stop = start, start + size
        whole = memoryview(data)
        while at < stop:
            piece = min(stop - at, FRAME_SIZE)
            flags = frames.END_STREAM if end and at + piece == stop else 0
            self.out.append(header(piece, frames.DATA, flags, stream))
            self.out.append(whole[at : at + piece])  # copied once, when what is written is joined
            at += piece
            if piece >= HONEST:
                self.floods.worked += 1
        own.outgoing -= size
        self.outgoing -= size
        if end:
            if not left:
                self.out.append(header(0, frames.DATA, frames.END_STREAM, stream))
            self._advance(own, SENT_END)
        elif size == window and size < min(HONEST, left):
            self._count(floods.TINY)
        return size

    def window(self, stream: int) -> int:
        """How many bytes may be sent on it now."""
        own = self.streams.get(stream)
        return 0 if own is None else max(0, min(own.outgoing, self.outgoing))

    def inflow(self, stream: int) -> int:
        """How many bytes the peer may send on it now; 0 where it has ended its side, or all is."""
        own = self.streams.get(stream)
        if own is None or own.state == HALF_CLOSED_REMOTE:
            return 0
        return min(own.incoming, self.incoming)

    def reset(self, stream: int, code: Code) -> None:
        """Break a stream off; nothing more comes of it. One that is over needs it no more."""
        own = self.streams.get(stream)
        if own is None:
            return
        self._advance(own, RESET)
        self._reset(stream, code)
        if code in _BLAMED:
            self._count(floods.BROKEN)

    def refuse(self, stream: int) -> None:
        """Refuse a stream that is one too many; it may be asked for again (§8.7)."""
        self.reset(stream, frames.REFUSED_STREAM)
        self._count(floods.REFUSED)

    def overloaded(self) -> None:
        """A head had more fields than its reader bears: each costs its peer a byte (RFC 7541 §6.1)."""
        self._count(floods.HEADS)

    def stalled(self, stream: int) -> None:
        """Break a stream off whose window the peer did not open in time; the connection, where it is that one's."""
        if self.outgoing <= 0 and self.over is None:
            kind = floods.BUDGETS[floods.STALLED].kind
            self._break(ConnectionFailure(frames.ENHANCE_YOUR_CALM, "a window that stays shut", kind))
        self.reset(stream, frames.CANCEL)
        self._count(floods.STALLED)

    def go_away(self, code: Code = frames.NO_ERROR, detail: bytes = b"") -> None:
        """The last word: streams that are open may end, none begins."""
        if self.over is None:
            self._leave(code, detail)

    def shut(self) -> None:
        """Take no more streams, gently (§6.8): tell the peer, and what it has sent until it heard of it is served."""
        if self.over is None and not self._final and not self._leaving:
            self._leaving = True
            self.out.append(
                frames.frame(frames.GOAWAY, 0, 0, frames.uint32(frames.STREAM_MOST) + frames.uint32(frames.NO_ERROR))
            )
            self.ping()

    @property
    def left(self) -> bool:
        """The last GOAWAY is out and every stream has ended."""
        return self._final and not self.streams

    def ping(self) -> None:
        """Ask for a sign of life: Answered comes."""
        self.out.append(frames.frame(frames.PING, 0, 0, bytes(8)))

    def _count(self, kind: int) -> None:
        """As the receiver counts, outside of it: what ends the connection here is in ``over``."""
        try:
            self.floods.count(kind)
        except ConnectionFailure as failure:
            if self.over is None:
                self._break(failure)

    def __repr__(self) -> str:
        side = "client" if self._client else "server"
        state = "over" if self.over else "leaving" if self._final or self._leaving else "open"
        return f"<Connection {side} {state}, {len(self.streams)} streams, {self.outgoing} out, {self.incoming} in>"
