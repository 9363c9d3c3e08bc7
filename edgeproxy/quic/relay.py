"""Datagrams between the workers of a node: the kernel gives each to a worker by its addresses, and a client that moves
meets another one than the one that has its connection.

Each worker has a number, which its connection ids bear, and a Unix socket in the node's folder. An id without a number
(QUIC's core draws the later ones at random) is asked for among all; its owner answers, and is remembered.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgeproxy.quic.ids import WORKERS_MOST
from edgeproxy.quic.tokens import Address

KNOWN_MOST: Final = 4096
ASKED_MOST: Final = 100.0  # at once of datagrams that go to all, and as many a second
BATCH: Final = 32
LONGEST: Final = 66_000
_FOLDER_LISTED: Final = 1.0  # seconds that what the folder holds is believed
_DATAGRAM: Final = 0
_CLAIM: Final = 1
_HEAD: Final = struct.Struct("!BBHII4s")  # what, from whom, port, flow, scope, which listener; then the host's length

# Takes a datagram for one of the listeners; whether it is of a connection here.
Take = Callable[[bytes, bytes, Address], bool]


class Relay:
    """One worker's end. ``take(listener, data, address)`` is given what others pass on. Raises OSError if the folder
    has no place for a socket, or :data:`WORKERS_MOST` workers have one."""

    def __init__(self, folder: Path, monotonic: Callable[[], float], take: Take) -> None:
        self._folder = folder
        self._clock = monotonic
        self._take = take
        self._loop = asyncio.get_running_loop()
        self.number, self._held = _claim_number(folder)
        path = self._path(self.number)
        path.unlink(missing_ok=True)  # of a worker that is gone
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self._loop.add_reader(self._socket, self._readable)
        self._owners: dict[bytes, int] = {}  # of ids without a number
        self._left = ASKED_MOST
        self._since = monotonic()
        self._listed = -_FOLDER_LISTED
        self._others: list[int] = []
        self._staying: list[int] = []
        self._leaving.unlink(missing_ok=True)
        self.passed = 0  # datagrams

    def give(
        self, worker: int | None, cid: bytes, listener: bytes, data: bytes, address: Address, *, ask: bool = True
    ) -> None:
        """Pass a datagram on: to ``worker``, to the one that has said the id ``cid`` is its, or to all others, if they
        are to be asked."""
        if worker is None:
            worker = self._owners.get(cid)
        if worker is not None:
            if worker in self._other_workers():
                self._send(worker, _DATAGRAM, listener, address, data)
            return
        if ask and self._may_ask():
            for other in self._other_workers():
                self._send(other, _DATAGRAM, listener, address, data)

    def has(self, worker: int | None) -> bool:
        """Whether that is another worker that lives."""
        return worker is not None and worker in self._other_workers()

    def successor(self, cid: bytes) -> int | None:
        """A worker that stays, always the same one for an id; None if none does."""
        self._other_workers()
        return self._staying[int.from_bytes(cid[:4], "big") % len(self._staying)] if self._staying else None

    def leave(self) -> None:
        """Tell the others that this worker begins nothing new."""
        self._leaving.touch()

    def close(self) -> None:
        """Be nobody any more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._path(self.number).unlink(missing_ok=True)
        self._leaving.unlink(missing_ok=True)
        os.close(self._held)

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                message = self._socket.recv(LONGEST)
            except OSError:
                return
            if len(message) > _HEAD.size:
                self._receive(message)

    def _receive(self, message: bytes) -> None:
        what, worker, port, flow, scope, listener = _HEAD.unpack_from(message)
        begin = _HEAD.size + 1
        host = message[begin : begin + message[_HEAD.size]]
        data = message[begin + len(host) :]
        if what == _CLAIM:
            self._remember(data, worker)
            return
        name = host.decode("ascii")
        address: Address = (name, port, flow, scope) if ":" in name else (name, port)
        if self._take(listener, data, address) and data[0] < 0x80:
            self._send(worker, _CLAIM, listener, address, data[1:9])

    def _remember(self, cid: bytes, worker: int) -> None:
        if len(self._owners) >= KNOWN_MOST:
            self._owners.clear()
        self._owners[cid] = worker

    def _send(self, worker: int, what: int, listener: bytes, address: Address, data: bytes) -> None:
        host = address[0].encode("ascii")
        flow, scope = (address[2], address[3]) if len(address) == 4 else (0, 0)
        head = _HEAD.pack(what, self.number, address[1], flow, scope, listener)
        try:
            self._socket.sendto(b"%b%c%b%b" % (head, len(host), host, data), str(self._path(worker)))
        except OSError:
            return  # it is gone, or has too much to do; QUIC sends again what is lost
        self.passed += what == _DATAGRAM

    def _may_ask(self) -> bool:
        now = self._clock()
        self._left = min(ASKED_MOST, self._left + ASKED_MOST * (now - self._since))
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _other_workers(self) -> list[int]:
        now = self._clock()
        if now - self._listed >= _FOLDER_LISTED:
            self._listed = now
            here = (path.suffix.removeprefix(".") for path in self._folder.glob("quic.*"))
            self._others = [int(number) for number in here if number.isdigit() and int(number) != self.number]
            self._staying = [other for other in self._others if not self._sign(other).exists()]
        return self._others

    @property
    def _leaving(self) -> Path:
        return self._sign(self.number)

    def _sign(self, worker: int) -> Path:
        """The file that says that a worker leaves."""
        return self._folder / f"quic-leaving-{worker}"

    def _path(self, worker: int) -> Path:
        return self._folder / f"quic.{worker}"

    def __repr__(self) -> str:
        return f"<Relay of worker {self.number}>"


def _claim_number(folder: Path) -> tuple[int, int]:
    """The lowest number no living worker has, and the descriptor that holds it."""
    for number in range(WORKERS_MOST):
        held = os.open(folder / f"quic-worker-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
        else:
            return number, held
    raise OSError("every number for a worker's QUIC socket is taken")
