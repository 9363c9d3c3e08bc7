"""All listeners of a worker: accepting, counting, expiring and draining connections."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Coroutine
from typing import Any

from edgeproxy.clock import Clock
from edgeproxy.config.schema import LimitsConfig, ListenerConfig
from edgeproxy.config.snapshot import Snapshot
from edgeproxy.listener import plain, proxy_protocol
from edgeproxy.listener.http1 import Http1Connection
from edgeproxy.listener.tls import Certificates, describe
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.exchange import Peer

logger = logging.getLogger("edgeproxy.listener")

BACKLOG = 4096
SWEEP_INTERVAL = 0.5  # seconds between looks at the connections' deadlines
CLOSE_TURNS = 100
RECENT = 1.0  # seconds a draining server waits for a next request on a connection that was just in use


class Endpoint:
    """One listening address and what is known of it in advance."""

    def __init__(self, config: ListenerConfig) -> None:
        self.config = config
        self.scheme = b"https" if config.tls else b"http"
        self.certificates = Certificates(config.tls) if config.tls else None

    def trusts(self, address: str) -> bool:
        """Whether a PROXY header from there is believed. A Unix socket's peers are local and are."""
        if not address:
            return True
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self.config.proxy_protocol)

    def identify(self, transport: asyncio.BaseTransport, told: Peer | None) -> Peer:
        """Who is at the other end, ``told`` being what a PROXY header said."""
        connection = transport.get_extra_info("ssl_object")
        tls = describe(connection) if connection is not None else None
        if told is not None:
            return told._replace(tls=tls)
        address, port = _address(transport.get_extra_info("peername"))
        return Peer(address, port, "", _address(transport.get_extra_info("sockname"))[0], tls)


class Server:
    """A worker's client side. Assigning :attr:`snapshot` puts a new configuration into service.

    An exchange keeps the snapshot it started with; limits of a connection are those it was accepted under.
    """

    def __init__(self, snapshot: Snapshot, clock: Clock, metrics: Metrics) -> None:
        self.snapshot = snapshot
        self.clock = clock
        self.draining = False
        self.reader = plain.Reader()
        self._loop = asyncio.get_running_loop()
        self.call_soon = self._loop.call_soon
        self._connections: set[Http1Connection] = set()
        self._per_client: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[tuple[asyncio.Server | None, socket.socket, Endpoint]] = []
        self._sweeper: asyncio.TimerHandle | None = self._loop.call_later(SWEEP_INTERVAL, self._sweep)
        self._refused = metrics.counter(
            "edgeproxy_connections_refused_total", "Client connections closed at once, by limit.", ("limit",)
        )
        self._accepted = metrics.counter("edgeproxy_connections_total", "Client connections accepted.", ())
        metrics.gauge(
            "edgeproxy_connections", "Client connections open.", (), lambda: [((), float(len(self._connections)))]
        )

    @property
    def limits(self) -> LimitsConfig:
        return self.snapshot.config.limits

    async def listen(self, sock: socket.socket, listener: ListenerConfig) -> None:
        """Accept connections on a bound, listening socket; raises OSError or ssl.SSLError for bad certificates."""
        endpoint = Endpoint(listener)
        sock.setblocking(False)
        if listener.proxy_protocol:
            self._loop.add_reader(sock, self._accept_proxied, sock, endpoint)
            self._servers.append((None, sock, endpoint))
            return
        server = await self._loop.create_server(
            lambda: Http1Connection(self, endpoint),
            sock=sock,
            backlog=BACKLOG,
            **self._tls_options(endpoint),
        )
        self._servers.append((server, sock, endpoint))

    def reload_certificates(self) -> None:
        """Read certificate files again; what cannot be read is said and leaves the old ones in service."""
        for _, _, endpoint in self._servers:
            if endpoint.certificates is not None:
                try:
                    endpoint.certificates.reload()
                except (OSError, ValueError) as error:
                    logger.error("%s: certificates not reloaded: %s", endpoint.config.address, error)

    def _tls_options(self, endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.certificates is None:
            return {}
        return {"ssl": endpoint.certificates.context, "ssl_handshake_timeout": self.limits.head_timeout}

    # Connections behind a load balancer that speaks the PROXY protocol.

    def _accept_proxied(self, listening: socket.socket, endpoint: Endpoint) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError, InterruptedError):
            sock, _ = listening.accept()
            sock.setblocking(False)
            self.spawn(self._introduce(sock, endpoint))

    async def _introduce(self, sock: socket.socket, endpoint: Endpoint) -> None:
        """Read the header without a byte of what follows, then serve the connection as any other."""
        try:
            address, port = _address(sock.getpeername() if sock.family != socket.AF_UNIX else "")
            peer = Peer(address, port, "", _address(sock.getsockname())[0], None)
            if endpoint.trusts(address):
                told = await asyncio.wait_for(self._read_header(sock), self.limits.head_timeout)
                if told.address is not None:
                    peer = Peer(told.address, told.port, address, peer.local, None)
            await self._loop.connect_accepted_socket(
                lambda: Http1Connection(self, endpoint, peer), sock, **self._tls_options(endpoint)
            )
        except (OSError, TimeoutError, proxy_protocol.ProxyProtocolError) as error:
            logger.info("%s: connection refused: %s", endpoint.config.address, error or "no PROXY header in time")
            sock.close()

    async def _read_header(self, sock: socket.socket) -> proxy_protocol.Told:
        seen = -1
        while True:
            data = await self._peek(sock, seen)
            told = proxy_protocol.parse(data)
            if told is not None:
                sock.recv(told.size)
                return told
            if len(data) == seen:
                raise ConnectionResetError("closed within the PROXY header")
            seen = len(data)

    async def _peek(self, sock: socket.socket, seen: int) -> bytes:
        """What has arrived, left in place; waits until that is something new."""
        while True:
            readable: asyncio.Future[None] = self._loop.create_future()
            self._loop.add_reader(sock, _settle, readable)
            try:
                await readable
            finally:
                self._loop.remove_reader(sock)
            data = sock.recv(proxy_protocol.V2_LONGEST, socket.MSG_PEEK)
            if not data:
                raise ConnectionResetError("closed before a PROXY header")
            if len(data) != seen:
                return data
            await asyncio.sleep(0.01)  # readable stays true while unread bytes lie there

    # What connections ask of their server.

    def admit(self, connection: Http1Connection, client: str) -> bool:
        """Count a connection in, or refuse it: too many in all, or of one client."""
        self._accepted.inc()
        self._connections.add(connection)
        count = self._per_client[client] = self._per_client.get(client, 0) + 1
        limits = self.limits
        if len(self._connections) > limits.connections:
            self._refused.inc("connections")
            return False
        if client and count > limits.connections_per_client:
            self._refused.inc("connections_per_client")
            return False
        return True

    def forget(self, connection: Http1Connection, client: str) -> None:
        self._connections.discard(connection)
        count = self._per_client.get(client, 0) - 1
        if count > 0:
            self._per_client[client] = count
        else:
            self._per_client.pop(client, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _sweep(self) -> None:
        now = self.clock.monotonic()
        for connection in list(self._connections):
            if connection.deadline < now:
                connection.expire(now)
            elif self.draining:
                connection.retire(now, RECENT)
        self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    # The end.

    async def drain(self, grace: float, delay: float = 0.0) -> None:
        """Stop without cutting anyone off: for ``delay`` seconds go on accepting and tell clients that their connection
        closes; then accept what still waits in the queues, stop listening, and give exchanges ``grace`` seconds."""
        self.draining = True
        if delay:
            await asyncio.sleep(delay)
        await self.stop_accepting()
        deadline = self._loop.time() + grace
        while self._connections and self._loop.time() < deadline:
            await asyncio.sleep(0.05)
            now = self.clock.monotonic()
            for connection in list(self._connections):
                connection.retire(now, RECENT)
        for connection in list(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop_accepting(self) -> None:
        """Take what waits in the accept queues, then stop listening."""
        servers, self._servers = self._servers, []
        for server, sock, endpoint in servers:
            late = sock.dup()
            if server is None:
                self._loop.remove_reader(sock)
                sock.close()
            else:
                server.close()
                for _ in range(CLOSE_TURNS):  # the loop closes its own descriptor a turn or two later
                    if sock.fileno() < 0:
                        break
                    await asyncio.sleep(0)
            await self._take_waiting(late, endpoint)

    async def _take_waiting(self, listening: socket.socket, endpoint: Endpoint) -> None:
        with listening:
            while True:
                try:
                    sock, _ = listening.accept()
                except OSError:
                    return
                sock.setblocking(False)
                if endpoint.config.proxy_protocol:
                    self.spawn(self._introduce(sock, endpoint))
                else:
                    await self._loop.connect_accepted_socket(
                        lambda: Http1Connection(self, endpoint), sock, **self._tls_options(endpoint)
                    )

    def __repr__(self) -> str:
        return f"<Server {len(self._connections)} connections{', draining' if self.draining else ''}>"


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _address(name: Any) -> tuple[str, int]:
    """Address and port of a socket name; a Unix socket has neither."""
    if not isinstance(name, tuple):
        return "", 0
    address = str(name[0])
    return address.removeprefix("::ffff:"), int(name[1])
