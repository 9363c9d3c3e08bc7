"""One exchange with an origin that speaks HTTP/2: a stream, with its time-outs, both ways at once.

An answer that has arrived whole is delivered whole, in one wake-up; any other streams through a Pipe that holds the
stream back, and no other stream: what nobody reads opens no window (RFC 9113 §5.2).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING, Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.grpc import is_grpc
from edgeproxy.http.headers import Headers
from edgeproxy.http.media import is_event_stream
from edgeproxy.http.message import Response
from edgeproxy.http2 import frames
from edgeproxy.http2.errors import Refused
from edgeproxy.origin import http2_head
from edgeproxy.origin.client import CLOSE_TIME
from edgeproxy.origin.deadline import NEVER, Deadline
from edgeproxy.origin.http2_answer import Answer, Pairs
from edgeproxy.origin.tunnel import OriginTunnel
from edgeproxy.origin.upload import Upload
from edgeproxy.origin.way import Owner, Waiter
from edgeproxy.origin.wire import Call

if TYPE_CHECKING:
    from edgeproxy.origin.http2 import Carrier

_ACCEPTS: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Stream:
    """The way of one request (way.Way) on a ``carrier``. ``id`` is 0 before it is sent."""

    __slots__ = (
        "_answer",
        "_busy",
        "_call",
        "_far_ended",
        "_first_byte",
        "_held",
        "_last",
        "_open",
        "_owed",
        "_owner",
        "_silence",
        "_timeouts",
        "_trailers_due",
        "_tunnel",
        "_unsent",
        "_upload",
        "_waiter",
        "answered",
        "carrier",
        "deadline",
        "id",
        "refused",
        "reusable",
        "reused",
        "until",
        "writable",
    )

    def __init__(self, carrier: Carrier, owner: Owner) -> None:
        self.carrier = carrier
        self.id = 0
        self.until = NEVER
        self.deadline = Deadline(carrier.loop, self._expired)
        self.writable = asyncio.Event()
        self.writable.set()
        self.answered = self.refused = self.reusable = False
        self.reused = carrier.used
        self._owner = owner
        self._timeouts = owner.timeouts
        self._silence = owner.timeouts.between_bytes
        self._first_byte = owner.timeouts.first_byte
        self._call: Call | None = None
        self._waiter: Waiter | None = None
        self._upload: Upload | None = None
        self._tunnel: OriginTunnel | None = None
        self._busy = False
        self._open = True  # neither side has broken it off
        # What is sent.
        self._unsent = b""
        self._last = False  # nothing follows ``_unsent``, but for trailers
        self._trailers_due: Headers | None = None
        # What comes.
        self._answer: Answer | None = None  # there from when it is sent
        self._owed = 0  # bytes of windows that are to be given back
        self._held = self._far_ended = False

    # What the pool does.

    def send(self, call: Call, head: bytes, first_byte: float | None = None) -> asyncio.Future[Response]:
        answer: asyncio.Future[Response] = self.carrier.loop.create_future()
        self.begin(call, head, answer, first_byte)
        return answer

    def begin(self, call: Call, head: bytes, waiter: Waiter, first_byte: float | None = None) -> None:
        """Begin the stream; what is refused here is refused like any (RFC 9113 §8.7)."""
        if first_byte is not None:
            self._first_byte = first_byte
        self._call = call
        self._answer = Answer(call)
        self._busy = True
        self.until = call.until
        self._waiter = waiter
        whole = call.body is None and not call.tunnel
        if call.tunnel and not self.carrier.tunnels:
            self._end(EdgeError(Kind.NOT_IMPLEMENTED, "edge", "the origin takes no WebSocket over HTTP/2"), 0)
            return
        try:
            self.id = self.carrier.begin(self, head, end=whole and not (call.content or call.trailers))
        except Refused:
            self.refuse("it takes no more streams")
            return
        if call.body is not None:
            self._upload = Upload(self, call.body, call)
        else:
            if call.content:
                self.put(call.content)
            if whole and (call.content or call.trailers):
                self.put_last(call.trailers)
            self.sent()
        self.carrier.flush()

    def give_up(self, answer: asyncio.Future[Response]) -> None:
        if answer is self._waiter:
            self.abort()
        elif not answer.cancelled() and answer.exception() is None:
            body = answer.result().body
            if not isinstance(body, bytes):
                body.close()

    def rest(self, seconds: float) -> None:
        self.abort()

    def abort(self) -> None:
        self._end(None, 0)

    def close(self) -> None:
        """A tunnel's end: what was put is still sent, and the origin may end its side, for a while."""
        if not self._busy or self._tunnel is None:
            self._end(None, 0)
            return
        self.put_last(None)
        if self._far_ended:
            self._end(None, 101)
        else:
            self.deadline.set(self.carrier.loop.time() + CLOSE_TIME)

    @property
    def closing(self) -> bool:
        return not self._open or self.carrier.closing

    @property
    def transport(self) -> asyncio.Transport:
        return self.carrier.transport

    # What uploads and tunnels do.

    def put(self, data: bytes) -> None:
        if self._busy:
            self._unsent = self._unsent + data if self._unsent else data
            self.pump()
            self.carrier.flush()

    def put_last(self, trailers: Headers | None) -> None:
        if self._busy and not self._last:
            self._last = True
            self._trailers_due = trailers
            self.pump()
            self.carrier.flush()

    def pump(self) -> None:
        """Send what may be sent now; the carrier calls again when more may."""
        end = self._last and not self._trailers_due
        if self._unsent or end:
            passed = self.carrier.pass_on(self.id, self._unsent, end=end)
            self._unsent = self._unsent[passed:]
        if self._unsent:
            self.writable.clear()
            self.carrier.waits(self)
            return
        self.writable.set()
        if self._last and self._trailers_due:
            self.carrier.end_with(self.id, http2_head.trailers(self._trailers_due))
            self._trailers_due = None

    def sent(self) -> None:
        self._upload = None
        if self._busy and self._answer is not None and self._answer.head is None:
            self.deadline.set(self._within(self._first_byte))

    async def drain(self) -> None:
        self.deadline.set(self._within(self._timeouts.between_bytes))
        await self.writable.wait()
        self._settle_time()

    def hold(self) -> None:
        self._held = True
        self.deadline.set(self.until)

    def unhold(self) -> None:
        self._held = False
        if self._busy:
            self._settle_time()
            self._open_window()
            self.carrier.flush()

    def fail(self, error: EdgeError) -> None:
        self._end(error, 0)

    def refuse(self, detail: str) -> None:
        """The origin has not looked at it, and never will (RFC 9113 §8.7)."""
        self.refused = not self.answered
        self._open = False
        self._end(EdgeError(Kind.CONNECTION_LOST, "origin", detail), 0)

    # What comes from the origin. Raises EdgeError if it is no answer.

    def take_head(self, pairs: Pairs, *, ended: bool) -> None:
        """A head, perhaps of an interim answer."""
        self.answered = True
        answer = self._answer
        if answer is not None:
            answer.take_head(pairs, ended=ended)
            if answer.switched and answer.head is not None:
                self._switch(answer.head)

    def take_data(self, data: bytes, size: int, *, ended: bool) -> None:
        """A piece of the body, which took ``size`` of the windows."""
        self._owed += size
        answer, tunnel = self._answer, self._tunnel
        if tunnel is not None:
            if data:
                tunnel.received(data)
            if ended:
                self._end_tunnel(tunnel)
        elif answer is not None:
            answer.take_data(data)
            if ended:
                answer.finish()
        if not self._held:
            self._open_window()

    def take_trailers(self, pairs: Pairs) -> None:
        """What stands behind the body."""
        if self._tunnel is not None:
            self._end_tunnel(self._tunnel)
        elif self._answer is not None:
            self._answer.take_trailers(pairs)

    def settle(self) -> None:
        """All that came at once has been taken."""
        answer = self._answer
        if not self._busy or answer is None or answer.head is None or self._tunnel is not None:
            return
        if answer.whole:
            self._complete(answer, answer.head)
            return
        if answer.pipe is None:
            self._deliver_streamed(answer, answer.head)
        self._settle_time()

    def broken_off(self, code: int) -> None:
        """RST_STREAM."""
        self._open = False
        if self._tunnel is not None:
            self._end(None, 101)
        else:
            self._end(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin", f"reset: {frames.name_of(code)}"), 0)

    def lost(self, error: EdgeError | None) -> None:
        """The connection is gone, with an ``error`` or without a word."""
        self._open = False
        if self._tunnel is not None:
            self._end(None, 101)
        else:
            kind = Kind.RESPONSE_INCOMPLETE if self.answered else Kind.CONNECTION_LOST
            self._end(error or EdgeError(kind, "origin"), 0)

    # Inside.

    def _complete(self, answer: Answer, head: Headers) -> None:
        """The answer is whole."""
        waiter, pipe, trailers, chunks = self._waiter, answer.pipe, answer.trailers, answer.chunks
        if trailers and pipe is None:
            pipe = self._pipe(answer, None)
        self._end(None, answer.status)
        if pipe is not None:
            pipe.finish(trailers)
        if waiter is not None and not waiter.done():
            body = pipe or (chunks[0] if len(chunks) == 1 else b"".join(chunks))
            waiter.set_result(Response(answer.status, head, body))

    def _deliver_streamed(self, answer: Answer, head: Headers) -> None:
        waiter, self._waiter = self._waiter, None
        answer.pipe = self._pipe(answer, answer.length)
        answer.chunks = []
        if not self._rpc and (is_event_stream(head.get(b"content-type")) or is_grpc(head)):
            self._silence, self.until = self._timeouts.event_stream, NEVER
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(answer.status, head, answer.pipe))

    def _pipe(self, answer: Answer, length: int | None) -> Pipe:
        pipe = Pipe(length, pause=self.hold, resume=self.unhold, on_close=self.abort)
        for data in answer.chunks:
            pipe.feed(data)
        return pipe

    def _switch(self, head: Headers) -> None:
        """The origin takes the tunnel (RFC 8441 §5): what HTTP/1.1 says by a 101 and a digest of the key."""
        key = b"" if self._call is None else self._call.fields.get(b"sec-websocket-key", b"")
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPTS, usedforsecurity=False).digest())
        head |= {b"connection": b"upgrade", b"upgrade": b"websocket", b"sec-websocket-accept": accept}
        head.pop(b"content-length", None)
        self.deadline.cancel()
        self.until = NEVER
        self._tunnel = OriginTunnel(self)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(101, head, self._tunnel))

    def _end_tunnel(self, tunnel: OriginTunnel) -> None:
        """The origin has ended its side."""
        self._far_ended = True
        tunnel.ended()
        if self._last and not self._unsent:
            self._end(None, 101)

    def _end(self, error: EdgeError | None, status: int) -> None:
        """The exchange is over, once; what is not ended on both sides is broken off, and nothing else with it."""
        if not self._busy:
            self.carrier.over(self)
            return
        self._busy = False
        self.deadline.cancel()
        if self._upload is not None:
            self._upload.stop()
            self._upload = None
        waiter, pipe, tunnel = self._waiter, None if self._answer is None else self._answer.pipe, self._tunnel
        self._waiter = None
        self._open_window()  # what nobody will read is not to be missing from the connection's
        if self._open and self.id:
            faulty = error is not None and error.kind in {Kind.RESPONSE_INVALID, Kind.RESPONSE_TOO_LARGE}
            self.carrier.reset(self.id, frames.PROTOCOL_ERROR if faulty else frames.CANCEL)
        self._open = False
        self.carrier.over(self)
        self.writable.set()
        if tunnel is not None:
            tunnel.lost()
        self._owner.ended(self, error, status)
        if error is not None:
            if pipe is not None:
                pipe.fail(error)
            elif waiter is not None and not waiter.done():
                waiter.set_exception(error)

    def _open_window(self) -> None:
        owed, self._owed = self._owed, 0
        if owed:
            self.carrier.took(self.id, owed)

    def _settle_time(self) -> None:
        """How long the origin may be silent. Where there is an end anyway, it may wait for the client until then."""
        if self._tunnel is None and not self._held:
            waits = self._upload is not None and self.until != NEVER
            self.deadline.set(self.until if waits else self._within(self._silence))

    def _within(self, seconds: float) -> float:
        """When that has passed; a call with a deadline of its own has no other."""
        if self._rpc:
            return self.until
        return min(self.carrier.loop.time() + seconds, self.until)

    @property
    def _rpc(self) -> bool:
        """Whether it is a gRPC call with a deadline of its own."""
        return self._call is not None and self._call.rpc

    def _expired(self) -> None:
        if self._tunnel is not None:
            self._end(None, 101)
            return
        begun = self._answer is not None and self._answer.head is not None
        what = "no more of the answer" if begun else "no answer"
        if not self._rpc:  # a client may set itself a deadline that nobody could keep
            self.carrier.doubt()
        self.fail(EdgeError(Kind.RESPONSE_TIMEOUT, "edge" if self._rpc else "origin", f"{what} in time"))

    def __repr__(self) -> str:
        state = "tunnel" if self._tunnel else "busy" if self._busy else "new" if not self.id else "over"
        return f"<Stream {self.id} {state}>"
