"""What stands before the first byte that is served: a PROXY header, which is taken, and a ClientHello, only looked at.

Both are read from the socket itself, before a transport has it: so not a byte of what follows is taken, and TLS finds
its hello where it was.
"""

from __future__ import annotations

import asyncio
import socket

from edgeproxy.listener import proxy_protocol
from edgeproxy.tls import client_hello

PAUSE, PAUSE_LONGEST = 0.01, 0.2  # seconds between looks at a socket that is readable without anything new


async def take_proxy_header(sock: socket.socket) -> proxy_protocol.Told:
    """Raises ProxyProtocolError, and OSError when the connection ends."""
    data = b""
    while (told := proxy_protocol.parse(data)) is None:
        data = await _peek(sock, len(data), proxy_protocol.V2_LONGEST)
    sock.recv(told.size)
    return told


async def peek_ja4(sock: socket.socket) -> str:
    """The client's JA4, "" if what it sends is no ClientHello or too long a one. Raises OSError when it ends."""
    data = b""
    try:
        while (ja4 := client_hello.fingerprint(data)) is None:
            data = await _peek(sock, len(data), client_hello.LONGEST)
    except client_hello.HelloError:
        return ""
    return ja4


async def peek_offer(sock: socket.socket) -> client_hello.Offer | None:
    """What the client asks for, None if what it sends is no ClientHello or too long a one. Raises OSError when it
    ends."""
    data = b""
    try:
        while (offer := client_hello.offer(data)) is None:
            data = await _peek(sock, len(data), client_hello.LONGEST)
    except client_hello.HelloError:
        return None
    return offer


async def _peek(sock: socket.socket, seen: int, most: int) -> bytes:
    """What has arrived, left in place; waits until that is more than was seen."""
    loop = asyncio.get_running_loop()
    pause = PAUSE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)  # what lies there does not make it readable again
    try:
        while True:
            readable: asyncio.Future[None] = loop.create_future()
            loop.add_reader(sock, _settle, readable)
            try:
                await readable
            finally:
                loop.remove_reader(sock)
            data = sock.recv(most, socket.MSG_PEEK)
            if not data:
                raise ConnectionResetError("closed before its first byte")
            if len(data) != seen:
                return data
            await asyncio.sleep(pause)  # the end has come behind what was seen, or it is a Unix socket
            pause = min(2 * pause, PAUSE_LONGEST)
    finally:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
