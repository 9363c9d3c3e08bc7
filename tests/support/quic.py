"""A QUIC client without a loop of its own, on qh3's or aioquic's core: what tests say goes out as it is."""

from __future__ import annotations

import importlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

Pairs = Iterable[tuple[bytes, bytes]]


@dataclass
class Reply:
    """An answer as it came in. ``code``: what the stream was reset with."""

    head: dict[bytes, bytes] = field(default_factory=dict)
    interim: list[dict[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    ended: bool = False
    code: int | None = None

    @property
    def status(self) -> int:
        return int(self.head[b":status"])


class QuicClient:
    """One connection; use it as a context manager. ``closed`` is the peer's code once it has closed; ``raw`` what came
    on each stream, ``reset`` and ``stopped`` the codes it broke them off with.

    ``library``: "qh3" or "aioquic". ``http``: read answers as HTTP/3; without it nothing is said but what tests say.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        library: str = "qh3",
        server_name: str = "localhost",
        http: bool = True,
        ticket: Any = None,
        timeout: float = 10.0,
        **options: Any,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.closed: int | None = None
        self.reason = ""
        self.established = False
        self.early = False
        self.tickets: list[Any] = []
        self.raw: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        self.reset: dict[int, int] = {}
        self.stopped: dict[int, int] = {}
        self.replies: dict[int, Reply] = {}
        self.received = 0
        self._events = importlib.import_module(f"{library}.quic.events")
        connection = importlib.import_module(f"{library}.quic.connection")
        self._error: type[Exception] = connection.QuicConnectionError
        configuration = importlib.import_module(f"{library}.quic.configuration")
        self._configuration = configuration.QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name=server_name,
            verify_mode=ssl.CERT_NONE,
            session_ticket=ticket,
            **options,
        )
        self.quic = connection.QuicConnection(
            configuration=self._configuration, session_ticket_handler=self.tickets.append
        )
        self._h3 = importlib.import_module(f"{library}.h3.connection") if http else None
        self._h3_events = importlib.import_module(f"{library}.h3.events")
        self.http: Any = None
        self.socket = self._bound()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.closed is None:
            self.quic.close()
            self.flush()
        self.socket.close()

    def _bound(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("::1" if ":" in self.address[0] else "127.0.0.1", 0))
        return sock

    def start(self) -> None:
        """Send the hello; what is sent after that goes as early data where the ticket allows it."""
        self.quic.connect(self.address, now=time.monotonic())
        if self._h3 is not None:
            self.http = self._h3.H3Connection(self.quic)

    def connect(self) -> Self:
        """Shake hands."""
        self.start()
        self.until(lambda: self.established or self.closed is not None, "the handshake")
        return self

    def move(self) -> None:
        """Go on from another port."""
        self.socket.close()
        self.socket = self._bound()

    def flush(self) -> None:
        """Send what there is to send."""
        for data, _ in self._waiting():
            self.send_datagram(data)

    def _waiting(self) -> list[tuple[bytes, Any]]:
        try:
            told: list[tuple[bytes, Any]] = self.quic.datagrams_to_send(now=time.monotonic())
        except self._error as error:
            # qh3 wants to repeat early data that was refused before it has the keys to: it does once it has.
            if self.established or "missing OneRtt packet key" not in str(error):
                raise
            return []
        return told

    def send_datagram(self, data: bytes) -> None:
        try:
            self.socket.sendto(data, self.address)
        except OSError:
            return

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Put bytes into a stream, as they are."""
        self.quic.send_stream_data(stream, data, end)

    def ask(self, fields: Pairs, body: bytes | None = None, *, end: bool = True) -> int:
        """Begin a request; returns its stream."""
        stream: int = self.quic.get_next_available_stream_id()
        self.replies[stream] = Reply()
        self.http.send_headers(stream, list(fields), end_stream=end and body is None)
        if body is not None:
            self.http.send_data(stream, body, end_stream=end)
        return stream

    def get(self, path: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET") -> Reply:
        """A whole exchange."""
        return self.finish(self.ask(get(path, *fields, method=method)))

    def finish(self, stream: int) -> Reply:
        """Wait for the end of an answer."""
        reply = self.replies[stream]
        self.until(
            lambda: reply.ended or reply.code is not None or self.closed is not None, f"the answer on stream {stream}"
        )
        return reply

    def turn(self) -> None:
        """Send what there is, and take what is there, without waiting."""
        self.flush()
        self._receive()
        self._take()

    def linger(self, seconds: float) -> None:
        """Send and receive for a time."""
        try:
            self.until(lambda: False, "", seconds)
        except TimeoutError:
            return

    def until(self, condition: Callable[[], bool], what: str, timeout: float | None = None) -> None:
        """Send and receive until ``condition`` holds; raises TimeoutError naming ``what``."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            self.flush()
            if condition():
                return
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"{what}: nothing within {self.timeout:g} s")
            timer = self.quic.get_timer()
            wait = min(deadline, deadline if timer is None else timer) - now
            if select.select([self.socket], [], [], max(0.0, min(wait, 0.5)))[0]:
                self._receive()
            now = time.monotonic()
            timer = self.quic.get_timer()
            if timer is not None and now >= timer:
                self.quic.handle_timer(now=now)
            self._take()

    def _receive(self) -> None:
        while True:
            try:
                data, address = self.socket.recvfrom(65536)
            except OSError:
                return
            self.received += len(data)
            self.quic.receive_datagram(data, address[:2], now=time.monotonic())

    def _take(self) -> None:
        events = self._events
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                self.established, self.early = True, event.early_data_accepted
            elif isinstance(event, events.ConnectionTerminated):
                self.closed, self.reason = event.error_code, event.reason_phrase
            elif isinstance(event, events.StreamDataReceived):
                self.raw.setdefault(event.stream_id, bytearray()).extend(event.data)
                if event.end_stream:
                    self.ended.add(event.stream_id)
            elif isinstance(event, events.StreamReset):
                self.reset[event.stream_id] = event.error_code
                if event.stream_id in self.replies:
                    self.replies[event.stream_id].code = event.error_code
            elif isinstance(event, events.StopSendingReceived):
                self.stopped[event.stream_id] = event.error_code
            if self.http is not None:
                for told in self.http.handle_event(event):
                    self._note(told)
        closing = getattr(self.quic, "_close_event", None)
        if self.closed is None and closing is not None:
            self.closed, self.reason = closing.error_code, closing.reason_phrase

    def _note(self, event: Any) -> None:
        kinds = self._h3_events
        reply = self.replies.get(getattr(event, "stream_id", -1))
        if reply is None:
            return
        if isinstance(event, kinds.DataReceived):
            reply.body += event.data
            reply.ended |= event.stream_ended
        elif hasattr(event, "headers"):
            fields = dict(event.headers)
            if fields.get(b":status", b"2").startswith(b"1"):
                reply.interim.append(fields)
            elif not reply.head:
                reply.head = fields
            else:
                reply.trailers = fields
            reply.ended |= getattr(event, "stream_ended", False)


def get(
    path: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET", host: bytes = b"localhost"
) -> list[tuple[bytes, bytes]]:
    """A request's field section."""
    pseudo = [(b":method", method), (b":scheme", b"https"), (b":authority", host), (b":path", path)]
    return [*pseudo, *fields]
