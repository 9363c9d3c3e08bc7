"""The listening sockets: opened by the supervisor, lent to workers, open as long as any generation needs them.

For a TCP address there is one SO_REUSEPORT socket for each worker, so that the kernel spreads connections evenly and
the successor of a dead worker finds its accept queue. A Unix socket is one for all.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

from edgeproxy.config.units import AddressValue

BACKLOG = 4096
UNIX_MODE = 0o660

_ADVICE = {
    errno.EADDRINUSE: "another process listens there; stop it or take another address",
    errno.EACCES: "not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine does not speak this protocol (IPv6 off?)",
    errno.ENOENT: "there is no such folder",
}


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
                    port = present[0].getsockname()[1] if present and not address.path else address.port
                    present.append(listen(address._replace(port=port)))  # port 0: the first one's, whatever it got
                    added.append(address)
        except ListenError:
            for address in added:
                self._open[address].pop().close()
            self._open = {address: sockets for address, sockets in self._open.items() if sockets}
            raise

    def lend(self, worker: int) -> dict[str, socket.socket]:
        """The sockets of one worker, by address."""
        return {str(address): sockets[0 if address.path else worker] for address, sockets in self._open.items()}

    def keep(self, addresses: Iterable[AddressValue], workers: int) -> None:
        """Close this process's copy of all other sockets; workers that still serve one have their own."""
        wanted = set(addresses)
        for address in list(self._open):
            count = 0 if address not in wanted else 1 if address.path else workers
            for sock in self._open[address][count:]:
                sock.close()
            del self._open[address][count:]
            if not self._open[address]:
                del self._open[address]
                if address.path:
                    Path(address.path).unlink(missing_ok=True)

    def close(self) -> None:
        self.keep((), 0)

    def __repr__(self) -> str:
        return f"<Sockets { ({str(address): len(sockets) for address, sockets in self._open.items()}) }>"


def listen(address: AddressValue) -> socket.socket:
    """A listening socket. Raises ListenError."""
    try:
        return _listen_unix(address.path) if address.path else _listen_tcp(address)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise ListenError(f"cannot listen on {address}: {advice}") from error


def _listen_tcp(address: AddressValue) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address.host, address.port))
        sock.listen(BACKLOG)
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
