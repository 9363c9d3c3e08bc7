"""One request over HTTP/3 and its answer: the Writer its exchange answers on, and the Sink its body goes to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe, Tunnel
from edgeproxy.http.framing import wants_tunnel
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.http3 import codes
from edgeproxy.listener import priority
from edgeproxy.listener.answer_body import write_body
from edgeproxy.listener.answer_head import has_body
from edgeproxy.listener.client_body import ClientBody, is_limited
from edgeproxy.listener.http3 import heads
from edgeproxy.listener.tunnel import carry
from edgeproxy.pipeline.exchange import Exchange

if TYPE_CHECKING:
    from edgeproxy.listener.http3.connection import Http3Connection

AHEAD: Final = 64 * 1024  # bytes of an answer that lie ready beyond what was sent
ENOUGH: Final = 32 * 1024  # with as many, no more are put there
SMALL: Final = 16 * 1024  # a body that is sent and forgotten: the client may leave it lying
NEVER: Final = float("inf")


class Stream:
    """``number`` is QUIC's. ``deadline``: when its client has been waited for long enough, in monotonic seconds."""

    __slots__ = (
        "_at",
        "_begun",
        "_connection",
        "_due",
        "_ended",
        "_mark",
        "_owed",
        "_rest",
        "_size",
        "_task",
        "_tunnel",
        "_waiter",
        "body",
        "deadline",
        "level",
        "moved",
        "number",
        "turn",
        "urgency",
        "x",
    )

    def __init__(self, connection: Http3Connection, number: int) -> None:
        self._connection = connection
        self.number = number
        self.x: Exchange | None = None
        self.body: Pipe | None = None  # the request's, while it comes
        self._tunnel: Pipe | None = None  # what comes on a stream that asks to carry another protocol
        self.deadline = NEVER
        self.urgency, _ = priority.DEFAULT
        self.turn = 0  # when it was its turn to write, in turns of its connection
        self.level = 0  # bytes that lay ready when that was looked at last
        self.moved = 0.0  # when some of them had gone
        self._size = 0  # of the request's body so far
        self._mark = 0  # its size when the period began in which it is measured
        self._due = NEVER  # when that ends; never where it is not measured
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._rest = b""  # of an answer's body that is all here
        self._at = 0  # what of it was handed over
        self._owed = 0
        self._begun = False  # the final answer's head is out
        self._ended = False  # nothing more will be written

    # The request.

    def expect_body(self, x: Exchange, *, wanted: bool) -> None:
        """The request of ``x`` has a body; ``wanted``: its client waits to be told to send it."""
        request, connection = x.request, self._connection
        if wants_tunnel(request.headers):
            self._tunnel = self.body = Pipe(pause=connection.hold, resume=connection.unhold)
            return
        go_on = partial(self.interim, x, 100, {}) if wanted else None
        request.body = self.body = ClientBody(request.length, connection, go_on)
        if is_limited(request):
            self.deadline = self._due = connection.now() + connection.limits.body_timeout

    def receive(self, data: bytes, *, ended: bool) -> None:
        """A piece of the body; ``ended``: its last."""
        body = self.body
        if body is None:
            return
        if body is self._tunnel:
            body.feed(data)
            if ended:
                self.end_body()
            return
        self._size += len(data)
        if body.length is not None and self._size > body.length:
            self._break_rule()
        elif self._due != NEVER and (fault := self._measure()) is not None:
            self.refuse(EdgeError(fault, "client"))
        else:
            if data:
                body.feed(data)
            if ended:
                self.end_body()

    def end_body(self, trailers: Headers | None = None) -> None:
        """The body is all here."""
        body = self.body
        if body is not None and body.length is not None and self._size != body.length:
            self._break_rule()
            return
        self.body = None
        self.deadline = NEVER
        if body is not None:
            body.finish(trailers)

    def _break_rule(self) -> None:
        """The body is not as long as was said (RFC 9114 §4.1.2)."""
        self.break_off(codes.MESSAGE_ERROR, EdgeError(Kind.BAD_REQUEST, "client", "a body of another length"))

    def _measure(self) -> Kind | None:
        """What is wrong with a body that is too large or too slow."""
        limits, now = self._connection.limits, self._connection.now()
        self.deadline = now + limits.body_timeout
        if self._size > limits.body_size:
            return Kind.BODY_TOO_LARGE
        if now < self._due:
            return None
        enough = self._size - self._mark >= limits.body_rate * limits.body_timeout
        self._mark, self._due = self._size, self.deadline
        return None if enough else Kind.REQUEST_TIMEOUT

    def excuse(self, now: float) -> None:
        """What was not taken from the client meanwhile did not come slowly."""
        if self.body is not None and self._due != NEVER:
            self._mark, self.deadline = self._size, now + self._connection.limits.body_timeout
            self._due = self.deadline

    # The answer.

    def send(self, x: Exchange, response: Response) -> None:
        """Write a whole answer; a large body as its client takes it."""
        body = cast("bytes", response.body)
        head = heads.whole(x.request, response, body, self._connection.wall)
        if not has_body(x.request, response.status):
            body = b""
        x.sent = len(body)
        self._begun = True
        if len(body) <= SMALL:
            self._end(heads.answer(head, body) if body else head)
            self._over(x)
        else:
            self._write(heads.beginning(head, len(body)))
            self._rest = body
            self._prioritise(x)
            self._over(x, lingers=True)

    def interim(self, x: Exchange, status: int, fields: Headers) -> None:
        """Write a 1xx answer, unless the final one has begun."""
        if self.x is x and x.response is None and not self._begun and not self._ended:
            self._write(heads.interim(status, fields))

    async def stream(self, x: Exchange, response: Response) -> None:
        """Write an answer whose body comes bit by bit. Raises EdgeError if either side broke off."""
        body = cast("Body", response.body)
        if isinstance(body, Tunnel) and response.status == 101:
            await self._carry(x, response, body)
            return
        if not has_body(x.request, response.status):
            body.close()
            response.body = b""
            self.send(x, response)
            return
        length = None if response.filters else body.length
        self._begun = True
        self._prioritise(x)
        try:
            self._write(heads.streamed(response, length, self._connection.wall))
            await write_body(self, x, response, body, chunked=False)
            self._end(heads.trailers(body.trailers) if body.trailers else b"")
        except EdgeError as error:
            # The head is out: only a broken stream tells the client that the body is not whole. What came too late is
            # cancelled, as gRPC wants it of a deadline that has passed.
            self._break(codes.REQUEST_CANCELLED if error.kind is Kind.RESPONSE_TIMEOUT else codes.INTERNAL_ERROR)
            raise
        finally:
            body.close()
        self._over(x, lingers=True)

    async def _carry(self, x: Exchange, response: Response, tunnel: Tunnel) -> None:
        """Both ways at once until one side ends (RFC 9220)."""
        x.upgraded = self._begun = True
        self.deadline = NEVER
        inward = self.body
        try:
            self._write(heads.switching(response))
            if inward is not None:
                await carry(self, x, inward, tunnel)
            self._end(b"")
        finally:
            tunnel.close()
            self._over(x)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._connection.spawn(work)

    # The body's way out.

    @property
    def paused_writing(self) -> bool:
        return self._ended or self._connection.unsent(self.number) > AHEAD

    @property
    def has_more(self) -> bool:
        """More is to be written than QUIC has been given."""
        return bool(self._rest) or self._waiter is not None

    def put(self, data: bytes) -> None:
        self._write(heads.frame(codes.DATA, data))

    async def drain(self) -> None:
        """Wait until the client has taken enough to go on. Raises EdgeError if it left."""
        if not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            self._wait()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self.deadline = NEVER
        if self._ended:
            raise EdgeError(Kind.CLIENT_GONE, "client")

    def _wait(self) -> None:
        """Be told when the client has taken more, and give up on one that takes nothing."""
        connection = self._connection
        now = connection.now()
        self.level = connection.unsent(self.number)
        self.moved, self.deadline = now, now + connection.limits.write_timeout
        self._owed = self.level + len(self._rest) - self._at
        connection.wait(self)

    def feed(self, room: int) -> bool:
        """There is room for so many bytes more; whether more are to come."""
        waiter = self._waiter
        if waiter is not None:
            if not waiter.done():
                waiter.set_result(None)
            return False
        if self._rest:
            piece = self._rest[self._at : self._at + room]
            self._at += len(piece)
            self.level += len(piece)
            if self._at < len(self._rest):
                self._write(piece)
                return True
            self._rest = b""
            self._end(piece)
            return True  # until the client has it
        if self.level:
            return True
        if self.x is None:
            self.deadline = NEVER
            self._connection.answered(self)
        return False

    def _prioritise(self, x: Exchange) -> None:
        told = self._connection.priority(self.number) or x.request.headers.get(b"priority")
        self.urgency, _ = priority.parse(told)

    def prioritise(self, value: bytes) -> None:
        """Take another urgency, as a PRIORITY_UPDATE tells it."""
        self.urgency, _ = priority.parse(value)

    def _write(self, data: bytes) -> None:
        if self._ended or not self._connection.enqueue(self.number, data, ended=False):
            self._ended = True

    def _end(self, data: bytes) -> None:
        if not self._ended:
            self._ended = True
            self._connection.enqueue(self.number, data, ended=True)

    def _break(self, code: int) -> None:
        self._ended = True
        self._connection.reset(self.number, code)

    # The end.

    def _over(self, x: Exchange, *, lingers: bool = False) -> None:
        """``x`` has been answered; ``lingers``: with more than may be left lying until the client takes it."""
        self.x = None
        self._task = None
        x.ended = self._connection.now()
        body, self.body = self.body, None
        if x.request.body is not None:
            x.request.body.close()
        if body is not None and not body.done:
            self._connection.stop(self.number)  # nobody reads the rest (RFC 9114 §4.1)
        if lingers:
            self._wait()
        else:
            self.deadline = NEVER
            self._connection.answered(self)

    def refuse(self, error: EdgeError) -> None:
        """The request cannot be taken to its end: the error is the answer, unless there is one already."""
        body, self.body = self.body, None
        self.deadline = NEVER
        self._connection.stop(self.number)
        if body is not None:
            body.fail(error)
        if self.x is None:
            self._connection.refuse(self, error)

    def break_off(self, code: int, error: EdgeError) -> None:
        """End both ways with ``code``, and whatever goes on for it."""
        self._break(code)
        self._connection.stop(self.number)
        self.leave(error)

    def leave(self, error: EdgeError) -> None:
        """The client has left, or was left: there is nobody to answer."""
        self._ended = True
        self._rest = b""
        self.deadline = NEVER
        body, self.body = self.body, None
        if body is not None:
            body.fail(error)
            body.close()  # a hold on the connection ends with it
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._task is not None:
            # Its first turn comes before that: a task cancelled earlier would not run at all, nor end its exchange.
            self._connection.call_soon(self._task.cancel)
        self._connection.answered(self)

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        limits = self._connection.limits
        gone = EdgeError(Kind.CLIENT_GONE, "client")
        if self._rest or self._waiter is not None or (self.x is None and self.level):
            owed = self._connection.unsent(self.number) + len(self._rest) - self._at
            taken, self._owed = self._owed - owed, owed
            self.deadline = now + limits.write_timeout
            if taken < max(1, limits.write_rate * limits.write_timeout):
                self.break_off(codes.REQUEST_CANCELLED, gone)
        elif self.body is not None and self._due != NEVER:
            self.refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        else:
            self.deadline = NEVER

    def __repr__(self) -> str:
        return f"<Stream {self.number}{' ended' if self._ended else ''}>"
