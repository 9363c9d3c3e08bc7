"""One connection of a simulated client: bytes out, statuses and times in."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

# A status, the seconds it took, and the answer's body if it is kept.
Answered = Callable[[int, float, bytes], None]


class Connection(asyncio.Protocol):
    """Sends heads as they are given; ``answered`` is called for each answer, 0 standing for one that did not come.
    Bodies are thrown away unless ``keeps``."""

    def __init__(self, answered: Answered, *, keeps: bool = False) -> None:
        self._answered = answered
        self._keeps = keeps
        self._asked: deque[float] = deque()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self.cookies: dict[bytes, bytes] = {}
        self.transport: asyncio.Transport | None = None
        self.opened = 0.0
        self.closed = 0.0
        self.idle = asyncio.Event()
        """Nothing is waited for."""
        self.idle.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.opened = time.monotonic()

    def send(self, head: bytes) -> None:
        """Ask. On a connection that is closed the answer does not come."""
        self._asked.append(time.monotonic())
        self.idle.clear()
        if self.transport is None or self.closed:
            self._give_up()
        else:
            self.transport.write(head)

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.closed and not self.transport.is_closing()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = time.monotonic()
        self._give_up()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _give_up(self) -> None:
        while self._asked:
            self._answered(0, time.monotonic() - self._asked.popleft(), b"")
        self.idle.set()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"set-cookie":
            crumb, _, content = value.partition(b";")[0].partition(b"=")
            self.cookies[crumb.strip()] = content.strip()

    def on_body(self, data: bytes) -> None:
        if self._keeps:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._asked:
            return
        taken = time.monotonic() - self._asked.popleft()
        body = b"".join(self._body)
        self._body.clear()
        if not self._asked:
            self.idle.set()
        self._answered(self._parser.get_status_code(), taken, body)


async def connect(
    connection: Connection,
    address: tuple[str, int],
    source: str,
    *,
    receive_buffer: int | None = None,
    tls: ssl.SSLContext | None = None,
) -> bool:
    """Open a connection from a loopback address; False if the node does not take it."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET)
    try:
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.bind((source, 0))
        await loop.sock_connect(sock, address)
        await loop.create_connection(
            lambda: connection, sock=sock, ssl=tls, server_hostname=None if tls is None else "localhost"
        )
    except OSError:
        sock.close()
        return False
    return True
