"""One HTTP/1.1 connection to an origin (RFC 9112): one request at a time, its answer parsed strictly by llhttp.

An answer that has arrived whole with its head is delivered whole, in one wake-up; any other streams through a Pipe
that holds the connection back. Whatever could mix up two answers closes the connection: bytes behind an answer, bytes
that nobody asked for, a request not sent in full.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from edgeproxy.config.schema import TimeoutsConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.framing import keep_trailers
from edgeproxy.http.headers import HOP_BY_HOP, Headers, add, serialize, tokens, without_hop_by_hop
from edgeproxy.http.message import Response
from edgeproxy.origin.deadline import NEVER, Deadline
from edgeproxy.origin.tunnel import OriginTunnel
from edgeproxy.origin.upload import Upload
from edgeproxy.origin.wire import ORDINARY_CONNECTION, Call

HEAD_LIMIT = 64 * 1024  # bytes of an answer's head, and of what stands between two pieces of its body
FIELD_LIMIT = 256  # lines
INTERIM_LIMIT = 8  # 1xx answers before the final one
CLOSE_TIME = 2.0  # seconds a connection may take to close
SPACE = 0x20
_NO_BODY: frozenset[int] = frozenset((204, 304))  # RFC 9112 §6.3


class Owner(Protocol):
    """Whom a connection belongs to."""

    timeouts: TimeoutsConfig

    def ended(self, connection: Connection, error: EdgeError | None, status: int) -> None:
        """An exchange is over: answered (``status``), failed (``error``), or given up (neither: 0)."""

    def lost(self, connection: Connection) -> None:
        """The connection is closed and was idle."""


class Connection(asyncio.Protocol):
    """``reused`` tells that an earlier exchange went over it, ``answered`` that a byte of this answer has come,
    ``reusable`` that another exchange may follow.
    """

    __slots__ = (
        "_busy",
        "_chunks",
        "_fault",
        "_fields",
        "_has_head",
        "_head",
        "_head_only",
        "_interim",
        "_loop",
        "_owner",
        "_parser",
        "_paused",
        "_pipe",
        "_repeats",
        "_status",
        "_timeouts",
        "_tls",
        "_tunnel",
        "_tunnel_asked",
        "_unbounded",
        "_until_eof",
        "_upload",
        "_waiter",
        "_whole",
        "answered",
        "deadline",
        "reusable",
        "reused",
        "transport",
        "until",
        "writable",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._timeouts = owner.timeouts
        self.deadline = Deadline(loop, self._expired)
        self.writable = asyncio.Event()
        self.writable.set()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._pipe: Pipe | None = None
        self._tunnel: OriginTunnel | None = None
        self._upload: Upload | None = None
        self._fault: EdgeError | None = None
        self._busy = False
        self._paused = False
        self._tls = False
        self.reused = False
        self.reusable = False
        self.answered = False
        self.until = NEVER

    # What the pool does.

    def send(self, call: Call, head: bytes) -> asyncio.Future[Response]:
        """Send a request; the future is its answer, or fails with EdgeError."""
        loop = self._loop
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self.reused = self.answered
        self._busy = self.reusable = True
        self.answered = self._whole = self._has_head = self._until_eof = False
        self._head_only = call.method == b"HEAD"
        self._tunnel_asked = call.tunnel
        self._status = self._interim = self._unbounded = self._repeats = 0
        self._fields: Headers = {}
        self._chunks: list[bytes] = []
        self.until = call.until
        self._waiter = waiter = loop.create_future()
        if call.payload:
            self.transport.writelines((head, call.payload))
        else:
            self.transport.write(head)
        if call.body is None:
            self.sent()
        else:
            self._upload = Upload(self, call.body, call)
        return waiter

    def give_up(self, answer: asyncio.Future[Response]) -> None:
        """Nobody waits for ``answer`` any more."""
        if answer is self._waiter:
            self.abort()
        elif not answer.cancelled() and answer.exception() is None:
            body = answer.result().body
            if not isinstance(body, bytes):
                body.close()

    def rest(self, seconds: float) -> None:
        """Stay open, idle, for that long."""
        self.deadline.set(self._loop.time() + seconds)

    def abort(self) -> None:
        """Close at once. An exchange under way has been given up."""
        self._end(None, 0)

    def close(self) -> None:
        """Close once what was written is sent."""
        if not self.transport.is_closing():
            self.transport.close()
            self.deadline.set(self._loop.time() + CLOSE_TIME)

    @property
    def closing(self) -> bool:
        return self.transport.is_closing()

    # What the upload tells.

    def sent(self) -> None:
        """The request is on its way in full: the answer's time runs."""
        self._upload = None
        if self._busy and not self._has_head:
            self.deadline.set(min(self._loop.time() + self._timeouts.first_byte, self.until))

    async def drain(self) -> None:
        """Wait until the origin has taken enough to go on; it has ``between_bytes`` to do so."""
        self.deadline.set(min(self._loop.time() + self._timeouts.between_bytes, self.until))
        await self.writable.wait()
        self.deadline.set(self.until)

    def fail(self, error: EdgeError) -> None:
        """End the exchange with ``error``, and the connection with it."""
        self._end(error, self._status)

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._tls = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.received(data)
            return
        parser = self._parser
        if not self._busy or parser is None:
            self.close()  # bytes nobody asked for
            return
        self.answered = True
        self._unbounded += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self.reusable = False
            if not self._whole:
                self.fail(self._fault or EdgeError(Kind.RESPONSE_INVALID, "origin", str(error)))
                return
        if self._whole:
            self._complete()
        elif self._unbounded > HEAD_LIMIT:
            self.fail(self._too_large(f"more than {HEAD_LIMIT} bytes of head or trailers"))
        elif self._has_head:
            if self._pipe is None:
                self._deliver_streamed()
            if not self._paused:
                self.deadline.set(min(self._loop.time() + self._timeouts.between_bytes, self.until))

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.ended()
            return not self._tls  # the other direction may still have something to say
        if self._busy and self._has_head and self._until_eof:
            self.reusable = False
            self._whole = True
            self._complete()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.writable.set()
        self.deadline.cancel()
        if self._tunnel is not None:
            self._tunnel.lost()
            self._end(None, 101)
        elif self._busy:
            kind = Kind.RESPONSE_INCOMPLETE if self.answered else Kind.CONNECTION_LOST
            self.fail(EdgeError(kind, "origin"))
        else:
            self._owner.lost(self)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self._whole:
            raise self._invalid("bytes behind the answer")
        self._fields = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if value and value[-1] <= SPACE:
            value = value.rstrip(b" \t")  # llhttp leaves it there
        fields = self._fields
        if name in fields:
            self._repeats += 1
            if self._repeats > FIELD_LIMIT:
                raise self._too_large(f"more than {FIELD_LIMIT} fields")
            add(fields, name, value)
        else:
            fields[name] = value

    def on_headers_complete(self) -> None:
        parser = cast("httptools.HttpResponseParser", self._parser)
        status = self._status = parser.get_status_code()
        if status < 200:
            self._skip_interim(status)
            return
        fields, self._fields = self._fields, {}
        if len(fields) + self._repeats > FIELD_LIMIT:
            raise self._too_large(f"more than {FIELD_LIMIT} fields")
        if self._unbounded > HEAD_LIMIT and len(serialize(fields)) > HEAD_LIMIT:
            raise self._too_large(f"more than {HEAD_LIMIT} bytes of head")
        self._has_head = True
        bodiless = self._head_only or status in _NO_BODY
        if not parser.should_keep_alive():
            self._check_close(parser, fields, bodiless)
        if not HOP_BY_HOP.isdisjoint(fields):
            coding = fields.get(b"transfer-encoding")
            if coding is not None and coding.lower() != b"chunked":
                raise self._invalid("a transfer coding other than chunked")
            if fields.get(b"connection") in ORDINARY_CONNECTION:
                for name in HOP_BY_HOP.intersection(fields):
                    del fields[name]
            else:
                fields = without_hop_by_hop(fields)
        if bodiless:
            if status == 204:
                fields.pop(b"content-length", None)  # RFC 9110 §8.6
            self._whole = True
            self._parser = None  # llhttp waits for the body that a HEAD's answer announces
        self._head = fields
        if self._upload is not None and (status >= 400 or not self.reusable):
            self._stop_upload()

    def on_body(self, data: bytes) -> None:
        if self._whole:
            raise self._invalid("a body where none belongs")
        self._unbounded = 0
        if self._pipe is None:
            self._chunks.append(data)
        else:
            self._pipe.feed(data)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._whole = True

    # Inside.

    def _skip_interim(self, status: int) -> None:
        """RFC 9110 §15.2: any number may come; 101 only when it was asked for."""
        self._interim += 1
        if status == 101:
            parser = cast("httptools.HttpResponseParser", self._parser)
            if not (self._tunnel_asked and parser.should_upgrade()):
                raise self._invalid("an upgrade nobody asked for")
            if self._fields[b"upgrade"].lower() != b"websocket":
                raise self._invalid("an upgrade to another protocol than was asked for")
        elif status < 100 or self._interim > INTERIM_LIMIT:
            raise self._invalid("an invalid status" if status < 100 else "too many interim answers")

    def _check_close(self, parser: httptools.HttpResponseParser, fields: Headers, bodiless: bool) -> None:
        """llhttp says that the connection does not persist, or that only its end ends the answer (RFC 9112 §6.3)."""
        version = parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise self._invalid("another HTTP version")
        if version == "1.0" and b"transfer-encoding" in fields:
            raise self._invalid("Transfer-Encoding in HTTP/1.0")  # RFC 9112 §6.1
        framed = b"content-length" in fields or b"transfer-encoding" in fields
        self._until_eof = not (bodiless or framed)
        options = tokens(fields.get(b"connection"))
        persists = b"close" not in options and (version == "1.1" or b"keep-alive" in options)
        self.reusable = persists and not self._until_eof

    def _deliver_streamed(self) -> None:
        waiter = self._waiter
        self._waiter = None
        self._pipe = pipe = Pipe(_length(self._head), pause=self._pause, resume=self._resume, on_close=self.abort)
        for data in self._chunks:
            pipe.feed(data)
        self._chunks = []
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(self._status, self._head, pipe))

    def _complete(self) -> None:
        """The answer is whole."""
        waiter, pipe = self._waiter, self._pipe
        trailers = keep_trailers(self._fields) if self._fields else None
        if self._paused:
            self.reusable = False  # the reader will resume it, and must not resume another's
        chunks, self._chunks = self._chunks, []
        status, head = self._status, self._head
        self._end(None, status)
        if pipe is not None:
            pipe.finish(trailers)
        elif waiter is not None and not waiter.done():
            if trailers:
                pipe = Pipe(_length(head))
                for data in chunks:
                    pipe.feed(data)
                pipe.finish(trailers)
                waiter.set_result(Response(status, head, pipe))
            else:
                waiter.set_result(Response(status, head, chunks[0] if len(chunks) == 1 else b"".join(chunks)))

    def _switch(self, data: bytes) -> None:
        """The origin changed the protocol (RFC 9110 §7.8): from here on bytes pass both ways."""
        self.deadline.cancel()
        self.until = NEVER
        self._tunnel = OriginTunnel(self)
        if data:
            self._tunnel.received(data)
        fields, waiter, self._waiter = self._fields, self._waiter, None
        for name in (b"content-length", b"transfer-encoding"):
            fields.pop(name, None)  # RFC 9110 §8.6, RFC 9112 §6.1: not in a 1xx answer
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(101, fields, self._tunnel))

    def _end(self, error: EdgeError | None, status: int) -> None:
        """The exchange is over, once; an answer that is not whole takes the connection with it."""
        if not self._busy:
            self.close()
            return
        self._busy = False
        stopped = self._upload is not None
        if stopped:
            self._stop_upload()
        waiter, pipe = self._waiter, self._pipe
        self._waiter = self._pipe = None
        if not self._whole or stopped:
            self.reusable = False
            self.deadline.cancel()
            self.transport.abort()
        elif not self.reusable:
            self.close()
        self._owner.ended(self, error, status)
        if error is not None:
            if pipe is not None:
                pipe.fail(error)
            elif waiter is not None and not waiter.done():
                waiter.set_exception(error)

    def _invalid(self, detail: str) -> EdgeError:
        """llhttp reports that a callback failed, not why: the reason is kept here."""
        self._fault = EdgeError(Kind.RESPONSE_INVALID, "origin", detail)
        return self._fault

    def _too_large(self, detail: str) -> EdgeError:
        self._fault = EdgeError(Kind.RESPONSE_TOO_LARGE, "origin", detail)
        return self._fault

    def _stop_upload(self) -> None:
        """Answered before the request was sent in full: its rest must not be read as the next one (RFC 9112 §9.3)."""
        upload, self._upload = self._upload, None
        self.reusable = False
        if upload is not None:
            upload.stop()

    def _pause(self) -> None:
        self._paused = True
        self.deadline.set(self.until)
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if self._busy and not self.transport.is_closing():
            self.deadline.set(min(self._loop.time() + self._timeouts.between_bytes, self.until))
            self.transport.resume_reading()

    def _expired(self) -> None:
        if self._busy:
            what = "no more of the answer" if self._has_head else "no answer"
            self.fail(EdgeError(Kind.RESPONSE_TIMEOUT, "origin", f"{what} in time"))
        elif self.closing:
            self.transport.abort()
        else:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closing else "tunnel" if self._tunnel else "busy" if self._busy else "idle"
        return f"<Connection {state}>"


def _length(fields: Headers) -> int | None:
    declared = fields.get(b"content-length")
    return None if declared is None else int(declared)
