"""HTTP/1.1 from clients (RFC 9112) on llhttp: one connection, its requests answered in order.

A request whose chain answers at once is answered inside :meth:`data_received`. Anything else runs in one task; requests
pipelined behind it wait in a bounded queue, and reading stops while they wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import httptools

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe, Tunnel
from edgeproxy.http.framing import frame, keep_trailers, wants_tunnel
from edgeproxy.http.headers import Headers, add, serialize
from edgeproxy.http.message import UNKNOWN_LENGTH, Request, Response
from edgeproxy.listener import heads
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.runner import ended, error_response, serve

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

WRITE_HIGH_WATER = 256 * 1024
UNREAD_LIMIT = 64 * 1024  # bytes of an unwanted request body that are read over to keep the connection
LINGER_LIMIT = 1024 * 1024  # bytes taken from a refused client before it is cut off
LINGER_TIME = 2.0
PIPELINE_LIMIT = 64

_UNCONNECTED: Any = None
_NOBODY = Peer("", 0, "", "", None)


class ClientBody(Pipe):
    """A request's body on its way in. Its first read tells a waiting client to send it (RFC 9110 §10.1.1)."""

    __slots__ = ("_on_wanted",)

    def __init__(self, length: int | None, connection: Http1Connection, *, expected: bool) -> None:
        super().__init__(length, pause=connection.hold, resume=connection.unhold)
        self._on_wanted = connection.send_continue if expected else None

    @property
    def awaited(self) -> bool:
        """The client waits to be told to send."""
        return self._on_wanted is not None

    async def read(self) -> bytes:
        wanted, self._on_wanted = self._on_wanted, None
        if wanted is not None and not self._size and not self._done:
            wanted()
        return await super().read()


class Http1Connection(asyncio.Protocol):
    """One client connection; also the Writer its exchanges answer on."""

    def __init__(self, server: Server, endpoint: Endpoint, peer: Peer | None = None) -> None:
        self._server = server
        self._endpoint = endpoint
        self._limits = server.limits
        self._clock = server.clock.monotonic
        self._told = peer
        self._peer = peer or _NOBODY
        self._transport: asyncio.Transport = _UNCONNECTED
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._fields: Headers = {}
        self._head_size = 0  # bytes of an unfinished head
        self._begun = 0  # requests whose head was complete
        self._body: ClientBody | None = None  # of the message being parsed
        self._body_size = 0
        self._unread = 0  # bytes of it that were thrown away
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None
        self._last: Exchange | None = None  # the exchange after which the connection closes
        self._deaf = False  # no request is taken any more; what comes in is thrown away
        self._closing = False  # nothing more will be written
        self._tail: bytes | None = None  # bytes behind a head that asked for an upgrade
        self._tunnel: Pipe | None = None
        self._holds = 0
        self._writable: asyncio.Future[None] | None = None
        self._paused_writing = False
        self.deadline = 0.0
        self.idle_since = 0.0

    # The socket's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast("asyncio.Transport", transport)
        stream.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._peer = self._endpoint.identify(transport, self._told)
        self.idle_since = self._clock()
        self.deadline = self.idle_since + self._limits.idle_timeout
        if not self._server.admit(self, self._peer.address):
            self._deaf = self._closing = True
            stream.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self, self._peer.address)
        gone = EdgeError(Kind.CLIENT_GONE, "client")
        self._deaf = self._closing = True
        self._queue.clear()
        if self._body is not None:
            self._body.fail(gone)
        if self._tunnel is not None:
            self._tunnel.fail(gone)
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._unread += len(data)
            if self._unread > LINGER_LIMIT:
                self._transport.abort()
        elif self._tunnel is not None:
            self._tunnel.feed(data)
        elif self._tail is not None:
            self._tail += data
            if len(self._tail) > UNREAD_LIMIT:
                self._transport.abort()
        else:
            self._parse(data)

    def eof_received(self) -> bool:
        """A client that half-closes has sent its last request, and may still wait for the answer."""
        if self._tunnel is not None:
            self._tunnel.finish()
            return True
        if self._body is not None:
            self._body.fail(EdgeError(Kind.CLIENT_GONE, "client"))
        self._last = self._queue[-1] if self._queue else self._current
        self._deaf = True
        return self._last is not None and self._body is None

    def pause_writing(self) -> None:
        self._paused_writing = True

    def resume_writing(self) -> None:
        self._paused_writing = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # The parser's side.

    def _parse(self, data: bytes) -> None:
        begun = self._begun
        self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade_asked(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, EdgeError):
                self._refuse(cause)
            elif not self._deaf:
                self._refuse(EdgeError(Kind.BAD_REQUEST, "client", str(error)))
        else:
            if self._begun != begun or self._body is not None:
                self._head_size = 0
            elif self._head_size == len(data):  # the first bytes of a head: it must be whole in time
                self.deadline = self._clock() + self._limits.head_timeout
            elif self._head_size > self._limits.head_size:
                self._refuse(EdgeError(Kind.HEAD_TOO_LARGE, "client"))

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._fields
        name = name.lower()
        if name in fields:
            add(fields, name, value)
        else:
            fields[name] = value

    def on_headers_complete(self) -> None:
        self._begun += 1
        url, fields = self._url, self._fields
        self._url = b""
        self._fields = {}
        if self._deaf or self._last is not None:
            return
        limits = self._limits
        if len(fields) > limits.header_count or (
            self._head_size > limits.head_size and len(url) + len(serialize(fields)) > limits.head_size
        ):
            raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
        parser = self._parser
        request = frame(parser.get_method(), url, parser.get_http_version(), fields, self._endpoint.scheme)
        if request.length:
            self._expect_body(request)
        if b"upgrade" in fields and not wants_tunnel(fields):
            del fields[b"upgrade"]  # RFC 9110 §7.8: an upgrade nobody here takes is ignored
        exchange = Exchange(request, self._peer, self._clock())
        if not parser.should_keep_alive():
            self._last = exchange
        if self._current is None and not self._queue:
            self._begin(exchange)
        else:
            self._queue.append(exchange)
            if len(self._queue) == 1:
                self.hold()
            elif len(self._queue) == PIPELINE_LIMIT:
                self._last = exchange

    def on_body(self, data: bytes) -> None:
        body = self._body
        if body is None:
            return
        self._body_size += len(data)
        self.deadline = self._clock() + self._limits.body_timeout
        if self._body_size > self._limits.body_size:
            self._refuse(EdgeError(Kind.BODY_TOO_LARGE, "client"))
        elif body.closed:
            self._unread += len(data)
            if self._unread > UNREAD_LIMIT:
                self._close(linger=True)
        else:
            body.feed(data)

    def on_message_complete(self) -> None:
        body = self._body
        if body is not None:
            self._body = None
            trailers, self._fields = self._fields, {}
            body.finish(keep_trailers(trailers) if trailers else None)

    def _expect_body(self, request: Request) -> None:
        length = request.length
        if length > self._limits.body_size:
            raise EdgeError(Kind.BODY_TOO_LARGE, "client")
        expectation = request.headers.pop(b"expect", None)
        if expectation is not None and expectation.lower() != b"100-continue":
            raise EdgeError(Kind.EXPECTATION_FAILED, "client")  # RFC 9110 §10.1.1
        self._body_size = self._unread = 0
        self._body = ClientBody(None if length == UNKNOWN_LENGTH else length, self, expected=expectation is not None)
        request.body = self._body
        self.deadline = self._clock() + self._limits.body_timeout

    def _upgrade_asked(self, tail: bytes) -> None:
        """llhttp stops behind a head that asks for an upgrade, whether or not anybody will grant it."""
        self._tail = tail
        if self._current is None:
            self._upgrade_over()

    def _upgrade_over(self) -> None:
        """Nobody took the upgrade: what follows is HTTP again."""
        tail, self._tail = self._tail, None
        self._parser = httptools.HttpRequestParser(self)
        if tail and not self._deaf:
            self._parse(tail)

    # The exchange's side.

    def _begin(self, x: Exchange) -> None:
        self._current = x
        server = self._server
        x.route = server.snapshot.route(x.request)
        serve(x, self)

    def send(self, x: Exchange, response: Response) -> None:
        body = cast("bytes", response.body)
        keep_alive = self._stays_after(x)
        self._transport.write(heads.whole(x.request, response, body, self._server.clock.wall(), keep_alive))
        x.sent = len(body)
        self._over(x, keep_alive)

    async def stream(self, x: Exchange, response: Response) -> None:
        body = cast("Body", response.body)
        if isinstance(body, Tunnel) and response.status == 101:
            await self._carry(x, response, body)
            return
        if not heads.has_body(x.request, response.status):
            body.close()
            response.body = b""
            self.send(x, response)
            return
        length = None if response.filters else body.length
        if length is None and x.request.version != b"1.1":
            self._last = x  # only the end of the connection can end this body
        keep_alive = self._stays_after(x)
        head, chunked = heads.streamed(x.request, response, length, self._server.clock.wall(), keep_alive)
        self._transport.write(head)
        try:
            await self._write_body(x, response, body, chunked)
        except EdgeError:
            # The head is out: only a broken connection tells the client that the body is not whole.
            self._transport.abort()
            raise
        finally:
            body.close()
        self._over(x, keep_alive)

    async def _write_body(self, x: Exchange, response: Response, body: Body, chunked: bool) -> None:
        write = self._transport.write
        filters = response.filters or ()
        while True:
            chunk = body.take()
            last = chunk is not None
            if chunk is None:
                chunk = await body.read()
                last = not chunk
            for feed in filters:
                chunk = feed(chunk) if chunk else chunk
            if last:
                chunk += _flush(filters)
            if chunk:
                x.sent += len(chunk)
                write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            if last:
                break
            if self._paused_writing:
                await self._drain()
        if chunked:
            write(b"0\r\n%b\r\n" % serialize(body.trailers or {}))

    async def _carry(self, x: Exchange, response: Response, tunnel: Tunnel) -> None:
        """Both ways at once until one side ends."""
        x.upgraded = True
        self.deadline = float("inf")
        self._transport.write(heads.switching(response))
        inward = self._tunnel = Pipe(pause=self.hold, resume=self.unhold)
        if self._tail:
            inward.feed(self._tail)
        self._tail = None

        async def upstream() -> None:
            while data := await inward.read():
                tunnel.write(data)
                await tunnel.drain()

        async def downstream() -> None:
            while data := await tunnel.read():
                self._transport.write(data)
                x.sent += len(data)
                if self._paused_writing:
                    await self._drain()

        pumps = [asyncio.ensure_future(upstream()), asyncio.ensure_future(downstream())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            tunnel.close()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._server.spawn(work)

    def send_continue(self) -> None:
        self._transport.write(heads.CONTINUE)

    def _stays_after(self, x: Exchange) -> bool:
        """Whether the connection serves on after ``x``, whose answer is about to be written."""
        if self._last is None and self._body is None and not self._server.draining:
            return True
        body = self._body
        if body is not None and body is x.request.body:
            # Answered before the body is all here: read over a small rest, else close (RFC 9112 §9.6).
            rest = None if body.length is None else body.length - self._body_size
            if body.awaited or rest is None or rest > UNREAD_LIMIT:
                self._last = x
        if self._server.draining and not self._queue:
            self._last = x
        return x is not self._last

    def _over(self, x: Exchange, keep_alive: bool) -> None:
        """``x`` has been answered."""
        self._current = None
        self._task = None
        self.idle_since = now = self._clock()
        self.deadline = now + self._limits.idle_timeout
        if x.request.body is not None:
            x.request.body.close()
        if not keep_alive:
            self._close(linger=self._body is not None)
        elif self._queue or self._tail is not None:
            self._server.call_soon(self._next)

    def _next(self) -> None:
        if self._closing or self._current is not None:
            return
        if self._queue:
            x = self._queue.popleft()
            if not self._queue:
                self.unhold()
            self._begin(x)
        elif self._tail is not None:
            self._upgrade_over()

    def _refuse(self, error: EdgeError) -> None:
        """Take no more requests. Exchanges that run are still answered; if there is none, the error is the answer."""
        self._deaf = True
        self._unread = 0
        if self._body is not None:
            self._body.fail(error)
        if self._current is not None or self._queue:
            self._last = self._queue[-1] if self._queue else self._current
            return
        request = Request(b"-", b"-", {})
        x = Exchange(request, self._peer, self._clock())
        x.route = self._server.snapshot.unrouted
        x.error = error.kind.value
        x.response = response = error_response(error)
        body = cast("bytes", response.body)
        self._transport.write(heads.whole(request, response, body, self._server.clock.wall(), keep_alive=False))
        x.sent = len(body)
        ended(x)
        self._close(linger=True)

    # Closing.

    def _close(self, *, linger: bool = False) -> None:
        """Send what is written, then close. With ``linger``, a client still sending is listened to for a moment, so
        that its unread bytes do not reset the connection before it has read the answer (RFC 9112 §9.6)."""
        if self._closing:
            return
        self._deaf = self._closing = True
        if linger and self._transport.can_write_eof():
            self.deadline = self._clock() + LINGER_TIME
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        if self._paused_writing or self._closing:
            self._transport.abort()
        elif self._body is not None:
            self._refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        elif self._current is not None:
            self.deadline = now + self._limits.idle_timeout
        elif self._head_size:
            self._refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        else:
            self._close()

    def retire(self, now: float, grace: float) -> None:
        """The server drains: an idle connection goes once it has been quiet for ``grace`` seconds, so that a request
        already on its way is still answered."""
        if self._current is None and self._body is None and not self._head_size and now - self.idle_since >= grace:
            self._close()

    def abort(self) -> None:
        self._transport.abort()

    # Back-pressure.

    def hold(self) -> None:
        self._holds += 1
        if self._holds == 1 and not self._closing:
            self._transport.pause_reading()

    def unhold(self) -> None:
        if self._holds:
            self._holds -= 1
            if not self._holds and not self._closing:
                self._transport.resume_reading()

    async def _drain(self) -> None:
        deadline, self.deadline = self.deadline, self._clock() + self._limits.write_timeout
        self._writable = asyncio.get_running_loop().create_future()
        try:
            await self._writable
        finally:
            self._writable = None
            self.deadline = deadline
        if self._closing:
            raise EdgeError(Kind.CLIENT_GONE, "client")

    def __repr__(self) -> str:
        state = "closing" if self._closing else "busy" if self._current else "idle"
        return f"<Http1Connection {self._peer and self._peer.address} {state}, {len(self._queue)} waiting>"


def _flush(filters: Any) -> bytes:
    """The rest of every filter, passed through those behind it."""
    rest = b""
    for feed in filters:
        rest = (feed(rest) if rest else b"") + feed(b"")
    return rest
