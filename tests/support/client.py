"""A client that writes bytes, not requests."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Self

from tests.support.answers import Answer, Answers, NotHTTP, Unfinished, first_answer, split_answers

__all__ = ["Answer", "Answers", "NotHTTP", "RawClient", "Unfinished", "ask", "first_answer", "split_answers"]


class RawClient:
    """One connection; ``received`` is every byte read from it so far.

    ``address`` is (host, port), or a Unix socket's path. ``source``: the loopback address to come from.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        *,
        timeout: float = 5.0,
        source: str | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str = "localhost",
        receive_buffer: int | None = None,
    ) -> None:
        self.timeout = timeout
        self.received = bytearray()
        self.closed = False
        """The peer has closed or reset the connection."""
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        try:
            if receive_buffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source is not None:
                self.socket.bind((source, 0))
            self.socket.connect(address)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *segments: bytes, between: Callable[[], None] | None = None) -> None:
        """Write the segments one by one; ``between`` runs after each. A peer that has left is no error."""
        for segment in segments:
            try:
                self.socket.sendall(segment)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                return
            if between is not None:
                between()

    def finish(self) -> None:
        """Say that nothing more will be sent (FIN); answers can still be read."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def reset(self) -> None:
        """Leave at once (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_some(self, timeout: float | None = None) -> bytes:
        """What comes next; b"" when the peer closed (see :attr:`closed`) or nothing came in time."""
        self.socket.settimeout(max(timeout if timeout is not None else self.timeout, 0.001))
        try:
            data = self.socket.recv(262144)
        except TimeoutError:
            return b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
        self.received += data
        return data

    def read_until(self, condition: Callable[[bytearray], bool], timeout: float | None = None) -> bytes:
        """Read until ``condition`` holds of all that was received, the peer closes, or time is up."""
        deadline = time.monotonic() + (timeout if timeout is not None else self.timeout)
        while not self.closed and not condition(self.received) and (left := deadline - time.monotonic()) > 0:
            self.read_some(left)
        return bytes(self.received)

    def read_to_close(self, timeout: float | None = None) -> bytes:
        return self.read_until(lambda _: False, timeout)

    def answers(self, count: int, methods: Sequence[bytes] = (), timeout: float | None = None) -> Answers:
        """Read until ``count`` final answers are complete, the peer closes, or time is up, and split strictly."""

        def enough(received: bytearray) -> bool:
            return len(split_answers(bytes(received), methods, closed=False).final) >= count

        self.read_until(enough, timeout)
        return split_answers(bytes(self.received), methods, closed=self.closed)


def ask(address: tuple[str, int] | str, *segments: bytes, timeout: float = 20.0) -> Answers:
    """Send on a connection of its own, read until it closes or one answer is complete."""
    with RawClient(address, timeout=timeout) as client:
        client.send(*segments)
        method = segments[0].split(b" ", 1)[0] if segments else b"GET"
        return client.answers(1, (method,))
