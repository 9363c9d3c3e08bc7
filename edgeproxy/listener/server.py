"""All listeners of a worker: accepting, counting, expiring and draining connections."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from heapq import nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproxy.certificates.choice import Certificates
from edgeproxy.certificates.leaf import Leaf
from edgeproxy.certificates.stapling import Staples
from edgeproxy.clock import Clock
from edgeproxy.config.schema import LimitsConfig, ListenerConfig
from edgeproxy.config.snapshot import Snapshot
from edgeproxy.listener import alpn
from edgeproxy.listener.alt_svc import AltSvc
from edgeproxy.listener.client import Client
from edgeproxy.listener.entrance import Entrance, address_of
from edgeproxy.listener.http1 import plain
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.exchange import Peer
from edgeproxy.tls import openssl
from edgeproxy.tls.handshake import bear_any_name, describe

if TYPE_CHECKING:
    from edgeproxy.listener.http3.datagrams import Quic

logger = logging.getLogger("edgeproxy.listener")

BACKLOG = 4096
SWEEP_INTERVAL = 0.5  # seconds between looks at the connections' deadlines
CLOSE_TURNS = 100
EVICTED = 32  # the part of all connections that makes room at once, as its denominator
EVERYWHERE = ("0.0.0.0", "::")
RECENT = 1.0  # seconds a draining server waits for a next request on a connection that was just in use


class Endpoint:
    """One listening address and what is known of it in advance."""

    begin: Callable[[Peer | None], asyncio.Protocol]
    """Makes a connection's protocol, given what was learnt of the client before."""

    def __init__(self, config: ListenerConfig, certificates: Certificates | None, bound: tuple[str, int]) -> None:
        self.config = config
        address, port = bound
        self.local = "" if address in EVERYWHERE else address  # where all its connections end, if that is one address
        self.alt_svc = AltSvc(config.http3 if "h3" in config.spoken else None, port)
        self.scheme = b"https" if config.tls else b"http"
        self.certificates = certificates
        self.proofs = certificates.proofs if certificates is not None else None
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
            return Peer(told.address, told.port, told.via, told.local, tls)
        address, port = address_of(transport.get_extra_info("peername"))
        return Peer(address, port, "", address_of(transport.get_extra_info("sockname"))[0], tls)


class Server:
    """A worker's client side. Assigning :attr:`snapshot` puts a new configuration into service.

    An exchange keeps the snapshot it started with; limits of a connection are those it was accepted under.
    """

    def __init__(
        self, snapshot: Snapshot, clock: Clock, metrics: Metrics, secret: bytes = b"", folder: Path | None = None
    ) -> None:
        """``secret`` and ``folder``: the node's, that its workers share."""
        self.snapshot = snapshot
        self._metrics = metrics
        self._folder = folder
        self._quic: Quic | None = None
        self._secret = secret or os.urandom(32)
        self._staples = Staples(folder, clock.wall) if folder is not None else None
        self.clock = clock
        self.draining = False
        self.reader = plain.Reader()
        self._loop = asyncio.get_running_loop()
        self.call_soon = self._loop.call_soon
        self._connections: set[Client] = set()
        self._per_client: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._evicted: set[Client] = set()
        self._room_after = 0.0  # when it makes sense again to look for idle connections
        self._servers: list[tuple[asyncio.Server | None, socket.socket, Endpoint]] = []
        self._sweeper: asyncio.TimerHandle | None = self._loop.call_later(SWEEP_INTERVAL, self._sweep)
        self._refused = metrics.counter(
            "edgeproxy_connections_refused_total", "Client connections closed at once, by limit.", ("limit",)
        )
        self.refused = self._refused.inc
        self._entrance = Entrance(self, metrics, self._refused)
        self.unfinished = self._entrance.unfinished
        self._made_room = metrics.counter(
            "edgeproxy_connections_evicted_total", "Idle client connections closed to make room for new ones.", ()
        )
        self._floods = metrics.counter(
            "edgeproxy_http2_floods_total", "HTTP/2 connections ended for what was too much on them.", ("kind",)
        )
        self.flooded = self._floods.inc
        self._accepted = metrics.counter("edgeproxy_connections_total", "Client connections accepted.", ())
        metrics.gauge(
            "edgeproxy_connections", "Client connections open.", (), lambda: [((), float(len(self._connections)))]
        )
        metrics.gauge(
            "edgeproxy_certificate_expiry_seconds",
            "When a certificate expires, in seconds since 1970, by its first name.",
            ("name",),
            self._expiries,
            merge="min",
        )

    @property
    def limits(self) -> LimitsConfig:
        return self.snapshot.config.limits

    async def listen(self, sock: socket.socket, listener: ListenerConfig) -> None:
        """Accept connections on a bound, listening socket; raises OSError or ssl.SSLError for bad certificates."""
        endpoint = Endpoint(listener, self._certificates(listener), address_of(sock.getsockname()))
        endpoint.begin = alpn.factory(self, endpoint)
        sock.setblocking(False)
        if endpoint.introduces:
            self._entrance.open(sock, endpoint)
            self._servers.append((None, sock, endpoint))
            return
        server = await self._loop.create_server(
            lambda: endpoint.begin(None),
            sock=sock,
            backlog=BACKLOG,
        )
        self._servers.append((server, sock, endpoint))

    def listen_datagrams(self, sock: socket.socket, listener: ListenerConfig) -> None:
        """Serve HTTP/3 on a bound datagram socket, beside a listener that listens already. Raises OSError."""
        from edgeproxy.listener.http3.datagrams import Quic  # late: for nobody who does not speak it

        endpoint = next(known for _, _, known in self._servers if known.config is listener)
        if self._quic is None:
            self._quic = Quic(self, self._metrics, self._secret, self._folder)
        self._quic.listen(sock, endpoint)

    def _certificates(self, listener: ListenerConfig) -> Certificates | None:
        if listener.tls is None:
            return None
        openssl.report()
        bear_any_name()
        protocols = alpn.identifiers(listener.spoken)
        return Certificates(
            listener.tls,
            self.snapshot.config.acme,
            protocols=protocols,
            secret=self._secret,
            staple=self._staples.of if self._staples is not None and listener.tls.stapling else None,
            wall=self.clock.wall,
        )

    def _in_use(self) -> list[Certificates]:
        return [endpoint.certificates for _, _, endpoint in self._servers if endpoint.certificates is not None]

    def _stapled(self) -> list[Leaf]:
        return [leaf for certificates in self._in_use() for leaf in certificates.stapled()]

    def _expiries(self) -> list[tuple[tuple[str, ...], float]]:
        return [((leaf.name,), leaf.expires) for certificates in self._in_use() for leaf in certificates.leaves()]

    def reload_certificates(self) -> None:
        """Read certificate files again; what cannot be read is said and leaves the old ones in service."""
        for _, _, endpoint in self._servers:
            if endpoint.certificates is not None:
                try:
                    endpoint.certificates.reload()
                except (OSError, ValueError) as error:
                    logger.error("%s: certificates not reloaded: %s", endpoint.config.address, error)

    # What connections ask of their server.

    def admit(self, connection: Client, client: str) -> bool:
        """Count a connection in, or refuse it: too many in all, or of one client."""
        self._accepted.inc()
        self._connections.add(connection)
        count = self._per_client[client] = self._per_client.get(client, 0) + 1
        limits = self.limits
        if client and count > limits.connections_per_client:
            self._refused.inc("connections_per_client")
            return False
        if self._staying > limits.connections and not self.make_room(connection):
            self._refused.inc("connections")
            return False
        return True

    def full(self, entering: int) -> bool:
        """Whether there is no room for one more beside those that are entering, and none can be made."""
        return entering + self._staying >= self.limits.connections and not self.make_room()

    @property
    def _staying(self) -> int:
        return len(self._connections) - len(self._evicted)

    def make_room(self, newcomer: Client | None = None) -> bool:
        """Close the idle connections that are needed least, many at a time; whether there were any."""
        now = self.clock.monotonic()
        if now < self._room_after:
            return False
        idle = [one for one in self._connections - self._evicted if one.waits and one is not newcomer]
        least = nsmallest(max(1, self.limits.connections // EVICTED), idle, key=_need)
        for connection in least:
            self._made_room.inc()
            self._evicted.add(connection)
            connection.evict()
        if not least:
            self._room_after = now + SWEEP_INTERVAL  # all are busy: looking at each for every newcomer costs too much
        return bool(least)

    def replace(self, predecessor: Client, connection: Client) -> None:
        """The same connection goes on as another object."""
        self._connections.discard(predecessor)
        self._connections.add(connection)
        if predecessor in self._evicted:
            self._evicted.discard(predecessor)
            self._evicted.add(connection)

    def forget(self, connection: Client, client: str) -> None:
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
        for certificates in self._in_use():
            certificates.look()
        if self._staples is not None:
            self._staples.look(self._stapled)
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
        while (self._connections or self._entrance) and self._loop.time() < deadline:
            await asyncio.sleep(0.05)
            now = self.clock.monotonic()
            for connection in list(self._connections):
                connection.retire(now, RECENT)
        for connection in list(self._connections):
            connection.abort()
        self._entrance.cancel()
        if self._staples is not None:
            await self._staples.stop()
        if self._quic is not None:
            self._quic.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop_accepting(self) -> None:
        """Take what waits in the accept queues, then stop listening."""
        if self._quic is not None:
            self._quic.stop_accepting()
        servers, self._servers = self._servers, []
        for server, sock, endpoint in servers:
            late = sock.dup()
            if server is None:
                self._entrance.shut(sock)
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
                    self._entrance.welcome(sock, name, endpoint)
                else:
                    await self._loop.connect_accepted_socket(lambda: endpoint.begin(None), sock)

    def __repr__(self) -> str:
        return f"<Server {len(self._connections)} connections{', draining' if self.draining else ''}>"


def _need(connection: Client) -> tuple[bool, float]:
    return connection.need
