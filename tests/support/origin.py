"""An origin that keeps the exact bytes it was sent and answers what it is told to."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Self


class Hang(Enum):
    """How a scripted answer may end the connection."""

    CLOSE = "close"
    """Close it (FIN)."""
    RESET = "reset"
    """Reset it (RST)."""


@dataclass
class RecordedRequest:
    """One request as it came in. ``connection`` counts the origin's connections from 0."""

    connection: int
    head: bytes
    body: bytes = b""
    framing: bytes = b""
    """The body's bytes as they were framed on the wire: chunk lines and trailers included."""
    complete: bool = False
    """All of it arrived."""
    method: bytes = field(init=False)
    target: bytes = field(init=False)
    fields: list[tuple[bytes, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        first, *rest = re.split(rb"\r?\n", self.head.rstrip(b"\r\n"))
        parts = first.split(b" ")
        self.method = parts[0]
        self.target = b" ".join(parts[1:-1]) if len(parts) > 2 else b" ".join(parts[1:])
        self.fields = [(n.strip().lower(), v.strip()) for n, _, v in (line.partition(b":") for line in rest)]

    @property
    def raw(self) -> bytes:
        return self.head + self.framing

    def get(self, name: bytes) -> bytes | None:
        """The last field line of that (lower-case) name."""
        return next((value for key, value in reversed(self.fields) if key == name), None)

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


Script = bytes | Hang | Iterable[bytes | Hang]
Answer = Callable[[RecordedRequest], Script]


def answer(status: int = 200, body: bytes = b"ok", *fields: bytes, reason: bytes = b"OK") -> bytes:
    """A whole answer with Content-Length; ``fields`` are lines without their CRLF."""
    lines = [b"HTTP/1.1 %d %b" % (status, reason), b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def always_ok(request: RecordedRequest) -> bytes:
    whole = answer(200, b"ok", b"Cache-Control: no-store")
    return whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == b"HEAD" else whole


class RecordingOrigin:
    """A raw-socket origin; use it as a context manager.

    ``answer`` is called with each request, in the connection's own thread, and returns the bytes to send: all at once,
    or an iterable of segments (a generator may block between them), each of which may be :class:`Hang`. It reads
    requests leniently, by its own few lines of parsing; what it was really sent is in :attr:`requests` and, byte for
    byte, in :attr:`connections`. With ``read_body=False`` it answers on the head alone and then closes.
    """

    def __init__(
        self,
        answer: Answer = always_ok,
        *,
        read_body: bool = True,
        tls: ssl.SSLContext | None = None,
        path: str | None = None,
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.requests: list[RecordedRequest] = []
        self.connections: list[bytearray] = []
        self.aborted = threading.Event()
        """Set when the peer left while an answer was being sent or a request was being read."""
        self._read_body = read_body
        self._tls = tls
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._closing = False
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
            self.port: int = self._listener.getsockname()[1]
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(512)
            self.port = 0
            self.url = f"unix:{path}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open.values()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def clear(self) -> None:
        """Forget what was recorded; connections stay open."""
        self.requests.clear()
        for seen in self.connections:
            seen.clear()
        self.aborted.clear()

    def peer_left(self, connection: int) -> bool:
        """Whether the peer has closed or reset this connection, seen without reading from it."""
        try:
            return self._open[connection].recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except (KeyError, OSError):
            return True

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(bytearray())
            self._spawn(self._serve, connection, len(self.connections) - 1)

    def _serve(self, connection: socket.socket, index: int) -> None:
        try:
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._open[index] = connection
            reader = _Reader(connection, self.connections[index])
            while self._exchange(connection, reader, index):
                pass
            self._finish(connection)
        except (OSError, _Gone):
            self.aborted.set()
        finally:
            self._open.pop(index, None)
            connection.close()

    def _exchange(self, connection: socket.socket, reader: _Reader, index: int) -> bool:
        head = reader.head()
        if head is None:
            return False
        request = RecordedRequest(index, head)
        self.requests.append(request)
        if self._read_body:
            request.body, request.framing = reader.body(request)
            request.complete = True
        script = self.answer(request)
        for step in (script,) if isinstance(script, (bytes, Hang)) else script:
            if step is Hang.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return False
            if step is Hang.CLOSE:
                return False
            connection.sendall(step)
        return self._read_body

    def _finish(self, connection: socket.socket) -> None:
        """Close so that what was sent arrives: closing over unread bytes would reset the connection."""
        if connection.fileno() < 0:
            return
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


class _Gone(Exception):
    """The peer left in the middle of a request."""


class _Reader:
    """Reads requests leniently: LF alone ends a line, chunk extensions and trailers are skipped."""

    def __init__(self, connection: socket.socket, record: bytearray) -> None:
        self._connection = connection
        self._record = record
        self._buffer = bytearray()

    def head(self) -> bytes | None:
        """The next request head with its empty line; None when the peer closed between requests."""
        while True:
            end = re.search(rb"\r?\n\r?\n", self._buffer)
            if end:
                return self._cut(end.end())
            if not self._more():
                if self._buffer:
                    raise _Gone
                return None

    def body(self, request: RecordedRequest) -> tuple[bytes, bytes]:
        """The body, decoded and as it was framed."""
        if b"chunked" in (request.get(b"transfer-encoding") or b"").lower():
            return self._chunked()
        length = request.get(b"content-length") or b"0"
        exact = self._exactly(int(length) if length.isdigit() else 0)
        return exact, exact

    def _chunked(self) -> tuple[bytes, bytes]:
        body, wire = bytearray(), bytearray()
        while True:
            line = self._line()
            wire += line
            size = int(line.split(b";")[0].strip() or b"0", 16)
            if not size:
                break
            chunk = self._exactly(size)
            body += chunk
            wire += chunk + self._line()
        while True:
            line = self._line()
            wire += line
            if not line.strip():
                return bytes(body), bytes(wire)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if not self._more():
                raise _Gone
        return self._cut(end + 1)

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise _Gone
        return self._cut(size)

    def _cut(self, size: int) -> bytes:
        cut = bytes(self._buffer[:size])
        del self._buffer[:size]
        return cut

    def _more(self) -> bool:
        data = self._connection.recv(65536)
        self._record += data
        self._buffer += data
        return bool(data)
