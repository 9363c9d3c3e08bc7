"""A client that writes what it is told to, rules or no rules, and reads frames (RFC 9113 §4.1)."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATIENCE = 10.0  # seconds for what must come; only a case that fails waits as long
HEADER = 9  # bytes before each frame's payload


class Type(IntEnum):
    """RFC 9113 §6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6


class Code(IntEnum):
    """RFC 9113 §7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9


@dataclass(frozen=True)
class Frame:
    type: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM and GOAWAY."""
        start = 4 if self.type == Type.GOAWAY else 0
        return int.from_bytes(self.payload[start : start + 4], "big")

    def __str__(self) -> str:
        name = Type(self.type).name if self.type in Type.__members__.values() else f"type {self.type}"
        code = f" code {self.code}" if self.type in {Type.RST_STREAM, Type.GOAWAY} else ""
        return f"{name} of stream {self.stream}, flags {self.flags:#x}, {len(self.payload)} bytes{code}"


class Closed(Exception):
    """The server has closed the connection."""


def encoded(type_: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((type_, flags)) + stream.to_bytes(4, "big") + payload


class Wire:
    """One connection. ``path``: what is asked for; ``tls``: a context, and whom to ask for. :attr:`seen` is all that
    came, for what is told of a case that fails."""

    def __init__(
        self, address: tuple[str, int], path: str = "/", tls: tuple[ssl.SSLContext, str] | None = None
    ) -> None:
        self.path = path
        self.scheme = b"https" if tls else b"http"
        self.authority = f"{address[0]}:{address[1]}".encode() if tls is None else tls[1].encode()
        self.socket: socket.socket = socket.create_connection(address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls[0].wrap_socket(self.socket, server_hostname=tls[1])
        self.encoder = hpack.Encoder()
        self.settings: dict[int, int] = {}
        self.seen: list[str] = []
        self._data = b""
        self._deadline = time.monotonic() + PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def begin(self) -> None:
        """The preface and both sides' settings, agreed."""
        self.send(PREFACE + encoded(Type.SETTINGS, 0, 0))
        first = self.read()
        if first.type != Type.SETTINGS or first.flags & ACK:
            raise AssertionError(f"the first frame is {first}")
        payload = first.payload
        for start in range(0, len(payload), 6):
            self.settings[int.from_bytes(payload[start : start + 2], "big")] = int.from_bytes(
                payload[start + 2 : start + 6], "big"
            )
        self.write(Type.SETTINGS, ACK, 0)
        while True:
            frame = self.read()
            if frame.type == Type.SETTINGS and frame.flags & ACK:
                return

    def send(self, data: bytes) -> None:
        """Write; a server that has closed already is found out by reading."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.seen.append("(not written: closed)")

    def write(self, type_: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.send(encoded(type_, flags, stream, payload))

    def read(self) -> Frame:
        """The next frame. Raises Closed, and TimeoutError where none comes."""
        if time.monotonic() > self._deadline:
            raise TimeoutError
        while len(self._data) < HEADER or len(self._data) < self._due():
            self.socket.settimeout(max(self._deadline - time.monotonic(), 0.01))
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise
            except OSError:
                more = b""
            if not more:
                self.seen.append("(closed)")
                raise Closed
            self._data += more
        due = self._due()
        data, self._data = self._data[:due], self._data[due:]
        frame = Frame(data[3], data[4], int.from_bytes(data[5:9], "big") & 0x7FFFFFFF, data[HEADER:])
        self.seen.append(str(frame))
        return frame

    def _due(self) -> int:
        return HEADER + int.from_bytes(self._data[:3], "big")
