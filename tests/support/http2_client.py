"""A client of HTTP/2 on a blocking socket, by the ``h2`` library: it does what a test says, and nothing by itself."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.settings

Field = tuple[bytes, bytes]


class Answered:
    """What has come on one stream. ``interim``: heads of 1xx answers; ``reset``: the code it was broken off with."""

    def __init__(self) -> None:
        self.interim: list[list[Field]] = []
        self.fields: list[Field] = []
        self.body = b""
        self.trailers: list[Field] = []
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.get(b":status") or 0)

    def get(self, name: bytes) -> bytes | None:
        return next((value for told, value in self.fields if told == name), None)

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Http2Client:
    """One connection; use it as a context manager. ``window``: what each stream may send before it is told of more,
    and, with ``takes``, is told of again and again. ``context``: TLS, with ALPN set."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        context: ssl.SSLContext | None = None,
        window: int = 65_535,
        takes: bool = True,
        timeout: float = 10.0,
    ) -> None:
        self.socket: socket.socket = socket.create_connection(address, timeout=timeout)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        configuration = h2.config.H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(configuration)
        self.streams: dict[int, Answered] = {}
        self.settings: dict[int, int] = {}
        self.goaway: list[tuple[int, int]] = []  # of each GOAWAY the last stream and the code
        self.pinged = 0
        self.closed = False
        self._takes = takes
        self.h2.initiate_connection()
        if window != 65_535:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    def ask(
        self, path: bytes, fields: Iterable[Field] = (), *, method: bytes = b"GET", end: bool = True, body: bytes = b""
    ) -> int:
        """Begin a request; returns its stream."""
        number = self.h2.get_next_available_stream_id()
        head = [(b":method", method), (b":scheme", b"http"), (b":authority", b"a.example"), (b":path", path)]
        return self.begin(number, [*head, *fields], end=end and not body, body=body, last=end)

    def begin(self, number: int, head: Iterable[Field], *, end: bool, body: bytes = b"", last: bool = False) -> int:
        """The same with a whole head."""
        self.streams[number] = Answered()
        self.h2.send_headers(number, list(head), end_stream=end)
        if body:
            self.h2.send_data(number, body, end_stream=last)
        self.flush()
        return number

    def get(self, path: bytes, fields: Iterable[Field] = (), **more: bytes) -> Answered:
        """A whole request and its whole answer."""
        return self.whole(self.ask(path, fields, **more))  # type: ignore[arg-type]

    def whole(self, number: int) -> Answered:
        answered = self.streams[number]
        self.until(lambda: answered.over)
        return answered

    def ping(self) -> None:
        """Wait until all that was sent before has been read."""
        seen = self.pinged
        self.h2.ping(bytes(8))
        self.flush()
        self.until(lambda: self.pinged > seen)

    def until(self, happened: Callable[[], bool]) -> None:
        """Read until something has happened. Raises TimeoutError, and ConnectionError where the connection ended."""
        while not happened():
            if not self.step():
                if happened():
                    return
                raise ConnectionError("the connection ended")

    def step(self) -> bool:
        """Read once; False at the end."""
        try:
            data = self.socket.recv(262_144)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self._heed(event)
        self.flush()
        return True

    def _heed(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.InformationalResponseReceived():
                self.streams[event.stream_id].interim.append([(bytes(n), bytes(v)) for n, v in event.headers or ()])
            case h2.events.ResponseReceived():
                self.streams[event.stream_id].fields = [(bytes(n), bytes(v)) for n, v in event.headers or ()]
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data or b""
                if self._takes and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.streams[event.stream_id].trailers = [(bytes(n), bytes(v)) for n, v in event.headers or ()]
            case h2.events.StreamEnded():
                self.streams[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = int(event.error_code or 0)
            case h2.events.RemoteSettingsChanged():
                self.settings |= {int(code): change.new_value for code, change in event.changed_settings.items()}
            case h2.events.PingAckReceived():
                self.pinged += 1
            case h2.events.ConnectionTerminated():
                self.goaway.append((event.last_stream_id or 0, int(event.error_code or 0)))
