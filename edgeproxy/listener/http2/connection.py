"""HTTP/2 from clients (RFC 9113): one connection, its requests answered as they come.

A request whose chain answers at once is answered inside :meth:`Http2Connection.data_received`, and all such answers of
one read leave in one write. Anything else runs in a task a stream. Bodies take turns in small pieces (RFC 9218), never
more of them than the socket takes; a body that comes in is given room only as it is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http import pseudo
from edgeproxy.http.message import Request
from edgeproxy.http2 import frames
from edgeproxy.http2.connection import Connection
from edgeproxy.http2.events import Data, Event, Fields, Priority, Reset, TooLarge, Trailers, Window
from edgeproxy.http2.hpack import OVERHEAD
from edgeproxy.http2.settings import Settings
from edgeproxy.listener import priority
from edgeproxy.listener.client import Client
from edgeproxy.listener.flow import WRITE_HIGH_WATER
from edgeproxy.listener.http2.stream import Stream
from edgeproxy.listener.priority import TURN, TURN_INCREMENTAL, Turns
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.runner import refuse, serve

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

GATHERED: Final = 64 * 1024  # bytes of answers that are written together
UNTAKEN_MOST: Final = 2 * WRITE_HIGH_WATER  # bytes a client may leave unread before it is read from no more
LINGER_LIMIT: Final = 1024 * 1024  # bytes taken from a client behind its GOAWAY before it is cut off
EARLY_MOST: Final = 16  # streams whose priority is told before they begin
PSEUDO_FIELDS: Final = 5

_NEVER: Final = float("inf")


class Http2Connection(Client):
    """One client connection of many streams."""

    def __init__(self, server: Server, endpoint: Endpoint, told: Peer | None = None) -> None:
        super().__init__(server, endpoint, told)
        self.limits = limits = server.limits
        self.now = self._clock
        self.wall = self._wall
        self.alt_svc = endpoint.alt_svc.block
        self.call_soon = server.call_soon
        config = endpoint.config.http2
        self._line_limit = limits.header_count + PSEUDO_FIELDS
        self.http2 = Connection(
            Settings(
                streams=config.streams,
                window=config.window,
                connection_window=config.connection_window,
                fields=limits.head_size + OVERHEAD * limits.header_count,
                connect=True,
            ),
            clock=self._clock,
        )
        self._most = config.streams
        self._streams: dict[int, Stream] = {}  # those on which more is to come
        self._working = 0  # tasks, also of streams that are over
        self._turns = Turns()
        self._early: dict[int, bytes] = {}  # priorities of streams that have not begun
        self._reading = False  # what is written gathers until the read is through
        self._gathered = 0
        self.went = 0  # bytes of bodies that were written by turns
        self._held = False
        self._head_due = _NEVER  # when what is half a head must be whole
        self._write_due = _NEVER  # when the client must have taken more
        self._leave_due = _NEVER  # when it has heard for long enough that we leave
        self._unread = 0

    # The socket's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._closing:
            self.http2.begin()
            self.flush()

    def succeed(self, predecessor: Client) -> None:
        super().succeed(predecessor)
        self.http2.begin()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._abandon()

    def eof_received(self) -> bool:
        """A client that sends no more opens no windows and answers no PING either: it leaves. What it has not taken by
        then may be long in going, and until that has gone the loop says nothing of the connection's end."""
        self._deaf = self._closing = True
        self._abandon()
        return False

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_due = _NEVER
        if self._held:
            self._held = False
            self.unhold()
        self.pump()
        self.flush()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_due = self._clock() + self.limits.write_timeout
        self.deadline = min(self.deadline, self._write_due)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._unread += len(data)
            if self._unread > LINGER_LIMIT:
                self.transport.abort()
            return
        http2 = self.http2
        self._reading = True
        for event in http2.receive(data):
            if isinstance(event, Fields):
                self._begin(event)
            else:
                self._heed(event)
        self._reading = False
        if len(self._turns):
            self.pump()
        self.flush()
        if http2.in_head:
            if self._head_due == _NEVER:
                self._head_due = self._clock() + self.limits.head_timeout
            self.deadline = min(self.deadline, self._head_due)
        else:
            self._head_due = _NEVER

    def flush(self) -> None:
        """Write what has gathered, in one piece; inside a read only when it is much."""
        if self._reading and self._gathered < GATHERED:
            return
        self._gathered = 0
        http2 = self.http2
        out = http2.out
        if out and not self._closing:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))  # small pieces would be TLS records each
            if self.paused_writing and not self._held and self.transport.get_write_buffer_size() > UNTAKEN_MOST:
                self._held = True  # what it asks for needs no window, and it reads nothing
                self.hold()
        out.clear()
        if http2.over is not None or http2.left:
            self._end()

    def wrote(self, size: int) -> None:
        """An answer of ``size`` body bytes is out, or waits for its turn."""
        self._gathered += size
        if not self._reading or self._gathered >= GATHERED:
            self.flush()

    # What comes in.

    def _begin(self, event: Fields) -> None:
        number = event.stream
        fields = event.fields
        if self._working >= self._most:
            self.http2.refuse(number)
            return
        stream = Stream(self, number)
        try:
            if len(fields) > self._line_limit:
                self.http2.overloaded()
                raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
            request = pseudo.request(fields, b"2", self._endpoint.scheme, ended=event.ended, websocket=True)
            self._passed += 1
            told = request.headers.get(b"priority")
            if self._early:
                told = self._early.pop(number, told)
            if told is not None:
                stream.urgency, stream.incremental = priority.parse(told)
            if not event.ended:
                stream.expect(request)
        except pseudo.Malformed:
            self.http2.reset(number, frames.PROTOCOL_ERROR)
            return
        except EdgeError as error:
            self._refuse(stream, error)
            return
        x = Exchange(request, self._peer, self._clock())
        snapshot = self._server.snapshot
        x.route = snapshot.router.match(request) or snapshot.unrouted
        serve(x, stream)

    def _refuse(self, stream: Stream, error: EdgeError) -> None:
        """Answer what is no request that can be served."""
        x = Exchange(Request(b"-", b"-", {}, self._endpoint.scheme, version=b"2"), self._peer, self._clock())
        x.route = self._server.snapshot.unrouted
        refuse(x, error, stream)

    def _heed(self, event: Event) -> None:
        """Everything but a request's head."""
        number = event.stream
        stream = self._streams.get(number)
        if isinstance(event, Data):
            if stream is None:
                self.http2.took(number, event.size)
            else:
                stream.receive(event)
        elif isinstance(event, Window):
            if stream is not None:
                self._resume(stream)
            # Of the connection's window: who waits for that alone has kept its turn.
        elif isinstance(event, Trailers):
            if stream is not None:
                stream.finish(event.fields)
        elif isinstance(event, Reset):
            if stream is not None:
                stream.abandon(EdgeError(Kind.CLIENT_GONE, "client"))
        elif isinstance(event, TooLarge):
            self._refuse(Stream(self, number), EdgeError(Kind.HEAD_TOO_LARGE, "client"))
        elif isinstance(event, Priority):
            self._prioritize(stream, event)

    def _prioritize(self, stream: Stream | None, event: Priority) -> None:
        if stream is None:
            last = self.http2.last
            if len(self._early) >= EARLY_MOST:
                self._early = {number: value for number, value in self._early.items() if number > last}
            if event.stream > last and len(self._early) < EARLY_MOST:
                self._early[event.stream] = event.value
            return
        stream.urgency, stream.incremental = priority.parse(event.value)
        if stream.number in self._turns:
            self._turns.add(stream.number, stream.urgency)

    # The streams' side.

    def keep(self, stream: Stream) -> None:
        """More is to come on a stream."""
        self._streams[stream.number] = stream
        self.deadline = min(self.deadline, stream.due)

    def drop(self, stream: Stream) -> None:
        """Nothing more is."""
        if self._streams.pop(stream.number, None) is not None:
            self._turns.discard(stream.number)
            if not self._streams:
                self.touch()

    def work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run an exchange's task; :meth:`worked` follows it, however it ends."""
        self._working += 1
        return self._server.spawn(work)

    def worked(self) -> None:
        self._working -= 1

    def touch(self) -> float:
        """An exchange ends now; what time that is."""
        self.idle_since = now = self._clock()
        if not self._streams and self._write_due == _NEVER:
            self.deadline = min(now + self._idle_timeout, self._head_due)
        return now

    def _resume(self, stream: Stream) -> None:
        if stream.paused_writing:
            self._turns.add(stream.number, stream.urgency)

    def wants(self, stream: Stream) -> None:
        """A stream has something to be written."""
        self._turns.add(stream.number, stream.urgency)
        if not self._reading:
            self.pump()

    def pump(self) -> None:
        """Write bodies, turn by turn, as long as the client takes them."""
        http2, turns = self.http2, self._turns
        while not self.paused_writing and not self._closing:
            number = turns.next()
            if not number:
                break
            stream = self._streams.get(number)
            if stream is None:
                turns.discard(number)
                continue
            turn = TURN_INCREMENTAL if stream.incremental else TURN
            if not stream.write(turn):
                if http2.outgoing <= 0 and stream.paused_writing:
                    self._note(stream)
                    break  # nobody has a window; who comes next keeps its place
                turns.discard(number)
                self._note(stream)
            self._gathered += turn
            if self._gathered >= GATHERED:
                self.flush()

    def _note(self, stream: Stream) -> None:
        """Look at a stream again when it is due."""
        self.deadline = min(self.deadline, stream.next_due)

    # The end.

    def _end(self) -> None:
        """The last GOAWAY is written: the connection has broken, or its last stream has ended after it."""
        if self._closing:
            return
        over = self.http2.over
        if over is not None and over.flood:
            self._server.flooded(over.flood)
        self.close(linger=not self.http2.left or over is not None)
        self._abandon()

    def _abandon(self) -> None:
        gone = EdgeError(Kind.CLIENT_GONE, "client")
        for stream in list(self._streams.values()):
            stream.abandon(gone)

    # What the server's sweep asks.

    def expire(self, now: float) -> None:
        """The deadline has passed, of the connection or of one of its streams."""
        if self._closing:
            self.transport.abort()
            return
        if self._write_due <= now:
            if not self._takes(now):
                self.transport.abort()
                return
            self._write_due = now + self.limits.write_timeout
        if self._head_due <= now:
            self.http2.go_away(frames.ENHANCE_YOUR_CALM, b"a head that does not end")
            self.flush()
            self._end()
            return
        due = min(self._write_due, self._head_due)
        for stream in list(self._streams.values()):
            due = min(due, stream.expire(now))
        self.pump()
        self.flush()
        if self._streams or self._working:
            self.deadline = min(due, now + self._idle_timeout)
        elif now - self.idle_since >= self._idle_timeout:
            self.http2.go_away()
            self.flush()
        else:
            self.deadline = min(due, self.idle_since + self._idle_timeout)

    @property
    def waits(self) -> bool:
        return not (self._streams or self._working or self.http2.in_block)

    def retire(self, now: float, grace: float) -> None:
        """The server drains: the client is told to send no more, then what it sent until it heard of it is answered."""
        if self._closing:
            return
        if self._leave_due == _NEVER:
            self._leave_due = now + max(grace, 1.0)
            self.http2.shut()
        elif self._leave_due <= now:
            self.http2.go_away()
            self._leave_due = now + self._idle_timeout
        self.flush()

    def evict(self) -> None:
        """Make room for others at once. A client that takes what is written hears of it."""
        if self.transport.get_write_buffer_size():
            self.abort()
        else:
            self.http2.go_away()
            self.flush()

    def __repr__(self) -> str:
        state = "closing" if self._closing else "busy" if self._streams else "idle"
        return f"<Http2Connection {self._peer and self._peer.address} {state}, {len(self._streams)} streams>"
