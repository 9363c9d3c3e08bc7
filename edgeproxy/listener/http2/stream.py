"""One stream of an HTTP/2 connection: the Writer its exchange answers on, and the body that comes in on it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http import pseudo
from edgeproxy.http.body import Body, Tunnel
from edgeproxy.http.framing import expects_continue
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import UNKNOWN_LENGTH, Request, Response
from edgeproxy.http2 import frames
from edgeproxy.http2.events import Data, FieldList
from edgeproxy.listener import priority
from edgeproxy.listener.answer_body import write_body
from edgeproxy.listener.answer_head import has_body
from edgeproxy.listener.client_body import StreamBody, is_limited
from edgeproxy.listener.http2 import heads
from edgeproxy.listener.tunnel import carry
from edgeproxy.pipeline.exchange import Exchange

if TYPE_CHECKING:
    from edgeproxy.listener.http2.connection import Http2Connection

_NEVER: Final = float("inf")


class Stream:
    """A request and its answer. A hit is answered before the connection has so much as noted the stream down; one that
    goes on is kept by it until nothing more is to come of it: no body, no answer, no task.

    ``due``: when something must have moved on it, monotonic seconds. ``urgency`` and ``incremental``: RFC 9218 §4.
    """

    __slots__ = (
        "_at",
        "_body",
        "_body_due",
        "_body_mark",
        "_connection",
        "_ending",
        "_gone",
        "_length",
        "_queue",
        "_received",
        "_sent",
        "_starved",
        "_tail",
        "_task",
        "_waiter",
        "_went",
        "_write_due",
        "due",
        "incremental",
        "number",
        "urgency",
    )

    def __init__(self, connection: Http2Connection, number: int) -> None:
        self._connection = connection
        self.number = number
        self.urgency, self.incremental = priority.DEFAULT
        self.due = _NEVER  # more of the body must have come
        self._write_due = _NEVER  # more of the answer must have gone
        self._task: asyncio.Task[None] | None = None
        self._body: StreamBody | None = None
        self._length = UNKNOWN_LENGTH
        self._received = 0
        self._body_mark = 0  # what of it had come when the period began in which it is measured
        self._body_due = _NEVER  # when that ends
        self._starved = False  # in it there was a time when nothing more could be sent
        self._sent = 0  # bytes that went in a period in which that is measured
        self._went = 0  # bytes that had gone on the whole connection when it began
        self._queue: list[bytes] = []  # what is to be written
        self._at = 0  # of its first piece: what was
        self._ending = False  # behind the queue comes the end
        self._tail = b""  # the trailers, as a block
        self._gone = False
        self._waiter: asyncio.Future[None] | None = None

    # The way in.

    def expect(self, request: Request) -> None:
        """A body follows, or, where a WebSocket is asked for, what it carries. Raises EdgeError."""
        limits = self._connection.limits
        tunnel = b"upgrade" in request.headers
        if request.length > limits.body_size:
            raise EdgeError(Kind.BODY_TOO_LARGE, "client")
        wanted = None if tunnel or not expects_continue(request) else self._go_on
        self._body = StreamBody(UNKNOWN_LENGTH if tunnel else request.length, self._taken, wanted)
        if not tunnel:
            self._length = request.length
            request.body = self._body
            if is_limited(request):
                self.due = self._body_due = self._connection.now() + limits.body_timeout
        self._connection.keep(self)

    def _go_on(self) -> None:
        self._connection.http2.fields(self.number, heads.interim(100, {}), end=False)
        self._connection.flush()

    def _taken(self, size: int) -> None:
        self._connection.http2.took(self.number, size)
        self._connection.flush()

    def receive(self, event: Data) -> None:
        """A piece of the body. What nobody reads is thrown away, and its room given back."""
        connection, body = self._connection, self._body
        size = len(event.data)
        self._received += size
        if body is None or body.closed or body.done:
            connection.http2.took(self.number, event.size)
        else:
            if event.size != size:
                connection.http2.took(self.number, event.size - size)
            if size:
                body.feed(event.data)
        if self._received > self._length != UNKNOWN_LENGTH:
            self.break_off(frames.PROTOCOL_ERROR)  # RFC 9113 §8.1.1
        elif event.ended:
            self.finish(None)
        elif body is not None and self.due != _NEVER:
            self._measure(body)

    def _measure(self, body: StreamBody) -> None:
        """Refuse the rest of a body that is too large or too slow."""
        connection, limits = self._connection, self._connection.limits
        now = connection.now()
        self.due = now + limits.body_timeout
        self._starved = self._starved or connection.http2.inflow(self.number) <= 0
        if self._received > limits.body_size:
            self._give_up(body, Kind.BODY_TOO_LARGE)
        elif now >= self._body_due:
            if not self._starved and self._received - self._body_mark < limits.body_rate * limits.body_timeout:
                self._give_up(body, Kind.REQUEST_TIMEOUT)
            self._starved = False
            self._body_mark, self._body_due = self._received, self.due

    def _give_up(self, body: StreamBody, kind: Kind) -> None:
        """Take no more of the body; the exchange's answer says why."""
        self.due = _NEVER
        body.fail(EdgeError(kind, "client"))

    def finish(self, trailers: FieldList | None) -> None:
        """The body is over."""
        try:
            fields = pseudo.trailers(trailers) if trailers else None
        except pseudo.Malformed:
            self.break_off(frames.PROTOCOL_ERROR)
            return
        if self._length not in (UNKNOWN_LENGTH, self._received):
            self.break_off(frames.PROTOCOL_ERROR)
            return
        self.due = _NEVER
        if self._body is not None:
            self._body.finish(fields)
        self._settle()

    # The way out: what runner.Writer asks.

    def send(self, x: Exchange, response: Response) -> None:
        """Write a whole answer: in one piece if the client has room for it, else by turns."""
        body = cast("bytes", response.body)
        connection = self._connection
        http2 = connection.http2
        block = heads.whole(x.request, response, body, connection.wall) + connection.alt_svc(x.request.host)
        if not has_body(x.request, response.status):
            body = b""
        x.sent = size = len(body)
        if not size:
            http2.fields(self.number, block, end=True)
        elif connection.paused_writing or not http2.answer(self.number, block, body):
            http2.fields(self.number, block, end=False)
            self._queue.append(body)
            self._ending = True
        self._answered(x)
        connection.wrote(size)

    def interim(self, x: Exchange, status: int, fields: Headers) -> None:
        if x.response is None and not self._gone:
            self._connection.http2.fields(self.number, heads.interim(status, fields), end=False)
            self._connection.flush()

    async def stream(self, x: Exchange, response: Response) -> None:
        """Write an answer as its body comes; raises EdgeError if either side broke off, and resets the stream."""
        body = cast("Body", response.body)
        connection = self._connection
        if isinstance(body, Tunnel) and response.status == 101:
            await self._carry(x, response, body)
            return
        if not has_body(x.request, response.status):
            body.close()
            response.body = b""
            self.send(x, response)
            return
        length = None if response.filters else body.length
        block = heads.streamed(response, length, connection.wall) + connection.alt_svc(x.request.host)
        connection.http2.fields(self.number, block, end=False)
        connection.flush()
        try:
            await write_body(self, x, response, body, chunked=False)
        except EdgeError as error:
            # The head is out: only a broken stream tells the client that the body is not whole. What came too late is
            # cancelled, as gRPC wants it of a deadline that has passed.
            self.break_off(frames.CANCEL if error.kind is Kind.RESPONSE_TIMEOUT else frames.INTERNAL_ERROR)
            raise
        finally:
            body.close()
        self._tail = heads.trailers(body.trailers)
        self._ending = True
        self._answered(x)

    async def _carry(self, x: Exchange, response: Response, tunnel: Tunnel) -> None:
        """Both ways at once until one side ends (RFC 8441 §5)."""
        x.upgraded = True
        self.due = _NEVER
        connection = self._connection
        connection.http2.fields(self.number, heads.streamed(response, None, connection.wall), end=False)
        connection.flush()
        inward = self._body
        if inward is None:  # who asks for a tunnel and ends it has nothing to say
            inward = StreamBody(0, self._taken)
            inward.finish()
        try:
            await carry(self, x, inward, tunnel)
        finally:
            self._ending = True
            self._answered(x)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._connection.keep(self)
        self._task = self._connection.work(work)
        self._task.add_done_callback(self._worked)

    def _worked(self, _: asyncio.Task[None]) -> None:
        self._task = None
        self._connection.worked()
        self._settle()

    # A sink.

    @property
    def paused_writing(self) -> bool:
        """Something waits to be written."""
        return len(self._queue) > 0

    def put(self, data: bytes) -> None:
        self._queue.append(data)

    async def drain(self) -> None:
        """Wait until what was put has been written. Raises EdgeError if the client left."""
        connection = self._connection
        connection.wants(self)
        connection.flush()
        if self._queue and not self._gone:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._gone:
            raise EdgeError(Kind.CLIENT_GONE, "client")

    def _answered(self, x: Exchange) -> None:
        """All of the answer is here."""
        connection = self._connection
        x.ended = connection.touch()
        body = x.request.body
        if body is not None:
            body.close()
        if self._gone:
            self._ending = False
            self._queue.clear()
        if self._ending:
            connection.keep(self)
            connection.wants(self)
            connection.flush()
        else:
            self._settle()

    def write(self, most: int) -> bool:
        """Have up to ``most`` bytes of what waits written; whether more could be written at once."""
        http2, queue = self._connection.http2, self._queue
        sent = 0
        while queue and sent < most:
            piece = queue[0]
            end = self._ending and len(queue) == 1 and not self._tail
            went = http2.data(self.number, piece, end=end, start=self._at, most=most - sent)
            sent += went
            self._at += went
            if self._at < len(piece):
                break
            self._at = 0
            queue.pop(0)
            if end:
                self._ending = False
        self._sent += sent
        self._connection.went += sent
        if queue:
            if self._write_due == _NEVER:
                self._measure_anew(self._connection.now())
            return sent > 0
        self._write_due = _NEVER
        if self._ending:
            self._ending = False
            if self._tail:
                http2.fields(self.number, self._tail, end=True)
            else:
                http2.data(self.number, b"", end=True)
        self._wake()
        self._settle()
        return False

    # The end.

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _settle(self) -> None:
        """Leave the connection once nothing more is to come. A body that is still being sent after its answer is told
        to stop (RFC 9113 §8.1)."""
        if self._task is None and not self._queue and not self._ending:
            self._connection.http2.reset(self.number, frames.NO_ERROR)
            if self._body is not None:
                self._body.let_go()
            self._connection.drop(self)

    def break_off(self, code: int) -> None:
        """Reset the stream."""
        self._connection.http2.reset(self.number, code)
        self.abandon(EdgeError(Kind.CLIENT_GONE, "client"))
        self._connection.flush()

    def abandon(self, error: EdgeError) -> None:
        """The stream is over: nobody hears an answer."""
        if self._gone:
            return
        self._gone = True
        self._ending = False
        self._queue.clear()
        self.due = self._write_due = _NEVER
        if self._body is not None:
            self._body.fail(error)
            self._body.let_go()
        self._wake()
        if self._task is not None:
            # Its first turn comes before that: a task cancelled earlier would not run at all, nor end its exchange.
            self._connection.call_soon(self._task.cancel)
        self._settle()

    def expire(self, now: float) -> float:
        """Do what has to be done at ``now``; when to look again."""
        connection, limits = self._connection, self._connection.limits
        if self.due <= now:
            if connection.http2.inflow(self.number) > 0:
                if self._body is not None:
                    self._give_up(self._body, Kind.REQUEST_TIMEOUT)
                self.due = _NEVER
            else:
                self.due = now + limits.body_timeout  # it is not the client that makes us wait
        if self._write_due <= now:
            if self._stalls() and not connection.paused_writing:
                connection.http2.stalled(self.number)
                self.abandon(EdgeError(Kind.CLIENT_GONE, "client"))
            else:
                self._measure_anew(now)
        return self.next_due

    def _stalls(self) -> bool:
        """Whether the client took too little: of this answer, while its window was shut, or of all."""
        connection, limits = self._connection, self._connection.limits
        enough = max(1, limits.write_rate * limits.write_timeout)
        if self._sent >= enough:
            return False
        own = connection.http2.streams.get(self.number)
        return own is None or own.outgoing <= 0 or connection.went - self._went < enough

    def _measure_anew(self, now: float) -> None:
        self._sent = 0
        self._went = self._connection.went
        self._write_due = now + self._connection.limits.write_timeout

    @property
    def next_due(self) -> float:
        """When to look at it again."""
        return min(self.due, self._write_due)

    def __repr__(self) -> str:
        state = "gone" if self._gone else "working" if self._task else "ending" if self._ending else "open"
        return f"<Stream {self.number} {state}, {sum(map(len, self._queue))} B to go>"
