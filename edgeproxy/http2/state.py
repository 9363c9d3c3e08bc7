"""What an HTTP/2 connection is in, and what becomes of its streams (RFC 9113 §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.errors import ConnectionFailure, StreamFailure
from edgeproxy.http2.events import Ended, Event, Reset
from edgeproxy.http2.floods import Floods
from edgeproxy.http2.frames import Code
from edgeproxy.http2.settings import DEFAULTS, Settings
from edgeproxy.http2.streams import HALF_CLOSED_REMOTE, NEXT, Stream

BROKEN_KEPT: Final = 512  # streams reset here, whose frames may still be on their way


class State:
    """One connection. ``out``: frames to be written, in order; the owner takes them and clears it.

    ``streams``: those that are open, by identifier. ``outgoing``: bytes that may be sent on all streams together,
    ``incoming``: that the peer may send. ``last``: the highest stream the peer has opened. ``over``: what ended it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float], *, client: bool) -> None:
        self.out: list[bytes | memoryview] = []
        self.peer: Settings = DEFAULTS
        self.streams: dict[int, Stream] = {}
        self.outgoing = frames.WINDOW_FIRST
        self.incoming = settings.connection_window
        self.last = 0
        self.over: Ended | None = None
        self.floods = Floods(clock)
        self._own = settings
        self._client = client
        self._next = 1  # the next stream that we open
        self._used = 0  # as a stream's
        self._events: list[Event] = []
        self._shrunk = False  # HPACK's table is to be said to be empty (RFC 7541 §4.2)
        self._broken: dict[int, None] = {}
        self._final = False  # the last GOAWAY is out: streams from here on are not served
        self._leaving = False  # the first GOAWAY is out, and a PING behind it

    def took(self, number: int, size: int) -> None:
        """``size`` bytes that came on a stream were used, or, with 0, were nobody's: its peer may send as many again.
        It is told when half a window has come together."""
        self._used += size
        if 2 * self._used >= self._own.connection_window:
            self.incoming += self._used
            self.out.append(frames.frame(frames.WINDOW_UPDATE, 0, 0, frames.uint32(self._used)))
            self._used = 0
        stream = self.streams.get(number)
        if stream is not None and stream.state < HALF_CLOSED_REMOTE:
            stream.used += size
            if 2 * stream.used >= self._own.window:
                stream.incoming += stream.used
                self.out.append(frames.frame(frames.WINDOW_UPDATE, 0, number, frames.uint32(stream.used)))
                stream.used = 0

    def _is_idle(self, number: int) -> bool:
        if not number & 1:
            return True
        return number >= self._next if self._client else number > self.last

    def _advance(self, stream: Stream, happened: int) -> None:
        stream.state = NEXT[stream.state][happened]
        if stream.state > HALF_CLOSED_REMOTE:
            del self.streams[stream.number]

    def _forget(self, number: int) -> None:
        self._broken[number] = None
        if len(self._broken) > BROKEN_KEPT:
            del self._broken[next(iter(self._broken))]

    def _reset(self, number: int, code: Code) -> None:
        self.out.append(frames.frame(frames.RST_STREAM, 0, number, frames.uint32(code)))
        self._forget(number)

    def _fail(self, failure: StreamFailure) -> None:
        """Reset a stream for what the peer did on it."""
        known = self.streams.pop(failure.stream, None)
        self._reset(failure.stream, failure.code)
        if known is not None:
            self._events.append(Reset(failure.stream, failure.code, ours=True))
        self.floods.count(floods.BROKEN)

    def _leave(self, code: Code, detail: bytes) -> None:
        """The last GOAWAY: later streams are not served."""
        self._final = True
        last = frames.uint32(self.last)
        self.out.append(frames.frame(frames.GOAWAY, 0, 0, last + frames.uint32(code) + detail))

    def _break(self, failure: ConnectionFailure) -> None:
        self.over = over = Ended(failure.code, failure.detail, failure.flood)
        self._leave(failure.code, failure.detail.encode())
        self.streams.clear()
        self._events.append(over)
