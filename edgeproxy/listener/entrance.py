"""Connections of which something is learnt before their first byte is served: PROXY header, hello, handshake."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from edgeproxy.listener.opening import peek_ja4, peek_offer, take_proxy_header
from edgeproxy.listener.proxy_protocol import ProxyProtocolError
from edgeproxy.observe.metrics import Counter, Metrics
from edgeproxy.pipeline.exchange import Peer, TLSInfo
from edgeproxy.tls.handshake import CONNECTING

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

logger = logging.getLogger("edgeproxy.listener")

ACCEPT_AGAIN: Final = 0.5  # seconds until a listener is tried again for which there was no file or memory


class Entrance:
    """A server's; ``len()`` says how many connections are in it."""

    def __init__(self, server: Server, metrics: Metrics, refused: Counter) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._refused = refused
        self._under_way: set[asyncio.Task[None]] = set()
        self._per_client: dict[str, int] = {}
        unfinished = metrics.counter(
            "edgeproxy_handshakes_failed_total",
            "Connections that ended before their handshake or PROXY header did.",
            (),
        )
        self.unfinished = unfinished.inc

    def __len__(self) -> int:
        return len(self._under_way)

    def open(self, listening: socket.socket, endpoint: Endpoint) -> None:
        """Accept connections on a listening socket, until :meth:`shut`."""
        self._loop.add_reader(listening, self._accept, listening, endpoint)

    def shut(self, listening: socket.socket) -> None:
        self._loop.remove_reader(listening)

    def cancel(self) -> None:
        """Cut off all that are in it."""
        for task in list(self._under_way):
            task.cancel()

    def _accept(self, listening: socket.socket, endpoint: Endpoint) -> None:
        try:
            sock, name = listening.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError as error:  # no file or memory is left: a moment later there may be
            self._refused.inc("files")
            self._server.make_room()
            logger.warning("%s: nothing accepted: %s", endpoint.config.address, error)
            self._loop.remove_reader(listening)
            self._loop.call_later(ACCEPT_AGAIN, self._accept_again, listening, endpoint)
            return
        self.welcome(sock, name, endpoint)

    def _accept_again(self, listening: socket.socket, endpoint: Endpoint) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening, self._accept, listening, endpoint)

    def welcome(self, sock: socket.socket, name: Any, endpoint: Endpoint) -> None:
        """Begin with a connection from ``name``, unless too many have begun and got no farther."""
        server = self._server
        limits = server.limits
        address, port = address_of(name)
        believed = bool(endpoint.config.proxy_protocol) and endpoint.trusts(address)
        counted = "" if believed else address
        limit = ""
        if len(self._under_way) >= limits.handshakes:
            limit = "handshakes"
        elif counted and self._per_client.get(counted, 0) >= limits.handshakes_per_client:
            limit = "handshakes_per_client"
        elif server.full(len(self._under_way)):
            limit = "connections"
        if limit:
            self._refused.inc(limit)
            sock.close()
            return
        self._per_client[counted] = self._per_client.get(counted, 0) + 1
        task = server.spawn(self._introduce(sock, address, port, endpoint))
        self._under_way.add(task)
        task.add_done_callback(partial(self._leave, counted))

    def _leave(self, counted: str, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._per_client[counted] -= 1
        if not self._per_client[counted]:
            del self._per_client[counted]

    async def _introduce(self, sock: socket.socket, address: str, port: int, endpoint: Endpoint) -> None:
        """Learn what there is to be learnt, then serve the connection as any other."""
        certificates = endpoint.certificates
        context = None if certificates is None else certificates.context
        try:
            local = endpoint.local or address_of(sock.getsockname())[0]
            peer = Peer(address, port, "", local, None)
            proofs = endpoint.proofs
            pending = proofs is not None and proofs.pending()
            if pending or endpoint.fingerprints or endpoint.config.proxy_protocol:
                sock.setblocking(False)
                async with asyncio.timeout(self._server.limits.head_timeout):
                    peer = await _learn(sock, peer, endpoint)
                    if pending and proofs is not None:
                        context = proofs.answer(await peek_offer(sock)) or context
            await self._serve(sock, peer, endpoint, context)
        except (OSError, TimeoutError, ProxyProtocolError) as error:
            # Whoever scans or floods a TLS listener writes no log; a balancer that is set up wrong is worth a line.
            level = logging.INFO if endpoint.config.proxy_protocol else logging.DEBUG
            logger.log(level, "%s: connection refused: %s", endpoint.config.address, error or "nothing in time")
            self.unfinished()
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    async def _serve(self, sock: socket.socket, peer: Peer, endpoint: Endpoint, context: Any) -> None:
        begin = endpoint.begin
        if context is None:
            await self._loop.connect_accepted_socket(lambda: begin(peer), sock)
            return
        CONNECTING.set(sock)
        timeout = self._server.limits.head_timeout
        await self._loop.connect_accepted_socket(lambda: begin(peer), sock, ssl=context, ssl_handshake_timeout=timeout)

    def __repr__(self) -> str:
        return f"<Entrance {len(self._under_way)} connections>"


async def _learn(sock: socket.socket, peer: Peer, endpoint: Endpoint) -> Peer:
    """What stands before the handshake. Raises OSError, ProxyProtocolError."""
    if endpoint.config.proxy_protocol and endpoint.trusts(peer.address):
        told = await take_proxy_header(sock)
        if told.address is not None:
            peer = Peer(told.address, told.port, peer.address, peer.local, None)
    if endpoint.fingerprints:
        peer = peer._replace(tls=TLSInfo("", "", "", None, await peek_ja4(sock)))
    return peer


def address_of(name: Any) -> tuple[str, int]:
    """Address and port of a socket name; a Unix socket has neither."""
    if not isinstance(name, tuple):
        return "", 0
    address = str(name[0])
    return address.removeprefix("::ffff:"), int(name[1])
