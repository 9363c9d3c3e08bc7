"""One HTTP/1.1 connection to an origin (RFC 9112): one request at a time, with its time-outs.

An answer that has arrived whole with its head is delivered whole, in one wake-up; any other streams through a Pipe
that holds the connection back. Whatever could mix up two answers closes the connection: bytes behind an answer, bytes
that nobody asked for, a request not sent in full.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.framing import keep_trailers
from edgeproxy.http.headers import Headers
from edgeproxy.http.media import is_event_stream
from edgeproxy.http.message import Response
from edgeproxy.origin.answer import Answer
from edgeproxy.origin.deadline import NEVER, Deadline
from edgeproxy.origin.tunnel import OriginTunnel
from edgeproxy.origin.upload import Upload
from edgeproxy.origin.way import Owner, Waiter
from edgeproxy.origin.wire import Call, chunk, last_chunk

CLOSE_TIME: Final = 2.0  # seconds a connection may take to close

_UNCONNECTED: Final = asyncio.Transport()


class Connection(asyncio.Protocol):
    """The way of one request at a time (way.Way); ``refused`` is never said by HTTP/1.1."""

    __slots__ = (
        "_answer",
        "_busy",
        "_chunked",
        "_first_byte",
        "_loop",
        "_owner",
        "_paused",
        "_silence",
        "_timeouts",
        "_tls",
        "_tunnel",
        "_upload",
        "_waiter",
        "answered",
        "deadline",
        "refused",
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
        self._answer = Answer()
        self._waiter: Waiter | None = None
        self._tunnel: OriginTunnel | None = None
        self._upload: Upload | None = None
        self._busy = self._chunked = self._paused = self._tls = False
        self._first_byte = owner.timeouts.first_byte
        self._silence = owner.timeouts.between_bytes
        self.transport: asyncio.Transport = _UNCONNECTED
        self.deadline = Deadline(loop, self._expired)
        self.until = NEVER
        self.writable = asyncio.Event()
        self.writable.set()
        self.reused = self.reusable = self.answered = self.refused = False

    # What the pool does.

    def send(self, call: Call, head: bytes, first_byte: float | None = None) -> asyncio.Future[Response]:
        answer: asyncio.Future[Response] = self._loop.create_future()
        self.begin(call, head, answer, first_byte)
        return answer

    def begin(self, call: Call, head: bytes, waiter: Waiter, first_byte: float | None = None) -> None:
        self._first_byte = self._timeouts.first_byte if first_byte is None else first_byte
        self._answer.expect(head_only=call.method == b"HEAD", tunnel=call.tunnel, interim=call.interim)
        self.reused = self.answered
        self.answered = False
        self._busy = self.reusable = True
        self.until = call.until
        self._silence = self._timeouts.between_bytes
        self._chunked = call.chunked
        self._waiter = waiter
        if call.payload:
            self.transport.writelines((head, call.payload))
        else:
            self.transport.write(head)
        if call.body is None:
            self.sent()
        else:
            self._upload = Upload(self, call.body, call)

    def give_up(self, answer: asyncio.Future[Response]) -> None:
        if answer is self._waiter:
            self.abort()
        elif not answer.cancelled() and answer.exception() is None:
            body = answer.result().body
            if not isinstance(body, bytes):
                body.close()

    def rest(self, seconds: float) -> None:
        self.answered = True  # it has waited: if it is closed now, that says as much as of one that was used
        self.deadline.set(self._loop.time() + seconds)

    def abort(self) -> None:
        self._end(None, 0)

    def close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
            self.deadline.set(self._loop.time() + CLOSE_TIME)

    @property
    def closing(self) -> bool:
        return self.transport.is_closing()

    # What uploads and tunnels do.

    def put(self, data: bytes) -> None:
        self.transport.write(chunk(data) if self._chunked else data)

    def put_last(self, trailers: Headers | None) -> None:
        if self._chunked:
            self.transport.write(last_chunk(trailers))

    def hold(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def unhold(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def sent(self) -> None:
        self._upload = None
        if self._busy and not self._answer.has_head:
            self.deadline.set(min(self._loop.time() + self._first_byte, self.until))

    async def drain(self) -> None:
        self.deadline.set(min(self._loop.time() + self._timeouts.between_bytes, self.until))
        await self.writable.wait()
        self.deadline.set(self.until)

    def fail(self, error: EdgeError) -> None:
        self._end(error, 0)

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._tls = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.received(data)
            return
        if not self._busy:
            self.close()  # bytes nobody asked for
            return
        self.answered = True
        answer = self._answer
        try:
            answer.feed(data)
        except EdgeError as error:
            self.fail(error)
            return
        if answer.whole:
            self._complete(answer)
        elif answer.has_head:
            if answer.pipe is None:
                self._deliver_streamed(answer)
            if not self._paused:
                self.deadline.set(min(self._loop.time() + self._silence, self.until))
        elif answer.switched is not None:
            self._switch(answer, answer.switched)

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.ended()
            return not self._tls  # the other direction may still have something to say
        if self._busy and self._answer.until_eof:
            self._answer.whole = True
            self._complete(self._answer)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.writable.set()
        self.deadline.cancel()
        if self._tunnel is not None:
            self._tunnel.lost()
            self._end(None, 101)
        elif self._busy:
            self.fail(EdgeError(Kind.RESPONSE_INCOMPLETE if self.answered else Kind.CONNECTION_LOST, "origin"))
        else:
            self._owner.lost(self)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # Inside.

    def _complete(self, answer: Answer) -> None:
        """The answer is whole."""
        waiter, pipe = self._waiter, answer.pipe
        chunks, answer.chunks = answer.chunks, []
        status, head = answer.status, answer.head
        trailers = keep_trailers(answer.fields) if answer.fields else None
        if trailers and pipe is None:
            pipe = self._pipe(answer, chunks)
        self.reusable = answer.persists and not self._paused  # a reader that holds it back will let it go later
        self._end(None, status)
        if pipe is not None:
            pipe.finish(trailers)
        if waiter is not None and not waiter.done():
            body = pipe or (chunks[0] if len(chunks) == 1 else b"".join(chunks))
            waiter.set_result(Response(status, head, body))

    def _deliver_streamed(self, answer: Answer) -> None:
        waiter, self._waiter = self._waiter, None
        answer.pipe = self._pipe(answer, answer.chunks)
        answer.chunks = []
        if is_event_stream(answer.head.get(b"content-type")):
            self._silence, self.until = self._timeouts.event_stream, NEVER
        if self._upload is not None and (answer.status >= 400 or not answer.persists):
            self._stop_upload()
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(answer.status, answer.head, answer.pipe))

    def _pipe(self, answer: Answer, chunks: list[bytes]) -> Pipe:
        pipe = Pipe(answer.length, pause=self._pause, resume=self._resume, on_close=self.abort)
        for data in chunks:
            pipe.feed(data)
        return pipe

    def _switch(self, answer: Answer, data: bytes) -> None:
        """The origin changed the protocol (RFC 9110 §7.8): from here on bytes pass both ways, however seldom."""
        self.deadline.cancel()
        self.until = NEVER
        self._tunnel = OriginTunnel(self)  # bytes as they are: a request that asks for that has no body
        if data:
            self._tunnel.received(data)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(101, answer.head, self._tunnel))

    def _end(self, error: EdgeError | None, status: int) -> None:
        """The exchange is over, once; an answer that is not whole takes the connection with it."""
        if not self._busy:
            self.close()
            return
        self._busy = False
        answer = self._answer
        waiter, pipe = self._waiter, answer.pipe
        self._waiter = None
        answer.over()
        if not answer.whole or self._upload is not None:
            self._stop_upload()
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

    def _stop_upload(self) -> None:
        """Answered before the request was sent in full: its rest must not be read as the next one (RFC 9112 §9.3)."""
        upload, self._upload = self._upload, None
        self.reusable = self._answer.persists = False
        if upload is not None:
            upload.stop()

    def _pause(self) -> None:
        self._paused = True
        self.deadline.set(self.until)
        self.hold()

    def _resume(self) -> None:
        self._paused = False
        if self._busy and not self.transport.is_closing():
            self.deadline.set(min(self._loop.time() + self._silence, self.until))
            self.transport.resume_reading()

    def _expired(self) -> None:
        if self._busy and self._tunnel is None:
            what = "no more of the answer" if self._answer.has_head else "no answer"
            self.fail(EdgeError(Kind.RESPONSE_TIMEOUT, "origin", f"{what} in time"))
        elif self.closing:
            self.transport.abort()
        else:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closing else "tunnel" if self._tunnel else "busy" if self._busy else "idle"
        return f"<Connection {state}>"
