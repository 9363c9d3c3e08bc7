"""One connection to an origin, opened: socket options, happy eyeballs, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection

from edgeproxy.config.connections import SocketConfig
from edgeproxy.config.pools import PoolConfig
from edgeproxy.config.units import EndpointValue
from edgeproxy.config.watch import Watch
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.client import Connection
from edgeproxy.origin.http2 import Carrier
from edgeproxy.origin.tls import OriginTls, Session, reason
from edgeproxy.origin.way import Owner, Way

logger = logging.getLogger("edgeproxy.origin")

STAGGER = 0.25  # seconds that an address is waited for before the next is tried beside it (RFC 8305 §5)
FAST_OPEN_CONNECT = 30  # TCP_FASTOPEN_CONNECT, tcp(7): connect() returns at once, the SYN goes with the first bytes

Option = tuple[int, int, int | bytes]
_Spoken = TypeVar("_Spoken", Connection, Carrier)


class Connector:
    """What all connections of a pool have in common: socket options and TLS."""

    def __init__(self, pool: str, config: PoolConfig) -> None:
        """Raises ValueError if a file cannot be used."""
        self.local = [_info(address, 0) for address in config.socket.bind] or None
        self._pool = pool
        self._options: list[Option] = [
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),  # a tunnel may be silent for hours
        ]
        self._wanted = _wanted(config.socket)
        # The event loop connects by itself at half the cost, where nothing is to be done before.
        self.plain = self.local is None and not config.socket.fast_open
        # A file may bring endpoints that speak TLS later.
        speaks_tls = config.endpoints_file or any(endpoint.scheme == "https" for endpoint in config.endpoints)
        self.http2 = config.protocol == "http2"
        self._tls = OriginTls(pool, config.tls, "h2" if self.http2 else "http/1.1") if speaks_tls else None
        self._server_name = config.tls.server_name
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """See what the kernel has, and follow the files."""
        for name, option in self._wanted.items():
            if (why := _refusal(option)) is None:
                self._options.append(option)
            else:
                logger.warning("pool %s: %s is not to be had here (%s); going on without", self._pool, name, why)
        if self._tls is not None and self._tls.files:
            self._watching = asyncio.create_task(Watch(self._tls.files).run(self._renew))

    async def stop(self) -> None:
        """Follow the files no longer."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def dialer(self, value: EndpointValue, addresses: tuple[str, ...]) -> Dialer:
        """For one endpoint that ``addresses`` lead to; it is called by the first."""
        return Dialer(self, value, addresses, self._tls, self._server_name)

    def make(self, info: AddrInfoType) -> socket.socket:
        """A socket for an address, options set."""
        made = socket.socket(info[0], info[1], info[2])
        try:
            self.set(made)
        except OSError:
            made.close()
            raise
        return made

    def set(self, wire: socket.socket) -> None:
        """Set the options."""
        for option in self._options:
            wire.setsockopt(*option)

    async def _renew(self) -> None:
        if self._tls is not None:
            await asyncio.to_thread(self._tls.renew)

    def __repr__(self) -> str:
        return f"<Connector {self._pool} {'TLS' if self._tls else 'plain'}>"


class Dialer:
    """Opens connections to one endpoint. ``name`` is what it is called in errors, ``addresses`` all that lead there."""

    __slots__ = ("_connector", "_infos", "_server_name", "_session", "_value", "addresses", "name")

    def __init__(
        self,
        connector: Connector,
        value: EndpointValue,
        addresses: tuple[str, ...],
        tls: OriginTls | None,
        server_name: str | None,
    ) -> None:
        """``server_name``: asked for and checked in place of the endpoint's host."""
        self.name = f"unix:{value.path}" if value.path else authority(addresses[0], value.port)
        self.addresses: tuple[str, ...] = ()
        self._connector = connector
        self._value = value
        self._session = Session(tls) if tls is not None and value.scheme == "https" else None
        self._server_name = (server_name or value.host) if self._session is not None else None
        self._infos: list[AddrInfoType] = []
        self.reach(addresses)

    def reach(self, addresses: tuple[str, ...]) -> None:
        """These lead there from now on; the one that worked last is still tried first."""
        if addresses == self.addresses:
            return
        self.addresses = addresses
        first = self._infos[:1]
        self._infos = [] if self._value.path else [_info(address, self._value.port) for address in addresses]
        if first and first[0] in self._infos:
            self._prefer(first[0])

    async def open(self, owner: Owner, until: float) -> Way:
        """A new connection, TLS included, before ``until`` (the loop's time), whose exchanges are ``owner``'s. Raises
        EdgeError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(loop.time() + owner.timeouts.connect, until)):
                if self._connector.http2:
                    return await self._open_http2(loop, owner)
                return await self._open(loop, lambda: Connection(owner, loop))
        except TimeoutError:
            raise EdgeError(Kind.CONNECT_TIMEOUT, "origin", self.name) from None
        except ssl.SSLError as error:
            raise EdgeError(Kind.TLS, "origin", f"{self.name}: {reason(error)}") from None
        except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some of the kernel's refusals
            broke_off = self._session is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError)
            kind = Kind.TLS if broke_off else Kind.CONNECT_REFUSED
            raise EdgeError(kind, "origin", f"{self.name}: {getattr(error, 'strerror', None) or error}") from None

    def learn(self, way: Way) -> None:
        """The first exchange over its connection is over: its TLS session can begin the next one."""
        if self._session is not None:
            self._session.learn(way.transport.get_extra_info("ssl_object"))

    async def _open_http2(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> Way:
        """A stream of a new connection whose other end has shown that it speaks HTTP/2. Raises EdgeError."""
        carrier = await self._open(loop, lambda: Carrier(loop, owner.timeouts))
        try:
            spoken = carrier.transport.get_extra_info("ssl_object")
            if spoken is not None and spoken.selected_alpn_protocol() != "h2":
                raise EdgeError(Kind.RESPONSE_INVALID, "origin", "not by ALPN")
            await carrier.ready
        except EdgeError as error:
            carrier.transport.abort()
            detail = f"{self.name} does not speak HTTP/2 ({error})"
            logger.warning("%s; it is spoken to endpoints of a pool with protocol: http2", detail)
            raise EdgeError(error.kind, "origin", detail) from None
        except BaseException:
            carrier.transport.abort()
            raise
        return carrier.stream(owner)

    async def _open(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], _Spoken]) -> _Spoken:
        if self._value.path:
            _, connection = await loop.create_unix_connection(protocol, self._value.path)
            return connection
        ssl_context = None if self._session is None else self._session.context()
        if self._connector.plain and len(self._infos) == 1:
            _, connection = await loop.create_connection(
                protocol,
                *self._infos[0][4][:2],
                ssl=ssl_context,
                server_hostname=self._server_name,
            )
            wire = connection.transport.get_extra_info("socket")
            if wire is not None:
                self._connector.set(wire)
            return connection
        _, connection = await loop.create_connection(
            protocol,
            sock=await self._wire(loop),
            ssl=ssl_context,
            server_hostname=self._server_name,
        )
        return connection

    async def _wire(self, loop: asyncio.AbstractEventLoop) -> socket.socket:
        """The socket of the address that answered first. Raises OSError."""
        infos, connector = self._infos, self._connector
        wire = await start_connection(
            infos,
            local_addr_infos=connector.local,
            happy_eyeballs_delay=STAGGER if len(infos) > 1 else None,
            interleave=0,
            loop=loop,
            socket_factory=connector.make,
        )
        if len(infos) > 1:
            with contextlib.suppress(OSError):  # its SYN is yet to be sent, with the first bytes
                reached = wire.getpeername()[:2]
                self._prefer(next((info for info in infos if info[4][:2] == reached), infos[0]))
        return wire

    def _prefer(self, info: AddrInfoType) -> None:
        """Which worked is tried first from now on."""
        if self._infos[0] != info and info in self._infos:
            self._infos = [info, *(other for other in self._infos if other != info)]

    def __repr__(self) -> str:
        return f"<Dialer {self.name} by {', '.join(str(info[4][0]) for info in self._infos) or self._value.path}>"


def authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _wanted(config: SocketConfig) -> dict[str, Option]:
    """Options that not every kernel has, by their setting."""
    wanted: dict[str, Option] = {}
    if config.fast_open:
        wanted["socket.fast_open"] = (socket.IPPROTO_TCP, FAST_OPEN_CONNECT, 1)
    if config.congestion is not None:
        wanted["socket.congestion"] = (socket.IPPROTO_TCP, socket.TCP_CONGESTION, config.congestion.encode())
    return wanted


def _info(address: str, port: int) -> AddrInfoType:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    place = (address, port, 0, 0) if family == socket.AF_INET6 else (address, port)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place


def _refusal(option: Option) -> str | None:
    """Why the kernel does not take an option; None if it does."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(*option)
        except OSError as error:
            return error.strerror or str(error)
    return None
