"""An HTTP/1.1 server before the proxy's HTTP/2 or HTTP/3, for a client that speaks neither: what it is asked goes on in
the other protocol, field by field, and so comes back what is answered."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import aioquic.asyncio.client
import aioquic.asyncio.protocol
import aioquic.h3.connection
import aioquic.h3.events
import aioquic.quic.configuration
import aioquic.quic.events
import h2.config
import h2.connection
import h2.events
import httptools
import pylsqpack

Front = Literal["h2", "h3"]
Pairs = list[tuple[bytes, bytes]]
# What comes of a stream: ("head", status, fields) for every head, ("data", bytes), ("end",), and ("broken",).
Events = asyncio.Queue[tuple[Any, ...]]

STREAMS = 64  # at once; the rest waits
# Of one connection alone (RFC 9113 §8.2.2); Host becomes :authority.
_OF_THE_CONNECTION = frozenset(
    (b"connection", b"host", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding")
)
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Connection(Protocol):
    """A connection to the proxy."""

    closed: bool

    def ask(self, fields: Pairs, body: bytes) -> Events:
        """Send a request."""


class Http2(asyncio.Protocol):
    """By prior knowledge (RFC 9113 §3.3); ``h2`` sees to it that what comes back is HTTP/2."""

    def __init__(self) -> None:
        self.closed = False
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self._streams: dict[int, Events] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        for events in self._streams.values():
            events.put_nowait(("broken",))

    def ask(self, fields: Pairs, body: bytes) -> Events:
        stream = self._h2.get_next_available_stream_id()
        events = self._streams[stream] = asyncio.Queue()
        self._h2.send_headers(stream, fields, end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)
        self._transport.write(self._h2.data_to_send())
        return events

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.ConnectionTerminated):
                self.closed = True
            stream: int | None = getattr(event, "stream_id", None)
            events = self._streams.get(stream) if stream is not None else None
            if events is None:
                continue
            if isinstance(event, h2.events.ResponseReceived | h2.events.InformationalResponseReceived):
                events.put_nowait(head(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                events.put_nowait(("data", event.data))
            elif isinstance(event, h2.events.StreamEnded):
                events.put_nowait(("end",))
            elif isinstance(event, h2.events.StreamReset):
                events.put_nowait(("broken",))
        self._transport.write(self._h2.data_to_send())


class _Encoder:
    """QPACK's encoder without its dynamic table, which it need not use (RFC 9204 §2.1)."""

    def __init__(self) -> None:
        self._encoder = pylsqpack.Encoder()
        self.encode = self._encoder.encode
        self.feed_decoder = self._encoder.feed_decoder

    def apply_settings(self, **_: int) -> bytes:
        return self._encoder.apply_settings(max_table_capacity=0, blocked_streams=0)


class _Http3(aioquic.h3.connection.H3Connection):
    """Takes the length that the answer to a HEAD tells for what it is (RFC 9114 §4.1.2): who asked looks after it."""

    def __init__(self, quic: Any) -> None:
        super().__init__(quic)
        self._encoder = _Encoder()

    def _check_content_length(self, stream: Any) -> None:
        pass


class Http3(aioquic.asyncio.protocol.QuicConnectionProtocol):
    """The same over QUIC, by aioquic's client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.closed = False
        self._h3 = _Http3(self._quic)
        self._streams: dict[int, Events] = {}

    def ask(self, fields: Pairs, body: bytes) -> Events:
        stream = self._quic.get_next_available_stream_id()
        events = self._streams[stream] = asyncio.Queue()
        self._h3.send_headers(stream, fields, end_stream=not body)
        if body:
            self._h3.send_data(stream, body, end_stream=True)
        self.transmit()
        return events

    def quic_event_received(self, event: Any) -> None:
        if isinstance(event, aioquic.quic.events.ConnectionTerminated):
            self.closed = True
            for events in self._streams.values():
                events.put_nowait(("broken",))
        elif isinstance(event, aioquic.quic.events.StreamReset) and event.stream_id in self._streams:
            self._streams[event.stream_id].put_nowait(("broken",))
        for each in self._h3.handle_event(event):
            if isinstance(each, aioquic.h3.events.HeadersReceived | aioquic.h3.events.DataReceived):
                self._take(each, self._streams[each.stream_id])

    def _take(self, event: aioquic.h3.events.HeadersReceived | aioquic.h3.events.DataReceived, events: Events) -> None:
        if isinstance(event, aioquic.h3.events.DataReceived):
            events.put_nowait(("data", event.data))
        elif event.headers and event.headers[0][0] == b":status":  # what has none are trailers
            events.put_nowait(head(event.headers))
        if event.stream_ended:
            events.put_nowait(("end",))


def head(fields: Pairs) -> tuple[str, int, Pairs]:
    """The event of a head."""
    return "head", int(fields[0][1]), [(bytes(name), bytes(value)) for name, value in fields[1:]]


class Request:
    """One request as it came in."""

    def __init__(self) -> None:
        self.method = self.target = b""
        self.fields: Pairs = []
        self.body = b""

    def pairs(self, scheme: bytes) -> Pairs:
        """Its fields as HTTP/2 and HTTP/3 have them, in their order."""
        authority = next((value for name, value in self.fields if name == b"host"), b"")
        named = next((value for name, value in self.fields if name == b"connection"), b"").lower()
        left_out = _OF_THE_CONNECTION | {name.strip() for name in named.split(b",")}
        begun = [(b":method", self.method), (b":scheme", scheme), (b":authority", authority), (b":path", self.target)]
        return begun + [(name, value) for name, value in self.fields if name not in left_out]


class Requests:
    """What a client sends, request by request."""

    def __init__(self) -> None:
        self.whole: deque[Request] = deque()
        self._parser = httptools.HttpRequestParser(self)
        self._now = Request()

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._now = Request()

    def on_url(self, target: bytes) -> None:
        self._now.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self._now.fields.append((name.lower(), value.strip(b" \t")))  # RFC 9112 §5.1: the blanks are none of it

    def on_body(self, data: bytes) -> None:
        self._now.body += data

    def on_message_complete(self) -> None:
        self._now.method = self._parser.get_method()
        self.whole.append(self._now)


class Bridge:
    """A context manager: a server of :attr:`url`, on a thread with a loop of its own.

    ``port``: the proxy's, of plain HTTP/2 or of HTTP/3, whose certificate ``authority`` has signed.
    """

    def __init__(self, front: Front, port: int, authority: Path | None = None) -> None:
        self._front = front
        self._scheme = b"https" if front == "h3" else b"http"
        self._port = port
        self._authority = authority
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = AsyncExitStack()
        self._connection: Connection | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._room = asyncio.Semaphore(STREAMS)
        self._opening = asyncio.Lock()
        self._serving: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._connections.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        requests = Requests()
        try:
            while data := await reader.read(65536):
                requests.feed(data)
                while requests.whole:
                    async with self._room:
                        await self._answer(requests.whole.popleft(), writer)
        except (ConnectionError, httptools.HttpParserError):
            writer.transport.abort()
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Raises ConnectionError if the answer breaks off."""
        events = (await self._open()).ask(request.pairs(self._scheme), request.body)
        status, chunked = 0, False
        while (event := await events.get())[0] != "end":
            if event[0] == "broken":
                raise ConnectionError
            if event[0] == "head":
                status, fields = event[1], event[2]
                bodied = status >= 200 and status not in {204, 304} and request.method != b"HEAD"
                chunked = bodied and all(name != b"content-length" for name, _ in fields)
                writer.write(_head(status, fields, chunked=chunked))
            else:
                writer.write(b"%x\r\n%b\r\n" % (len(event[1]), event[1]) if chunked and event[1] else event[1])
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _open(self) -> Connection:
        """The connection to the proxy; another one where that has ended."""
        async with self._opening:
            if self._connection is None or self._connection.closed:
                if self._front == "h2":
                    transport, made = await self._loop.create_connection(Http2, "127.0.0.1", self._port)
                    self._connections.callback(transport.close)
                    self._connection = made
                else:
                    self._connection = await self._connections.enter_async_context(self._quic())
            return self._connection

    def _quic(self) -> Any:
        configuration = aioquic.quic.configuration.QuicConfiguration(
            is_client=True, alpn_protocols=["h3"], server_name="localhost", verify_mode=ssl.CERT_REQUIRED
        )
        configuration.load_verify_locations(cafile=str(self._authority))
        return aioquic.asyncio.client.connect(
            "127.0.0.1", self._port, configuration=configuration, create_protocol=Http3
        )


def _head(status: int, fields: Pairs, *, chunked: bool) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, _PHRASES.get(status, "").encode())]
    lines += [b"%b: %b" % field for field in fields]
    lines += [b"transfer-encoding: chunked"] if chunked else []
    return b"\r\n".join([*lines, b"", b""])
