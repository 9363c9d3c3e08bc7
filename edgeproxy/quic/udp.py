"""A datagram socket on the loop: many datagrams a system call both ways, segmented by the kernel where it can."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from qh3._hazmat import UdpSocketState

from edgeproxy.quic.tokens import Address

BURST: Final = 16  # reads in one turn of the loop, up to 32 datagrams each
WAITING_MOST: Final = 4096  # datagrams the kernel had no room for; QUIC sends again what is thrown away beyond
_OFFLOADING: Final = frozenset((errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT))

Received = list[tuple[bytes, Address]]


class Datagrams:
    """``sock`` is bound, and its owner's to close after :meth:`close`. ``receive`` is given what came."""

    def __init__(self, sock: socket.socket, receive: Callable[[Received], None]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._state = UdpSocketState(sock.fileno())
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._plain = False  # the way does not let the kernel segment
        self._closed = False
        self._loop.add_reader(sock, self._readable)

    def send(self, datagrams: list[bytes], address: Address) -> None:
        """Send what goes to one address, in order."""
        while datagrams and not self._waiting and not self._closed:
            try:
                sent = self._state.send(datagrams, address)
            except OSError as error:
                sent = getattr(error, "datagrams_sent", 0)
                if error.errno in _OFFLOADING and len(datagrams) > 1 and not self._plain:
                    self._plain = True
                    self._state.disable_gso()
                else:
                    sent += 1  # too long for the way, or nobody is there: for this one there is no other try
            else:
                if sent < len(datagrams):
                    self._loop.add_writer(self._socket, self._writable)
                    self._wait(datagrams[sent:], address)
                return
            datagrams = datagrams[sent:]
        if not self._closed:
            self._wait(datagrams, address)

    def close(self) -> None:
        """Send what waits if there is room at once, and stop."""
        if self._waiting:
            self._writable()
        self._closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._waiting.clear()

    def _wait(self, datagrams: list[bytes], address: Address) -> None:
        room = WAITING_MOST - len(self._waiting)
        self._waiting.extend([(datagram, address) for datagram in datagrams[:room]])

    def _readable(self) -> None:
        for _ in range(BURST):
            try:
                received = self._state.recv()
            except OSError:
                return  # what an earlier datagram met on its way (ICMP); QUIC finds out by itself
            if not received:
                return
            self._receive(received)

    def _writable(self) -> None:
        waiting = self._waiting
        while waiting:
            datagram, address = waiting[0]
            try:
                if not self._state.send([datagram], address):
                    return
            except OSError:
                pass
            waiting.popleft()
        self._loop.remove_writer(self._socket)

    def __repr__(self) -> str:
        return f"<Datagrams {len(self._waiting)} waiting>"
