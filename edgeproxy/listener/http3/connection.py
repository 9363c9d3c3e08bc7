"""HTTP/3 from clients (RFC 9114): one QUIC connection, each of its requests a stream.

A request whose chain answers at once is answered while the datagram that brought it is read; any other runs in a task
of its own. What all of them write leaves in as few datagrams, and these in as few system calls, as it fits in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.framing import expects_continue
from edgeproxy.http.message import Request
from edgeproxy.http.pseudo import Malformed, request, trailers
from edgeproxy.http2.events import Event, FieldList, Fields, Priority, Trailers
from edgeproxy.http2.floods import BROKEN, HEADS, RESET
from edgeproxy.http3 import codes, varint
from edgeproxy.http3.codes import ProtocolError
from edgeproxy.http3.connection import Connection
from edgeproxy.http3.events import Broken, Data, TooLarge
from edgeproxy.http3.qpack import LINE
from edgeproxy.listener.http3 import heads
from edgeproxy.listener.http3.client import QuicClient
from edgeproxy.listener.http3.stream import Stream
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import refuse, serve

if TYPE_CHECKING:
    from edgeproxy.listener.http3.datagrams import QuicListener
    from edgeproxy.quic.connection import ServerConnection
    from edgeproxy.quic.tokens import Address

CONTROL: Final = 3  # the one stream that we open

PSEUDO_FIELDS: Final = 5  # that HTTP/1.1 has no lines for
PRIORITIES_KEPT: Final = 128  # of streams whose request has not come
EARLY: Final[frozenset[bytes]] = frozenset((b"GET", b"HEAD"))


class Http3Connection(QuicClient):
    """One client's requests."""

    def __init__(self, listener: QuicListener, quic: ServerConnection, address: Address) -> None:
        super().__init__(listener, quic, address)
        limits = self._limits
        self._most = limits.head_size + LINE * (limits.header_count + PSEUDO_FIELDS)
        self._http = Connection(self._most, limits.head_size, self._clock)
        self._streams: dict[int, Stream] = {}
        self._heads: dict[int, float] = {}  # streams whose head is not whole, and by when it has to be
        self._priorities: dict[int, bytes] = {}
        self._leaving = -1  # the first stream that is not taken any more
        self.wall = self._wall
        self.limits = limits
        self.call_soon = self._server.call_soon
        self.spawn = self._server.spawn
        self._introduce()

    def _introduce(self) -> None:
        """Open our control stream with our settings (RFC 9114 §7.2.4.2). QPACK's are 0 where they are not told, and
        without a table it needs no streams of ours (RFC 9204 §4.2)."""
        settings = (codes.MAX_FIELD_SECTION_SIZE, self._most, codes.ENABLE_CONNECT_PROTOCOL, 1)
        told = b"".join([varint.encode(number) for number in settings])
        self._quic.send_stream_data(CONTROL, b"%c%b" % (codes.CONTROL, heads.frame(codes.SETTINGS, told)))

    # What comes.

    def _receive(self, number: int, data: bytes, ended: bool) -> None:
        events = self._http.receive(number, data, ended)
        if events:
            if self._heads:
                for event in events:
                    self._heads.pop(event.stream, None)
            for event in events:
                self._take(event)
        elif number not in self._heads and self._http.is_half_a_head(number):
            self._heads[number] = due = self._clock() + self.limits.head_timeout
            self.deadline = min(self.deadline, due)

    def _take(self, event: Event) -> None:
        number = event.stream
        if isinstance(event, Fields):
            self._begin(number, event.fields, event.ended)
            return
        stream = self._streams.get(number)
        if isinstance(event, Data):
            if stream is not None:
                stream.receive(event.data, ended=event.ended)
                self.deadline = min(self.deadline, stream.deadline)
        elif isinstance(event, Trailers):
            if stream is not None:
                self._end_body(stream, event.fields)
        elif isinstance(event, TooLarge):
            (stream or self._open(number)).refuse(EdgeError(Kind.HEAD_TOO_LARGE, "client"))
        elif isinstance(event, Broken):
            self.reset(number, event.code)
        elif isinstance(event, Priority):
            self._reprioritise(number, event.value)
        else:  # of a type nobody knows
            self.stop(number, codes.STREAM_CREATION_ERROR)

    # Requests.

    def _begin(self, number: int, fields: FieldList, ended: bool) -> None:
        self._passed += 1
        if 0 <= self._leaving <= number:
            self.stop(number, codes.REQUEST_REJECTED)
            self.reset(number, codes.REQUEST_REJECTED)
            return
        stream = self._open(number)
        try:
            if len(fields) > self.limits.header_count + PSEUDO_FIELDS:
                self._http.count(HEADS)
                raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
            asked = request(fields, b"3", b"https", ended=ended, websocket=True)
            wanted = expects_continue(asked) if b"expect" in asked.headers else False
            if not self._listener.serves(asked.host):  # its certificate may have been this host's too (RFC 9114 §3.3)
                raise EdgeError(Kind.MISDIRECTED, "client")
            if asked.length > self.limits.body_size:
                raise EdgeError(Kind.BODY_TOO_LARGE, "client")
            if not self._quic.established:
                self._take_early(asked, ended)
        except Malformed:
            self._http.count(BROKEN)
            stream.break_off(codes.MESSAGE_ERROR, EdgeError(Kind.BAD_REQUEST, "client"))
            return
        except EdgeError as error:
            stream.refuse(error)
            return
        x = stream.x = Exchange(asked, self._peer, self._clock())
        if not ended:
            stream.expect_body(x, wanted=wanted)
            self.deadline = min(self.deadline, stream.deadline)
        snapshot = self._server.snapshot
        x.route = snapshot.router.match(asked) or snapshot.unrouted
        serve(x, stream)

    def _take_early(self, asked: Request, ended: bool) -> None:
        """Early data may be an attacker's repetition: what changes something waits for the handshake (RFC 8470 §3)."""
        if asked.method not in EARLY or not ended:
            raise EdgeError(Kind.TOO_EARLY, "client")
        asked.headers[b"early-data"] = b"1"
        if self._peer.tls is None:
            self.describe()
        self._listener.count_early()

    def _open(self, number: int) -> Stream:
        stream = self._streams[number] = Stream(self, number)
        return stream

    def _end_body(self, stream: Stream, fields: FieldList) -> None:
        try:
            stream.end_body(trailers(fields))
        except Malformed:
            self._http.count(BROKEN)
            stream.break_off(codes.MESSAGE_ERROR, EdgeError(Kind.BAD_REQUEST, "client", "malformed trailers"))

    def refuse(self, stream: Stream, error: EdgeError) -> None:
        """Answer what is no request."""
        x = stream.x = Exchange(Request(b"-", b"-", {}, b"https", version=b"3"), self._peer, self._clock())
        x.route = self._server.snapshot.unrouted
        refuse(x, error, stream)

    def _reset(self, number: int) -> None:
        if not self._http.reset(number):
            return
        self._heads.pop(number, None)
        if not number & 3:
            self._http.count(RESET)
        stream = self._streams.get(number)
        if stream is not None:
            stream.leave(EdgeError(Kind.CLIENT_GONE, "client"))

    def _stop(self, number: int) -> None:
        """The client wants no answer."""
        if number == CONTROL:
            raise ProtocolError(codes.CLOSED_CRITICAL_STREAM, "a stream that has to stay is not wanted")
        stream = self._streams.get(number)
        if stream is not None:
            self._http.count(RESET)
            self._http.drop(number)
            stream.leave(EdgeError(Kind.CLIENT_GONE, "client"))

    def _reprioritise(self, number: int, value: bytes) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            stream.prioritise(value)
        elif number > self._http.control.last:
            if len(self._priorities) >= PRIORITIES_KEPT:
                self._priorities.clear()
            self._priorities[number] = value

    # What streams ask of it.

    def priority(self, number: int) -> bytes | None:
        """What a PRIORITY_UPDATE has said of a stream, which goes before its ``priority`` field (RFC 9218 §7)."""
        return self._priorities.pop(number, None) if self._priorities else None

    def stop(self, number: int, code: int = codes.NO_ERROR) -> None:
        self._http.drop(number)
        super().stop(number, code)

    def answered(self, stream: Stream) -> None:
        """Nothing is left of it to be done."""
        self._waiting.pop(stream.number, None)
        if self._streams.pop(stream.number, None) is not None and not self._streams:
            self.idle_since = now = self._clock()
            self.deadline = min([now + self._idle_timeout, *self._heads.values()])

    def _release(self) -> None:
        now = self._clock()
        for stream in self._streams.values():
            stream.excuse(now)
        super()._release()

    def _gone(self) -> None:
        super()._gone()
        gone = EdgeError(Kind.CLIENT_GONE, "client")
        for stream in list(self._streams.values()):
            stream.leave(gone)
        self._heads.clear()

    # What the server's sweep asks.

    def expire(self, now: float) -> None:
        for number, due in list(self._heads.items()):
            if due < now:
                del self._heads[number]
                self._open(number).refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        for stream in list(self._streams.values()):
            if stream.deadline < now and not (self._holds and stream.body is not None):
                stream.expire(now)
        dues = [*self._heads.values(), *[stream.deadline for stream in self._streams.values()]]
        if dues:
            self.deadline = max(now, min([now + self._idle_timeout, *dues]))
        elif self.idle_since + self._idle_timeout < now:
            self.leave()
        else:
            self.deadline = self.idle_since + self._idle_timeout

    @property
    def waits(self) -> bool:
        return not (self._streams or self._heads)

    def retire(self, now: float, grace: float) -> None:
        if self._leaving < 0:
            self._leaving = self._http.control.last + 4
            self.enqueue(CONTROL, heads.frame(codes.GOAWAY, varint.encode(self._leaving)), ended=False)
        super().retire(now, grace)
