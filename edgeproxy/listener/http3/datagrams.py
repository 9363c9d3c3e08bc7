"""QUIC on a listener's address: which datagram is whose, who has to show its address, and what a worker shares."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qh3 import tls
from qh3._hazmat import pull_quic_header
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.packet import QuicPacketType, encode_quic_retry, encode_quic_version_negotiation

from edgeproxy.certificates.quic import QuicCertificates
from edgeproxy.http3.codes import error_name
from edgeproxy.listener.alt_svc import Hosts
from edgeproxy.listener.http3.connection import Http3Connection
from edgeproxy.quic import ids
from edgeproxy.quic.connection import Certificate, ServerConnection
from edgeproxy.quic.ids import Ids
from edgeproxy.quic.relay import Relay
from edgeproxy.quic.tickets import Tickets
from edgeproxy.quic.tokens import Address, Tokens
from edgeproxy.quic.udp import Datagrams, Received
from edgeproxy.tls import client_hello

if TYPE_CHECKING:
    from edgeproxy.config.http3 import Http3Config
    from edgeproxy.listener.http3.client import QuicClient
    from edgeproxy.listener.server import Endpoint, Server
    from edgeproxy.observe.metrics import Metrics

logger = logging.getLogger("edgeproxy.listener")

INITIAL_LEAST: Final = 1200  # bytes of a datagram that begins a connection (RFC 9000 §14.1)
AUTO: Final = 8  # Retry once this part of all handshakes is under way
VERSIONS_TOLD: Final = 100.0  # a second: an unknown version is worth an answer, a flood of them is not
ALPN: Final = ["h3"]


class Quic:
    """What a worker's listeners have in common, and share with the node's other workers: ids, tokens, sessions, and the
    way to the others. ``folder`` is the node's, None where there is one process alone. Raises OSError."""

    def __init__(self, server: Server, metrics: Metrics, secret: bytes, folder: Path | None) -> None:
        self._listeners: dict[bytes, QuicListener] = {}
        clock = server.clock
        self.server = server
        self.relay = None if folder is None else Relay(folder, clock.monotonic, self._take)
        self.ids = Ids(secret, 0 if self.relay is None else self.relay.number)
        self.tokens = Tokens(secret, clock.wall)
        self._folder = folder
        self._stores: list[Tickets] = []
        self.early = metrics.counter("edgeproxy_http3_early_requests_total", "Requests that came as early data.", ())
        self.retries = metrics.counter("edgeproxy_quic_retries_total", "Clients asked to show their address.", ())
        self.errors = metrics.counter(
            "edgeproxy_http3_errors_total", "HTTP/3 connections ended for what the client did, by error.", ("code",)
        )
        metrics.gauge(
            "edgeproxy_quic_relayed_datagrams",
            "Datagrams passed on to other workers since they started.",
            (),
            lambda: [((), float(0 if self.relay is None else self.relay.passed))],
        )

    def tickets(self, config: Http3Config) -> Tickets | None:
        """The store of sessions that a listener's clients may take up again."""
        if self._folder is None:
            return None
        store = Tickets(self._folder, config.model_dump_json().encode(), self.server.clock.wall)
        self._stores.append(store)
        return store

    def listen(self, sock: socket.socket, endpoint: Endpoint) -> QuicListener:
        """Serve HTTP/3 on a bound datagram socket."""
        listener = QuicListener(self, sock, endpoint)
        self._listeners[listener.tag] = listener
        return listener

    def stop_accepting(self) -> None:
        """Begin no new connection; one that begins is passed on to a worker that stays, if there is any."""
        for listener in self._listeners.values():
            listener.accepting = False
        if self.relay is not None:
            self.relay.leave()

    def close(self) -> None:
        """Stop listening; what is to be told to clients has been sent."""
        for listener in self._listeners.values():
            listener.close()
        if self.relay is not None:
            self.relay.close()
        for store in self._stores:
            store.close()

    def _take(self, tag: bytes, data: bytes, address: Address) -> bool:
        listener = self._listeners.get(tag)
        return listener is not None and listener.take(data, address)


class QuicListener:
    """One address. Its connections are found by their ids."""

    def __init__(self, quic: Quic, sock: socket.socket, endpoint: Endpoint) -> None:
        config = endpoint.config.http3
        server = quic.server
        self.server = server
        self.endpoint = endpoint
        self.local = str(sock.getsockname()[0])
        self.accepting = True
        self.tag = blake2s(endpoint.config.address.encode(), digest_size=4).digest()
        self._quic = quic
        self._config = config
        self._hosts = Hosts(config)
        self._tickets = quic.tickets(config)
        self._certificates = QuicCertificates(endpoint.certificates) if endpoint.certificates is not None else None
        limits = server.limits
        self._options = QuicConfiguration(
            is_client=False,
            alpn_protocols=ALPN,
            connection_id_length=ids.LENGTH,
            idle_timeout=limits.idle_timeout,
            max_stream_data=config.window,
            max_data=config.connection_window,
        )
        self._connections: dict[bytes, QuicClient] = {}
        self._ids: dict[QuicClient, set[bytes]] = {}
        self._beginning: dict[QuicClient, tuple[str, asyncio.TimerHandle]] = {}  # in their handshake: whose, until when
        self._per_client: dict[str, int] = {}
        self._clock = server.clock.monotonic
        self._versions_left = VERSIONS_TOLD
        self._versions_at = self._clock()
        loop = asyncio.get_running_loop()
        self._offset = loop.time() - self._clock()
        self._call_at = loop.call_at
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, config.receive_buffer)
        except OSError:
            logger.info("%s: the socket's buffer stays as it is", endpoint.config.address)
        self._socket = sock
        self._datagrams = Datagrams(sock, self._receive)

    # Datagrams.

    def _receive(self, received: Received) -> None:
        """What came at once: each connection gets its own together, and is sent to when it has them all."""
        now = self._clock()
        connections = self._connections
        touched: dict[QuicClient, None] = {}
        batch: list[bytes] = []
        last: QuicClient | None = None
        whence: Address = ("", 0)
        for data, address in received:
            if not data:
                continue
            one = connections.get(data[1 : 1 + ids.LENGTH]) if data[0] < 0x80 else None
            if one is None:
                one = self._find(data, address)
                if one is None:
                    continue
            if batch and last is not None and (one is not last or address != whence):
                last.receive(batch, whence, now)
                batch = []
            last, whence = one, address
            touched[one] = None
            batch.append(data)
        if batch and last is not None:
            last.receive(batch, whence, now)
        for client in touched:
            client.flush()

    def take(self, data: bytes, address: Address) -> bool:
        """A datagram that another worker was given; whether it is of a connection here."""
        cid = data[1 : 1 + ids.LENGTH] if data[0] < 0x80 else _destination(data)
        one = self._connections.get(cid)
        if one is None and data[0] >= 0x80 and self.accepting:
            one = self._find(data, address)
        if one is None:
            return False
        one.receive([data], address, self._clock())
        one.flush()
        return True

    def _find(self, data: bytes, address: Address) -> QuicClient | None:
        """The connection of a datagram whose first bytes do not tell: it is about to begin, or another worker's."""
        relay = self._quic.relay
        if data[0] < 0x80:
            cid = data[1 : 1 + ids.LENGTH]
            if len(cid) == ids.LENGTH and relay is not None:
                relay.give(self._quic.ids.worker(cid), cid, self.tag, data, address)
            return None
        try:
            version, kind, _, destination, source, token, _, _, _, _ = pull_quic_header(data, 0, ids.LENGTH)
        except ValueError:
            return None
        known = self._connections.get(destination)
        if known is not None or version is None:
            return known
        worker = self._quic.ids.worker(destination)
        if relay is not None and relay.has(worker):
            relay.give(worker, destination, self.tag, data, address)
            return None
        if len(data) < INITIAL_LEAST:
            return None
        if version not in self._options.supported_versions:
            if version and self._may_tell_versions():
                told = encode_quic_version_negotiation(
                    source_cid=destination,
                    destination_cid=source,
                    supported_versions=self._options.supported_versions,
                )
                self._datagrams.send([told], address)
            return None
        if kind != QuicPacketType.INITIAL:
            return None
        if not self.accepting:
            if relay is not None:
                relay.give(relay.successor(destination), destination, self.tag, data, address, ask=False)
            return None
        return self._begin(version, destination, source, token, address)

    def _begin(
        self, version: int, destination: bytes, source: bytes, token: bytes, address: Address
    ) -> QuicClient | None:
        """A connection begins, unless its client has to show its address before, or too many do."""
        server, limits = self.server, self.server.limits
        default = self._certificates.find("") if self._certificates is not None else None
        if not self.accepting or default is None:
            return None
        retried = None
        original = destination
        if token:
            shown = self._quic.tokens.check(token, address, destination)
            if shown is None:
                return None
            original, retried = shown, destination
        elif self._asks_for_address() or (not source and len(destination) != ids.LENGTH):
            self._quic.retries.inc()
            chosen = self._quic.ids.make()
            retry = encode_quic_retry(
                version=version,
                source_cid=chosen,
                destination_cid=source,
                original_destination_cid=destination,
                retry_token=self._quic.tokens.make(address, destination, chosen),
            )
            self._datagrams.send([retry], address)
            return None
        host = address[0]
        if len(self._beginning) >= limits.handshakes:
            server.refused("handshakes")
            return None
        if self._per_client.get(host, 0) >= limits.handshakes_per_client:
            server.refused("handshakes_per_client")
            return None
        self._options.certificate, self._options.private_key = default.certificate, default.key
        cid = retried or (self._quic.ids.make() if source else destination)
        connection = ServerConnection(
            self._options,
            cid,
            original,
            retried,
            self._choose,
            self._resume,
            self._keep,
            early=self._config.early_data,
            nameless=not source,
        )
        client = Http3Connection(self, connection, address)
        until = self.call_at(self._clock() + limits.head_timeout, partial(self._give_up, client))
        self._beginning[client] = (host, until)
        self._per_client[host] = self._per_client.get(host, 0) + 1
        self._ids[client] = set()
        self.add(destination, client)
        self.add(cid, client)
        return client

    def _asks_for_address(self) -> bool:
        if self._config.retry == "auto":
            return len(self._beginning) * AUTO >= self.server.limits.handshakes
        return self._config.retry == "always"

    def _may_tell_versions(self) -> bool:
        now = self._clock()
        left = self._versions_left + VERSIONS_TOLD * (now - self._versions_at)
        self._versions_at = now
        self._versions_left = min(VERSIONS_TOLD, left) - 1
        if self._versions_left < 0:
            self._versions_left = 0.0
            return False
        return True

    def _give_up(self, client: QuicClient) -> None:
        """The handshake has taken too long."""
        if client in self._beginning:
            self.server.unfinished()
            client.leave()
            self.forget(client)

    # Handshakes.

    def _choose(self, name: str, hello: bytes) -> tuple[Certificate, str]:
        """The certificate for a name, and the hello's fingerprint where it is wanted."""
        found = self._certificates.find(name) if self._certificates is not None else None
        if found is None or not self.serves(name.encode()):
            raise tls.AlertHandshakeFailure("nothing is served under this name here")
        ja4 = ""
        if self.endpoint.fingerprints:
            try:
                ja4 = client_hello.fingerprint_quic(hello)
            except client_hello.HelloError:
                pass
        return found, ja4

    def _resume(self, ticket: bytes) -> tls.SessionTicket | None:
        return None if self._tickets is None else self._tickets.take(ticket)

    def _keep(self, ticket: tls.SessionTicket) -> None:
        if self._tickets is not None:
            self._tickets.put(ticket)

    # What connections ask of it.

    def send(self, datagrams: list[tuple[bytes, Any]]) -> None:
        """Send what QUIC has made, in order."""
        together: list[bytes] = []
        address = datagrams[0][1]
        for data, whither in datagrams:
            if whither != address:
                self._datagrams.send(together, address)
                together, address = [], whither
            together.append(data)
        self._datagrams.send(together, address)

    def call_at(self, at: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        """``at`` is in seconds of the server's clock."""
        return self._call_at(at + self._offset, ring)

    def serves(self, host: bytes) -> bool:
        """Whether ``host``, in lower case and without its port, is served over HTTP/3."""
        return self._hosts.has(host)

    def add(self, cid: bytes, client: QuicClient) -> None:
        """Another id of a connection."""
        self._connections[cid] = client
        self._ids[client].add(cid)

    def discard(self, cid: bytes) -> None:
        """An id that the client will not use any more."""
        client = self._connections.pop(cid, None)
        if client is not None:
            self._ids[client].discard(cid)

    def established(self, client: QuicClient) -> None:
        """Its handshake is over, in whatever way."""
        begun = self._beginning.pop(client, None)
        if begun is not None:
            host, until = begun
            until.cancel()
            left = self._per_client[host] - 1
            if left:
                self._per_client[host] = left
            else:
                del self._per_client[host]

    def forget(self, client: QuicClient) -> None:
        """Nothing more is to be sent to it, and nothing from it is read."""
        for cid in self._ids.pop(client, ()):
            self._connections.pop(cid, None)
        self.established(client)
        client.drop()

    def count_early(self) -> None:
        """A request came as early data."""
        self._quic.early.inc()

    def count_error(self, code: int) -> None:
        """A client broke the rules in this way (RFC 9114 §8)."""
        self._quic.errors.inc(error_name(code))

    def close(self) -> None:
        """Stop listening."""
        for client in list(self._ids):
            client.leave()
            self.forget(client)
        self._datagrams.close()
        self._socket.close()

    def __repr__(self) -> str:
        return f"<QuicListener {self.endpoint.config.address} {len(self._ids)} connections>"


def _destination(data: bytes) -> bytes:
    """The id in a long header (RFC 9000 §17.2)."""
    return data[6 : 6 + data[5]] if len(data) > 6 else b""
