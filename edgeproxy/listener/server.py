"""All listeners of a worker: accepting, counting, expiring and draining connections."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Coroutine
from heapq import nsmallest
from typing import Any

from edgeproxy.clock import Clock
from edgeproxy.config.schema import LimitsConfig, ListenerConfig
from edgeproxy.config.snapshot import Snapshot
from edgeproxy.listener import plain
from edgeproxy.listener.http1 import Http1Connection
from edgeproxy.listener.opening import peek_ja4, take_proxy_header
from edgeproxy.listener.proxy_protocol import ProxyProtocolError
from edgeproxy.listener.tls import Certificates, describe
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.exchange import Peer, TLSInfo

logger = logging.getLogger("edgeproxy.listener")

BACKLOG = 4096
SWEEP_INTERVAL = 0.5  # seconds between looks at the connections' deadlines
CLOSE_TURNS = 100
EVICTED = 32  # the part of all connections that makes room at once, as its denominator
RECENT = 1.0  # seconds a draining server waits for a next request on a connection that was just in use


class Endpoint:
    """One listening address and what is known of it in advance."""

    def __init__(self, config: ListenerConfig) -> None:
        self.config = config
        self.scheme = b"https" if config.tls else b"http"
        self.certificates = Certificates(config.tls) if config.tls else None
        self.fingerprints = config.tls is not None and config.tls.fingerprint
        self.introduces = bool(config.proxy_protocol) or config.tls is not None

    def trusts(self, address: str) -> bool:
        """Whether a PROXY header from there is believed. A Unix socket's peers are local and are."""
        if not address:
            return True
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self.config.proxy_protocol)

    def identify(self, transport: asyncio.BaseTransport, told: Peer | None) -> Peer:
        """Who is at the other end, ``told`` being what was learnt before its first byte."""
        connection = transport.get_extra_info("ssl_object")
        ja4 = told.tls.ja4 if told is not None and told.tls is not None else ""
        tls = describe(connection, ja4) if connection is not None else None
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
        self._evicted: set[Http1Connection] = set()
        self._room_after = 0.0  # when it makes sense again to look for idle connections
        self._introducing: dict[str, int] = {}
        self._introductions: set[asyncio.Task[None]] = set()
        self._servers: list[tuple[asyncio.Server | None, socket.socket, Endpoint]] = []
        self._sweeper: asyncio.TimerHandle | None = self._loop.call_later(SWEEP_INTERVAL, self._sweep)
        self._refused = metrics.counter(
            "edgeproxy_connections_refused_total", "Client connections closed at once, by limit.", ("limit",)
        )
        self._unfinished = metrics.counter(
            "edgeproxy_handshakes_failed_total",
            "Connections that ended before their handshake or PROXY header did.",
            (),
        )
        self._made_room = metrics.counter(
            "edgeproxy_connections_evicted_total", "Idle client connections closed to make room for new ones.", ()
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
        if endpoint.introduces:
            self._loop.add_reader(sock, self._accept, sock, endpoint)
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

    # Connections with something to be learnt before their first byte.

    def _accept(self, listening: socket.socket, endpoint: Endpoint) -> None:
        try:
            sock, name = listening.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError as error:  # no file or memory is left: a moment later there may be
            self._refused.inc("files")
            self._make_room()
            logger.warning("%s: nothing accepted: %s", endpoint.config.address, error)
            self._loop.remove_reader(listening)
            self._loop.call_later(SWEEP_INTERVAL, self._accept_again, listening, endpoint)
            return
        self._welcome(sock, _address(name)[0], endpoint)

    def _accept_again(self, listening: socket.socket, endpoint: Endpoint) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening, self._accept, listening, endpoint)

    def _welcome(self, sock: socket.socket, address: str, endpoint: Endpoint) -> None:
        """Begin with a connection, unless too many have begun and got no farther."""
        limits = self.limits
        believed = bool(endpoint.config.proxy_protocol) and endpoint.trusts(address)
        counted = "" if believed else address
        limit = ""
        if len(self._introductions) >= limits.handshakes:
            limit = "handshakes"
        elif counted and self._introducing.get(counted, 0) >= limits.handshakes_per_client:
            limit = "handshakes_per_client"
        elif len(self._introductions) + self._staying >= limits.connections and not self._make_room():
            limit = "connections"
        if limit:
            self._refused.inc(limit)
            sock.close()
            return
        sock.setblocking(False)
        self._introducing[counted] = self._introducing.get(counted, 0) + 1
        task = self.spawn(self._introduce(sock, endpoint))
        self._introductions.add(task)
        task.add_done_callback(lambda ended: self._introduced(ended, counted))

    def _introduced(self, task: asyncio.Task[None], address: str) -> None:
        self._introductions.discard(task)
        self._introducing[address] -= 1
        if not self._introducing[address]:
            del self._introducing[address]

    async def _introduce(self, sock: socket.socket, endpoint: Endpoint) -> None:
        """Read the PROXY header, look at the ClientHello, then serve the connection as any other."""
        try:
            address, port = _address(sock.getpeername() if sock.family != socket.AF_UNIX else "")
            peer = Peer(address, port, "", _address(sock.getsockname())[0], None)
            async with asyncio.timeout(self.limits.head_timeout):
                if endpoint.config.proxy_protocol and endpoint.trusts(address):
                    told = await take_proxy_header(sock)
                    if told.address is not None:
                        peer = Peer(told.address, told.port, address, peer.local, None)
                if endpoint.fingerprints:
                    peer = peer._replace(tls=TLSInfo("", "", "", None, await peek_ja4(sock)))
            await self._loop.connect_accepted_socket(
                lambda: Http1Connection(self, endpoint, peer), sock, **self._tls_options(endpoint)
            )
        except (OSError, TimeoutError, ProxyProtocolError) as error:
            # Whoever scans or floods a TLS listener writes no log; a balancer that is set up wrong is worth a line.
            level = logging.INFO if endpoint.config.proxy_protocol else logging.DEBUG
            logger.log(level, "%s: connection refused: %s", endpoint.config.address, error or "nothing in time")
            self._unfinished.inc()
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    # What connections ask of their server.

    def admit(self, connection: Http1Connection, client: str) -> bool:
        """Count a connection in, or refuse it: too many in all, or of one client."""
        self._accepted.inc()
        self._connections.add(connection)
        count = self._per_client[client] = self._per_client.get(client, 0) + 1
        limits = self.limits
        if client and count > limits.connections_per_client:
            self._refused.inc("connections_per_client")
            return False
        if self._staying > limits.connections and not self._make_room(connection):
            self._refused.inc("connections")
            return False
        return True

    @property
    def _staying(self) -> int:
        return len(self._connections) - len(self._evicted)

    def _make_room(self, newcomer: Http1Connection | None = None) -> bool:
        """Close the idle connections that are needed least, many at a time; whether there were any."""
        now = self.clock.monotonic()
        if now < self._room_after:
            return False
        idle = [one for one in self._connections - self._evicted if one.waits and one is not newcomer]
        least = nsmallest(max(1, self.limits.connections // EVICTED), idle, key=_need)
        for connection in least:
            self._made_room.inc()
            self._evicted.add(connection)
            connection.abort()
        if not least:
            self._room_after = now + SWEEP_INTERVAL  # all are busy: looking at each for every newcomer costs too much
        return bool(least)

    def forget(self, connection: Http1Connection, client: str) -> None:
        self._connections.discard(connection)
        self._evicted.discard(connection)
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
        while (self._connections or self._introductions) and self._loop.time() < deadline:
            await asyncio.sleep(0.05)
            now = self.clock.monotonic()
            for connection in list(self._connections):
                connection.retire(now, RECENT)
        for connection in list(self._connections):
            connection.abort()
        for task in list(self._introductions):
            task.cancel()
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
                    sock, name = listening.accept()
                except OSError:
                    return
                sock.setblocking(False)
                if endpoint.introduces:
                    self._welcome(sock, _address(name)[0], endpoint)
                else:
                    await self._loop.connect_accepted_socket(
                        lambda: Http1Connection(self, endpoint), sock, **self._tls_options(endpoint)
                    )

    def __repr__(self) -> str:
        return f"<Server {len(self._connections)} connections{', draining' if self.draining else ''}>"


def _need(connection: Http1Connection) -> tuple[bool, float]:
    return connection.need


def _address(name: Any) -> tuple[str, int]:
    """Address and port of a socket name; a Unix socket has neither."""
    if not isinstance(name, tuple):
        return "", 0
    address = str(name[0])
    return address.removeprefix("::ffff:"), int(name[1])
