"""An origin that speaks HTTP/2, by the `h2` library: each request runs a script, which may say bytes of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

Fields = list[tuple[bytes, bytes]]


class Asked:
    """One request. ``fields`` are its head's, ``trailers`` what stood behind its body; ``reset`` a code."""

    def __init__(self, wire: Wire, stream: int, fields: Fields) -> None:
        self.wire = wire
        self.stream = stream
        self.fields = fields
        self.trailers: Fields = []
        self.reset: int | None = None
        self.ended = asyncio.Event()
        self.broken = asyncio.Event()
        self._pieces: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()

    def get(self, name: bytes) -> bytes | None:
        return dict(self.fields).get(name)

    async def read(self) -> bytes:
        """The next piece of the body, b"" at its end; its window is open again then."""
        piece = await self._pieces.get()
        if piece is None:
            self._pieces.put_nowait(None)
            return b""
        self.wire.http.acknowledge_received_data(piece[1], self.stream)
        self.wire.flush()
        return piece[0]

    async def body(self) -> bytes:
        whole = b""
        while data := await self.read():
            whole += data
        return whole

    def head(self, status: int, *fields: tuple[bytes, bytes], end: bool = False) -> None:
        self.wire.http.send_headers(self.stream, [(b":status", b"%d" % status), *fields], end_stream=end)
        self.wire.flush()

    async def data(self, data: bytes, *, end: bool = False) -> None:
        """Send it as windows open."""
        http = self.wire.http
        while data:
            while not (room := min(http.local_flow_control_window(self.stream), http.max_outbound_frame_size)):
                await self.wire.opened()
            piece, data = data[:room], data[room:]
            http.send_data(self.stream, piece, end_stream=end and not data)
            self.wire.flush()

    def end(self, *trailers: tuple[bytes, bytes]) -> None:
        if trailers:
            self.wire.http.send_headers(self.stream, list(trailers), end_stream=True)
        else:
            self.wire.http.end_stream(self.stream)
        self.wire.flush()

    async def answer(self, body: bytes = b"ok", *fields: tuple[bytes, bytes], status: int = 200) -> None:
        """A whole answer."""
        self.head(status, *fields, end=not body)
        if body:
            await self.data(body, end=True)

    def break_off(self, code: int) -> None:
        self.wire.http.reset_stream(self.stream, code)
        self.wire.flush()


Script = Callable[[Asked], Awaitable[None]]


class Wire:
    """One connection, at the origin's end."""

    def __init__(self, origin: Http2Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None, validate_outbound_headers=False)
        )
        self.http.local_settings = h2.settings.Settings(client=False, initial_values=origin.settings)
        self.asked: dict[int, Asked] = {}
        self.gone = asyncio.Event()
        self.code: int | None = None
        """What the proxy said with GOAWAY."""
        self._origin = origin
        self._reader = reader
        self._opened = asyncio.Event()

    async def run(self) -> None:
        self.http.initiate_connection()
        self.http.update_settings(self._origin.settings)
        self.flush()
        while data := await self._reader.read(65536):
            for event in self.http.receive_data(data):
                self._take(event)
            self.flush()

    def raw(self, data: bytes) -> None:
        """Say this, whatever it is."""
        self.writer.write(data)

    def flush(self) -> None:
        if data := self.http.data_to_send():
            self.writer.write(data)

    async def opened(self) -> None:
        """Wait until a window has been opened."""
        self._opened.clear()
        await self._opened.wait()

    def leave(self, last: int, code: int = 0) -> None:
        """GOAWAY."""
        self.raw(b"\0\0\x08\x07\0\0\0\0\0" + last.to_bytes(4, "big") + code.to_bytes(4, "big"))

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                asked = self.asked[event.stream_id] = Asked(self, event.stream_id, list(event.headers))
                self._origin.take(asked)
            case h2.events.DataReceived():
                self.asked[event.stream_id]._pieces.put_nowait((event.data, event.flow_controlled_length))
            case h2.events.TrailersReceived():
                self.asked[event.stream_id].trailers = list(event.headers)
            case h2.events.StreamEnded():
                asked = self.asked[event.stream_id]
                asked._pieces.put_nowait(None)
                asked.ended.set()
            case h2.events.StreamReset():
                asked = self.asked[event.stream_id]
                asked.reset = int(event.error_code)
                asked._pieces.put_nowait(None)
                asked.broken.set()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._opened.set()
            case h2.events.ConnectionTerminated():
                self.code = int(event.error_code)


class Http2Origin:
    """Use it with ``async with``; each request runs ``script`` in a task. ``settings`` are what it tells."""

    def __init__(
        self,
        script: Script,
        *,
        settings: dict[int, int] | None = None,
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
    ) -> None:
        self.script = script
        self.settings = settings or {}
        self.asked: list[Asked] = []
        self.wires: list[Wire] = []
        self.url = ""
        self.failures: list[BaseException] = []
        self._tls = tls
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server: asyncio.Server = await asyncio.start_unix_server(self._serve, self._path)
            self.url = f"unix:{self._path}"
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
            self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open(self) -> int:
        """Connections that stand."""
        return sum(not wire.gone.is_set() for wire in self.wires)

    def take(self, asked: Asked) -> None:
        self.asked.append(asked)
        self._spawn(self._run(asked))

    async def _run(self, asked: Asked) -> None:
        try:
            await self.script(asked)
        except h2.exceptions.ProtocolError as error:  # the proxy has broken it off
            self.failures.append(error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(self, reader, writer)
        self.wires.append(wire)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await wire.run()
        except (ConnectionError, h2.exceptions.ProtocolError) as error:
            self.failures.append(error)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            wire.gone.set()
            writer.close()
            self._tasks.discard(task)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
