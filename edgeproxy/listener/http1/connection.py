"""HTTP/1.1 from clients (RFC 9112) on llhttp: one connection, its requests answered in order.

A request whose chain answers at once is answered inside :meth:`data_received`. Anything else runs in one task; requests
pipelined behind it wait in a bounded queue, and reading stops while they wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe, Tunnel
from edgeproxy.http.headers import Headers
from edgeproxy.http.media import is_event_stream
from edgeproxy.http.message import Request, Response
from edgeproxy.listener.answer_body import write_body
from edgeproxy.listener.answer_head import has_body
from edgeproxy.listener.http1 import heads
from edgeproxy.listener.http1.requests import UNREAD_LIMIT, Requests
from edgeproxy.listener.tunnel import carry
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.runner import Errand, refuse, serve

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

LINGER_LIMIT: Final = 1024 * 1024  # bytes taken from a refused client before it is cut off
PIPELINE_LIMIT: Final = 64


class Http1Connection(Requests):
    """One client connection; also the Writer its exchanges answer on."""

    def __init__(self, server: Server, endpoint: Endpoint, peer: Peer | None = None) -> None:
        super().__init__(server, endpoint, peer)
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None
        self._errand: Errand | None = None
        self._refused = False  # the client may still be sending what was refused
        self._tail: bytes | None = None  # bytes behind a head that asked for an upgrade
        self._tunnel: Pipe | None = None

    # The socket's side.

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._abandon()

    def _abandon(self) -> None:
        """The client has left: nothing more is written, and what goes on for it ends."""
        self._deaf = self._closing = True
        gone = EdgeError(Kind.CLIENT_GONE, "client")
        self._queue.clear()
        if self._body is not None:
            self._body.fail(gone)
        if self._tunnel is not None:
            self._tunnel.fail(gone)
        self.resume_writing()
        self._give_up()
        if self._task is not None:
            # Its first turn comes before that: a task cancelled earlier would not run at all, nor end its exchange.
            self._server.call_soon(self._task.cancel)
            self._task = None

    def resume_writing(self) -> None:
        """The client takes its answers again: so may those who waited for that."""
        super().resume_writing()
        if self._queue:
            self._server.call_soon(self._next)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._unread += len(data)
            if self._unread > LINGER_LIMIT:
                self.transport.abort()
        elif self._tunnel is not None:
            self._tunnel.feed(data)
        elif self._tail is not None:
            self._tail += data
            if len(self._tail) > UNREAD_LIMIT:
                self.transport.abort()
        else:
            self._parse(data)

    def eof_received(self) -> bool:
        """A client that half-closes has sent its last request, and may still wait for the answer. For one that has no
        end nobody does: an event may be long in coming, and only its sending would tell that the client has left. TLS
        ends both ways at once: asyncio takes nothing more to be written, and tells of no room nor of an end before the
        client has taken what was."""
        tls = self._peer.tls is not None
        if self._tunnel is not None:
            self._closing = self._closing or tls
            self._tunnel.finish()
            return not tls
        if tls:
            self._abandon()
            return False
        if self._body is not None:
            self._body.fail(EdgeError(Kind.CLIENT_GONE, "client"))
        self._last = self._queue[-1] if self._queue else self._current
        self._deaf = True
        return self._last is not None and self._body is None and not self._streams_events()

    def _streams_events(self) -> bool:
        answer = None if self._current is None else self._current.response
        return answer is not None and is_event_stream(answer.get(b"content-type"))

    def _upgrade_asked(self, tail: bytes) -> None:
        """llhttp stops behind a head that asks for an upgrade, whether or not anybody will grant it."""
        self._head_size = 0
        self._tail = tail
        if self._current is None:
            self._upgrade_over()

    def _upgrade_over(self) -> None:
        """Nobody took the upgrade: what follows is HTTP again."""
        tail, self._tail = self._tail, None
        self._begin_anew()
        if tail and not self._deaf:
            self._parse(tail)

    # The exchange's side.

    def _take(self, exchange: Exchange) -> None:
        """Begin an exchange, or let it wait its turn."""
        if self._current is None and not self._queue and not self.paused_writing:
            self._begin(exchange)
        else:
            self._queue.append(exchange)
            if len(self._queue) == 1:
                self.hold()
            elif len(self._queue) == PIPELINE_LIMIT:
                self._last = exchange

    def _begin(self, x: Exchange) -> None:
        self._current = x
        snapshot = self._server.snapshot
        x.route = snapshot.router.match(x.request) or snapshot.unrouted
        self._errand = serve(x, self, direct=True)

    def send(self, x: Exchange, response: Response) -> None:
        body = cast("bytes", response.body)
        keep_alive = self._stays_after(x)
        head, rest = heads.whole(x.request, response, body, self._wall, keep_alive, self._alt_svc(x))
        self.write(head, rest)
        x.sent = len(body) if has_body(x.request, response.status) else 0
        self._over(x, keep_alive)

    def _alt_svc(self, x: Exchange) -> bytes:
        return self._endpoint.alt_svc.line(x.request.host)

    def interim(self, x: Exchange, status: int, fields: Headers) -> None:
        if self._current is x and x.response is None and x.request.version == b"1.1":
            self.put(heads.interim(status, fields))

    async def stream(self, x: Exchange, response: Response) -> None:
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
        if length is None and x.request.version != b"1.1":
            self._last = x  # only the end of the connection can end this body
        keep_alive = self._stays_after(x)
        head, chunked = heads.streamed(x.request, response, length, self._wall, keep_alive, self._alt_svc(x))
        self.put(head)
        try:
            await write_body(self, x, response, body, chunked=chunked)
        except EdgeError:
            # The head is out: only a broken connection tells the client that the body is not whole.
            self.transport.abort()
            raise
        finally:
            body.close()
        self._over(x, keep_alive)

    async def _carry(self, x: Exchange, response: Response, tunnel: Tunnel) -> None:
        """Both ways at once until one side ends."""
        x.upgraded = True
        self.deadline = float("inf")
        self.put(heads.switching(response))
        inward = self._tunnel = Pipe(pause=self.hold, resume=self.unhold)
        if self._tail:
            inward.feed(self._tail)
        self._tail = None
        try:
            await carry(self, x, inward, tunnel)
        finally:
            self.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = self._server.spawn(work)

    def _stays_after(self, x: Exchange) -> bool:
        """Whether the connection serves on after ``x``, whose answer is about to be written."""
        if self._last is None and self._body is None and not self._server.draining:
            return True
        body, own = self._body, x.request.body
        if body is not None and own is not None and body is own.arriving:
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
        self._task = self._errand = None
        x.ended = self.idle_since = now = self._clock()
        self.deadline = now + (self._limits.write_timeout if self.paused_writing else self._idle_timeout)
        if x.request.body is not None:
            x.request.body.close()
        if not keep_alive:
            self.close(linger=self._refused or self._body is not None)
        elif self._queue or self._tail is not None:
            self._server.call_soon(self._next)

    def _next(self) -> None:
        if self._closing or self._current is not None or self.paused_writing:
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
        self._last = self._queue[-1] if self._queue else self._current
        if self._last is not None:
            return
        request = Request(b"-", b"-", {}, self._endpoint.scheme, version=self._version())
        x = self._last = Exchange(request, self._peer, self._clock())
        x.route = self._server.snapshot.unrouted
        self._refused = True
        refuse(x, error, self)

    def abort(self) -> None:
        self._give_up()
        super().abort()

    def _give_up(self) -> None:
        """Ask the origin no more for what no task waits for."""
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.give_up()

    # What the server's sweep asks.

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        if self.paused_writing and self._takes(now):
            return
        if self.paused_writing or self._closing:
            self.transport.abort()
        elif self._body is not None and self._holds:
            self.deadline = now + self._limits.body_timeout  # it is not the client that makes us wait
        elif self._body is not None:
            self._refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        elif self._current is not None:
            self.deadline = now + self._idle_timeout
        elif self._head_size:
            self._refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        else:
            self.close()

    @property
    def waits(self) -> bool:
        """Nothing is under way: the connection waits for a request to begin."""
        return not (self._current is not None or self._queue or self._body is not None or self._head_size)

    def __repr__(self) -> str:
        state = "closing" if self._closing else "busy" if self._current else "idle"
        return f"<Http1Connection {self._peer and self._peer.address} {state}, {len(self._queue)} waiting>"
