"""One address of a pool: its idle connections, what it has in hand, and how it fares."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from edgeproxy.config.schema import PoolConfig, TimeoutsConfig
from edgeproxy.config.units import EndpointValue
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.client import Connection, Owner
from edgeproxy.origin.outlier import Record

IN_FLIGHT_LIMIT = 1024

Report = Callable[["Endpoint", EdgeError | None, int], None]


class Endpoint:
    """``address`` is its name in logs, metrics and the admin API; ``authority`` its Host when that is the endpoint's.

    ``report`` is told of every exchange that ended: the error or None, and the status (0: given up by the client).
    """

    def __init__(
        self,
        value: EndpointValue,
        address: str,
        weight: int,
        config: PoolConfig,
        tls: ssl.SSLContext | None,
        report: Report,
    ) -> None:
        self.value = value
        self.weight = weight
        self.timeouts: TimeoutsConfig = config.timeouts
        self.address = f"unix:{value.path}" if value.path else _authority(address, value.port)
        self.authority = _host_field(value)
        self.healthy = True
        self.record = Record(config.outlier)
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.connections = 0
        self.retired = False
        self._ip = address
        self._tls = tls if value.scheme == "https" else None
        self._server_name = (config.tls.server_name or value.host) if self._tls else None
        self._keep = config.keepalive.connections
        self._idle_time = config.keepalive.idle
        self._idle: list[Connection] = []
        self._report = report

    # Connections.

    def take(self) -> Connection | None:
        """The idle connection used last: the others may grow old and be closed."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closing:
                return connection
        return None

    async def open(self, until: float) -> Connection:
        """A new connection for a request in hand, before ``until`` (the loop's time). Raises EdgeError."""
        try:
            return await self.connect(self, until)
        except EdgeError as error:
            self.over(error, 0)
            raise
        except asyncio.CancelledError:
            self.over(None, 0)
            raise

    async def connect(self, owner: Owner, until: float) -> Connection:
        """A new connection, TLS included, whose exchanges are ``owner``'s. Raises EdgeError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(loop.time() + self.timeouts.connect, until)):
                if self.value.path:
                    _, connection = await loop.create_unix_connection(lambda: Connection(owner, loop), self.value.path)
                else:
                    _, connection = await loop.create_connection(
                        lambda: Connection(owner, loop),
                        self._ip,
                        self.value.port,
                        ssl=self._tls,
                        server_hostname=self._server_name,
                    )
        except TimeoutError:
            raise EdgeError(Kind.CONNECT_TIMEOUT, "origin", self.address) from None
        except ssl.SSLError as error:
            raise EdgeError(Kind.TLS, "origin", f"{self.address}: {_tls_reason(error)}") from None
        except OSError as error:
            broke_off = self._tls is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError)
            kind = Kind.TLS if broke_off else Kind.CONNECT_REFUSED
            raise EdgeError(kind, "origin", f"{self.address}: {error.strerror or error}") from None
        self.connections += 1
        wire = connection.transport.get_extra_info("socket")
        if wire is not None and not self.value.path:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a tunnel may be silent for hours
        return connection

    def retire(self) -> None:
        """Out of service: idle connections close now, those in use with their exchange."""
        self.retired = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @property
    def idle(self) -> int:
        return len(self._idle)

    # What a connection tells (client.Owner).

    def ended(self, connection: Connection, error: EdgeError | None, status: int) -> None:
        if connection.reusable:
            if len(self._idle) < self._keep and not self.retired:
                self._idle.append(connection)
                connection.rest(self._idle_time)
            else:
                connection.close()
        if error is not None and error.kind is Kind.CONNECTION_LOST and connection.reused:
            error = None  # it closed an idle connection, as it may (RFC 9112 §9.3), and the request crossed that
        self.over(error, status)

    def lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def over(self, error: EdgeError | None, status: int) -> None:
        """One request fewer in hand."""
        self.in_flight -= 1
        self._report(self, error, status)

    def __repr__(self) -> str:
        health = "" if self.healthy else " unhealthy"
        return f"<Endpoint {self.address}{health} {self.in_flight} in flight, {self.idle} idle>"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host_field(value: EndpointValue) -> bytes:
    """RFC 9110 §7.2: without the port that its scheme implies."""
    if value.path or value.port == {"http": 80, "https": 443}[value.scheme]:
        return (f"[{value.host}]" if ":" in value.host else value.host).encode()
    return _authority(value.host, value.port).encode()


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.reason or str(error)
