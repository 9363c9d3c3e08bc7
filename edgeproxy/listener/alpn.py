"""Which protocol a connection begins with: by ALPN on TLS (RFC 7301), by its first bytes else (RFC 9113 §3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from edgeproxy.http2.frames import PREFACE
from edgeproxy.listener.client import Client
from edgeproxy.listener.http1.connection import Http1Connection
from edgeproxy.listener.http2.connection import Http2Connection
from edgeproxy.pipeline.exchange import Peer

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

H1: Final = "h1"
H2: Final = "h2"
IDENTIFIERS: Final = {H2: "h2", H1: "http/1.1"}  # RFC 7301 §6, RFC 9113 §3.2; the one that is preferred first


def identifiers(spoken: tuple[str, ...]) -> list[str]:
    """What ALPN offers for protocols of these names."""
    return [identifier for name, identifier in IDENTIFIERS.items() if name in spoken]


def factory(server: Server, endpoint: Endpoint) -> Callable[[Peer | None], asyncio.Protocol]:
    """What makes a listener's connections, given what was learnt of a client before its first byte. Where one protocol
    alone is spoken nothing has to be found out."""
    spoken = endpoint.config.spoken
    if H2 not in spoken:
        return lambda told: Http1Connection(server, endpoint, told)
    if H1 not in spoken:
        return lambda told: Http2Connection(server, endpoint, told)
    if endpoint.config.tls is not None:
        return lambda told: ByName(server, endpoint, told)
    return lambda told: ByPreface(server, endpoint, told)


class ByName(asyncio.Protocol):
    """A connection whose handshake has settled what is spoken on it; without ALPN that is HTTP/1.1."""

    def __init__(self, server: Server, endpoint: Endpoint, told: Peer | None) -> None:
        self._server = server
        self._endpoint = endpoint
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        kind = Http2Connection if chosen == IDENTIFIERS[H2] else Http1Connection
        client = kind(self._server, self._endpoint, self._told)
        cast("asyncio.Transport", transport).set_protocol(client)
        client.connection_made(transport)


class ByPreface(Client):
    """A plain connection before its first bytes have shown what is spoken on it."""

    def __init__(self, server: Server, endpoint: Endpoint, told: Peer | None) -> None:
        super().__init__(server, endpoint, told)
        self._begun = b""

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._begun += data
        begun = self._begun
        kind: type[Http1Connection | Http2Connection] = Http1Connection
        if begun.startswith(PREFACE):
            kind = Http2Connection
        elif PREFACE.startswith(begun):
            self.deadline = min(self.deadline, self._clock() + self._limits.head_timeout)
            return
        client = kind(self._server, self._endpoint, self._told)
        client.succeed(self)
        client.data_received(begun)

    def expire(self, now: float) -> None:
        self.close()

    @property
    def waits(self) -> bool:
        return True
