"""The listening sockets: opened by the supervisor, lent to workers, open as long as any generation needs them.

For a TCP address there is one SO_REUSEPORT socket for each worker, so that the kernel spreads connections evenly and
the successor of a dead worker finds its accept queue; so there is for datagrams, on the same port. A Unix socket is one
for all.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from edgeproxy.config.units import AddressValue

BACKLOG = 4096
HANDSHAKES = 0.3  # seconds for handshakes that have begun when new ones are turned away: a round trip, with room
UNIX_MODE = 0o660

_ADVICE = {
    errno.EADDRINUSE: "another process listens there; stop it or take another address",
    errno.EACCES: "not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine does not speak this protocol (IPv6 off?)",
    errno.ENOENT: "there is no such folder",
}


_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Classic BPF over a TCP header: drop what has SYN and not ACK in its flags, byte 13 (RFC 9293 §3.1); take the rest.
_NO_SYN = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),
        (0x54, 0, 0, 0x12),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 1 << 18),
    )
)


class ListenError(Exception):
    """An address cannot be listened on; the text says which, why, and what to do."""


class Sockets:
    """The open sockets by address; the n-th of a list is the n-th worker's."""

    def __init__(self) -> None:
        self._open: dict[AddressValue, list[socket.socket]] = {}

    def provide(self, addresses: Iterable[AddressValue], workers: int) -> None:
        """Have sockets for ``workers`` workers on all ``addresses``; what is open stays. All or nothing: raises
        ListenError and leaves no new socket behind."""
        added: list[AddressValue] = []
        try:
            for address in addresses:
                present = self._open.setdefault(address, [])
                while len(present) < (1 if address.path else workers):
                    wanted = self._with_port(address)
                    present.append(_first(wanted) if not present else _another(wanted, present[0]))
                    added.append(address)
        except ListenError:
            for address in added:
                self._open[address].pop().close()
            self._open = {address: sockets for address, sockets in self._open.items() if sockets}
            raise

    def _with_port(self, address: AddressValue) -> AddressValue:
        """Datagrams come on the port that connections to the same address have, where that is any."""
        if not address.datagrams or address.port:
            return address
        connections = self._open.get(address._replace(datagrams=False))
        return address._replace(port=connections[0].getsockname()[1]) if connections else address

    def bound(self) -> list[tuple[str, AddressValue]]:
        """The addresses as configured, each with the one that is open: port 0 has become a real one."""
        return [
            (str(address), address if address.path else address._replace(port=sockets[0].getsockname()[1]))
            for address, sockets in self._open.items()
        ]

    def lend(self, addresses: Iterable[AddressValue], worker: int) -> dict[str, socket.socket]:
        """The sockets of one worker, by address."""
        return {str(address): self._open[address][0 if address.path else worker] for address in addresses}

    def keep(self, addresses: Iterable[AddressValue], workers: int) -> None:
        """Close this process's copy of all other sockets; workers that still serve one have their own."""
        wanted = set(addresses)
        for address in list(self._open):
            count = 0 if address not in wanted else 1 if address.path else workers
            for sock in self._open[address][count:]:
                _turn_away(sock)
                sock.close()
            del self._open[address][count:]
            if not self._open[address]:
                del self._open[address]
                if address.path:
                    remove_file(address.path)

    def release(self) -> None:
        """Begin no new connection, and close this process's copies: an address is closed when the last worker leaves
        it. One that does so ``HANDSHAKES`` seconds later has been given every connection that was begun before."""
        for address, sockets in self._open.items():
            if address.path:
                remove_file(address.path)
            for sock in sockets:
                _turn_away(sock)
                sock.close()

    def close(self) -> None:
        self.keep((), 0)

    def __repr__(self) -> str:
        return f"<Sockets { ({str(address): len(sockets) for address, sockets in self._open.items()}) }>"


def listen_alone(address: AddressValue) -> socket.socket:
    """A listening socket that shares its address with no other. Raises ListenError."""
    return _opened(address, reuse_port=False)


def remove_file(path: str) -> None:
    """Take away the file of a Unix socket that was closed."""
    Path(path).unlink(missing_ok=True)


def _turn_away(sock: socket.socket) -> None:
    """Let the kernel begin no new TCP connection here. Clients ask again after a second, and find another listener or
    none; closing at once would reset whoever completes a handshake meanwhile."""
    if sock.family == socket.AF_UNIX or sock.fileno() < 0 or sock.type == socket.SOCK_DGRAM:
        return
    program = ctypes.create_string_buffer(_NO_SYN)
    pointer = struct.pack("HL", len(_NO_SYN) // 8, ctypes.addressof(program))
    with contextlib.suppress(OSError):  # a kernel without socket filters resets the last ones
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


def _first(address: AddressValue) -> socket.socket:
    """SO_REUSEPORT would let a second edgeproxy take half of the first one's connections, so ask without it before."""
    if not address.path:
        _opened(address, reuse_port=False, backlog=None).close()
    return _opened(address, reuse_port=True)


def _another(address: AddressValue, first: socket.socket) -> socket.socket:
    port = first.getsockname()[1]  # for port 0, whatever the first one got
    return _opened(address._replace(port=port), reuse_port=True)


def _opened(address: AddressValue, *, reuse_port: bool, backlog: int | None = BACKLOG) -> socket.socket:
    try:
        if address.path:
            return _listen_unix(address.path)
        return _bind(address, reuse_port, backlog)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise ListenError(f"cannot listen on {address}: {advice}") from error


def _bind(address: AddressValue, reuse_port: bool, backlog: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM if address.datagrams else socket.SOCK_STREAM)
    try:
        if not address.datagrams:  # for datagrams it would let any process take the port too (socket(7))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address.host, address.port))
        if backlog is not None and not address.datagrams:
            sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _listen_unix(path: str) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o777 & ~UNIX_MODE)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return sock


def _remove_stale(path: str) -> None:
    """Take away the socket file of a process that is gone. Raises OSError if somebody listens, or it is no socket."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
