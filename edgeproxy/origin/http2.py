"""One connection to an origin that speaks HTTP/2 (RFC 9113): the socket below many streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from edgeproxy.config.pools import TimeoutsConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http2 import events, frames
from edgeproxy.http2.connection import Connection
from edgeproxy.http2.settings import Settings
from edgeproxy.origin import http2_answer
from edgeproxy.origin.answer import HEAD_LIMIT
from edgeproxy.origin.client import CLOSE_TIME
from edgeproxy.origin.deadline import Deadline
from edgeproxy.origin.http2_stream import Stream
from edgeproxy.origin.way import Owner

STREAMS: Final = 100  # at once on a connection, if the origin takes so many: its own default most often
WINDOW: Final = 256 * 1024  # bytes of an answer that nobody has read yet, beside as many in its pipe
CONNECTION_WINDOW: Final = STREAMS * WINDOW  # so that answers nobody reads hold no other back

_SETTINGS: Final = Settings(
    push=False, streams=STREAMS, window=WINDOW, connection_window=CONNECTION_WINDOW, fields=HEAD_LIMIT
)


class Keeper(Protocol):
    """Who gives a connection's streams away."""

    def rested(self, carrier: Carrier) -> None:
        """Its last stream has ended."""

    def gone(self, carrier: Carrier) -> None:
        """It takes no more streams."""


class Carrier(asyncio.Protocol):
    """``used`` tells that it has answered, or waited; ``tunnels`` that the origin takes extended CONNECT. ``ready`` is
    done when the origin has shown that it speaks HTTP/2, or fails with EdgeError. Without a ``keeper`` it is for one
    stream, and closes with it.
    """

    __slots__ = (
        "_deadline",
        "_doubted",
        "_flushing",
        "_given",
        "_leaving",
        "_paused",
        "_streams",
        "_timeouts",
        "_touched",
        "_waiting",
        "_wire",
        "keeper",
        "loop",
        "ready",
        "transport",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, timeouts: TimeoutsConfig) -> None:
        self.loop = loop
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.ready: asyncio.Future[None] = loop.create_future()
        self.keeper: Keeper | None = None
        self.used = False
        self._timeouts = timeouts
        self._wire = Connection(_SETTINGS, client=True)
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, Stream] = {}  # for a window, in their order
        self._touched: dict[int, Stream] = {}  # by what is being read
        self._given = 0  # streams that have not begun
        self._deadline = Deadline(loop, self._expired)
        self._doubted = self._flushing = self._leaving = self._paused = False

    # What whoever gives streams away asks.

    @property
    def most(self) -> int:
        """How many streams it takes at once."""
        return min(self._wire.peer.streams, STREAMS)

    @property
    def room(self) -> int:
        """How many more it takes now."""
        if self._leaving or self._doubted or self.closing:
            return 0
        return self.most - len(self._streams) - self._given

    @property
    def idle(self) -> bool:
        return not self._streams and not self._given

    @property
    def tunnels(self) -> bool:
        return self._wire.peer.connect

    @property
    def closing(self) -> bool:
        return self.transport.is_closing()

    def stream(self, owner: Owner) -> Stream:
        """The way of one more request, whose exchange is ``owner``'s."""
        self._given += 1
        self._deadline.cancel()
        return Stream(self, owner)

    def rest(self, seconds: float) -> None:
        """Stay open, idle, for that long."""
        self.used = True  # if it is closed now, that says as much as of one that was used
        if not self._doubted:
            self._deadline.set(self.loop.time() + seconds)

    def close(self) -> None:
        """Say so, and close once that is sent."""
        if not self.closing:
            self._leaving = True
            self._wire.go_away()
            self._write()
            self.transport.close()
            self._deadline.set(self.loop.time() + CLOSE_TIME)

    # What streams do.

    def begin(self, stream: Stream, block: bytes, *, end: bool) -> int:
        """Begin it; its identifier. Raises Refused."""
        number = self._wire.request(block, end=end)
        self._given -= 1
        self._streams[number] = stream
        return number

    def pass_on(self, number: int, data: bytes, *, end: bool) -> int:
        """Send as much as may be sent now; how many bytes that was."""
        return 0 if self._paused and data else self._wire.data(number, data, end=end)

    def end_with(self, number: int, block: bytes) -> None:
        """Send trailers."""
        self._wire.fields(number, block, end=True)

    def waits(self, stream: Stream) -> None:
        """It has more to send than it may."""
        self._waiting[stream.id] = stream

    def took(self, number: int, size: int) -> None:
        """So many bytes have been read."""
        self._wire.took(number, size)

    def reset(self, number: int, code: frames.Code) -> None:
        """Break it off."""
        self._wire.reset(number, code)

    def over(self, stream: Stream) -> None:
        """It has ended, or will not begin."""
        number = stream.id
        if not number:
            self._given -= 1
            stream.id = -1
        elif self._streams.pop(number, None) is None:
            return
        self._waiting.pop(number, None)
        self.flush()
        if self.idle:
            if self.keeper is None or self._leaving:
                self.close()
            else:
                self.keeper.rested(self)

    def doubt(self) -> None:
        """An answer did not come in time: does the origin still hear us?"""
        if not self._doubted and not self.closing:
            self._doubted = True
            self._wire.ping()
            self.flush()
            self._deadline.set(self.loop.time() + self._timeouts.connect)

    def flush(self) -> None:
        """Write what there is to be sent, once all that is being said in this turn of the loop is there."""
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._write)

    def _write(self) -> None:
        self._flushing = False
        out = self._wire.out
        if out:
            if not self.closing:
                self.transport.writelines(out)
            self._wire.out = []
        over = self._wire.over
        if over is not None and not self.closing:
            self.transport.close()  # what was wrong has been said, for the origin's log
            self._deadline.set(self.loop.time() + CLOSE_TIME)
            self._leave(http2_answer.invalid(over.detail))

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._wire.begin()
        self._write()

    def data_received(self, data: bytes) -> None:
        for event in self._wire.receive(data):
            try:
                _TAKEN[type(event)](self, event)
            except EdgeError as error:
                self._streams[event.stream].fail(error)
        touched, self._touched = self._touched, {}
        for stream in touched.values():
            stream.settle()
        if not self.ready.done() and self._wire.settled:
            self.ready.set_result(None)
        self._write()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()
        self._leave(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()
        self.flush()

    # What events mean.

    def take_fields(self, event: events.Fields) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            self.used = True
            self._touched[event.stream] = stream
            stream.take_head(event.fields, ended=event.ended)

    def take_too_large(self, event: events.TooLarge) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            stream.fail(http2_answer.too_large(f"more than {HEAD_LIMIT} bytes of fields"))

    def take_data(self, event: events.Data) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            self._wire.took(event.stream, event.size)
        else:
            self._touched[event.stream] = stream
            stream.take_data(event.data, event.size, ended=event.ended)

    def take_trailers(self, event: events.Trailers) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            self._touched[event.stream] = stream
            stream.take_trailers(event.fields)

    def take_reset(self, event: events.Reset) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        if event.ours:
            stream.lost(http2_answer.invalid("a stream that breaks the rules"))
        elif event.code == frames.REFUSED_STREAM:
            stream.refuse("the stream was refused")
        else:
            stream.settle()  # what came before that was whole, perhaps
            stream.broken_off(event.code)

    def take_window(self, event: events.Window) -> None:
        if not event.stream:
            self._pump()
        elif event.stream in self._waiting:
            self._waiting.pop(event.stream).pump()

    def take_answered(self, event: events.Answered) -> None:
        self._doubted = False
        self._deadline.cancel()
        if self.idle and self.keeper is not None:
            self.keeper.rested(self)

    def take_leaving(self, event: events.Leaving) -> None:
        """GOAWAY: what the origin has not looked at may be sent elsewhere (RFC 9113 §6.8)."""
        self._leaving = True
        if self.keeper is not None:
            self.keeper.gone(self)
        for number, stream in list(self._streams.items()):
            if number > event.last:
                stream.refuse("the origin is leaving")
        if self.idle:
            self.close()

    def ignore(self, event: events.Event) -> None:
        """Nothing that a client goes by; of the end, :meth:`_write` sees to it."""

    # Inside.

    def _pump(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for stream in waiting.values():
            stream.pump()

    def _leave(self, error: EdgeError | None) -> None:
        """No more comes."""
        self._leaving = True
        if not self.ready.done():
            self.ready.set_exception(error or EdgeError(Kind.CONNECTION_LOST, "origin"))
            self.ready.exception()  # nobody may be waiting any more
        if self.keeper is not None:
            self.keeper.gone(self)
        for stream in list(self._streams.values()):
            stream.lost(error)

    def _expired(self) -> None:
        if self._doubted or self.closing:
            self.transport.abort()
        elif self.idle:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closing else "leaving" if self._leaving else "doubted" if self._doubted else "open"
        return f"<Carrier {state}, {len(self._streams)} streams>"


_TAKEN: Final[dict[type[events.Event], Callable[[Carrier, Any], None]]] = {
    events.Answered: Carrier.take_answered,
    events.Data: Carrier.take_data,
    events.Ended: Carrier.ignore,
    events.Fields: Carrier.take_fields,
    events.Leaving: Carrier.take_leaving,
    events.Priority: Carrier.ignore,
    events.Reset: Carrier.take_reset,
    events.TooLarge: Carrier.take_too_large,
    events.Trailers: Carrier.take_trailers,
    events.Window: Carrier.take_window,
}
