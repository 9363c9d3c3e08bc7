"""Finds out who the client is, and tells the origin."""

from __future__ import annotations

from typing import Literal

from edgeproxy.config.units import Cidr
from edgeproxy.http.addresses import AddressSet, canonical
from edgeproxy.http.forwarded import forwarded_element, hops_forwarded, hops_x_forwarded_for, walk
from edgeproxy.http.headers import Headers
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

_FOR = b"x-forwarded-for"
_PROTO = b"x-forwarded-proto"
_HOST = b"x-forwarded-host"
_FORWARDED = b"forwarded"
_READERS = {_FOR: hops_x_forwarded_for, _FORWARDED: hops_forwarded}

# What says on whose behalf a request comes. From a peer that is not trusted it is forged.
_CLAIMS = frozenset(
    (
        _FOR,
        _PROTO,
        _HOST,
        _FORWARDED,
        b"x-forwarded-by",
        b"x-forwarded-client-cert",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-original-forwarded-for",
        b"x-real-ip",
    )
)


class ClientAddress(Middleware):
    """Take the client's address and scheme from trusted proxies, drop forged ones, and write `X-Forwarded-For`,
    `-Proto` and `-Host` (and `Forwarded`, if asked to) for the origin.

    Without `trusted` the client is whoever holds the connection. With it, the chain is read from its right end and
    the first address that is not trusted is the client; an entry that is no address ends the search at the hop before.
    """

    name = "client_address"
    default_on = True

    class Config(MiddlewareConfig):
        trusted: list[Cidr | Literal["unix"]] = []
        """Proxies that are believed: addresses, blocks, and `unix` for whoever connects to a Unix socket."""

        header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
        """The field in which trusted proxies name the client. Only this one is read; the other is dropped, since a
        proxy that does not write it passes on what the client wrote."""

        forwarded: bool = False
        """Also tell the origin in `Forwarded` (RFC 7239)."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._networks = AddressSet(block for block in config.trusted if not isinstance(block, str))
        self._unix = "unix" in config.trusted
        self._peers: Memo[str, tuple[str, bool]] = Memo(self._judge, 16_384)
        self._field = config.header.encode()
        self._hops = _READERS[self._field]
        self._other = _FORWARDED if self._field == _FOR else _FOR
        self._forwarded = config.forwarded

    def request(self, x: Exchange) -> None:
        x.client, trusted = self._peers[x.peer.address]
        headers = x.request.headers
        if trusted:
            self._believe(x, headers)
        elif not headers.keys().isdisjoint(_CLAIMS):
            for name in _CLAIMS & headers.keys():
                del headers[name]

    def fetch(self, x: Exchange) -> None:
        """Only what goes to the origin needs these; a trusted peer's chain was appended to in the request phase."""
        request = x.request
        headers = request.headers
        client = x.client.encode()
        if client:
            headers.setdefault(_FOR, client)
        headers[_PROTO] = request.scheme
        headers.setdefault(_HOST, request.authority)
        if self._forwarded:
            headers.setdefault(_FORWARDED, forwarded_element(x.client, request.scheme, request.authority))

    def _judge(self, peer: str) -> tuple[str, bool]:
        """The peer's address in canonical form, and whether it is trusted."""
        if not peer:
            return peer, self._unix
        return canonical(peer) or peer, peer in self._networks

    def _believe(self, x: Exchange, headers: Headers) -> None:
        """Read what the trusted peer says, and add the peer itself to the chain for the origin."""
        request = x.request
        peer = x.client
        headers.pop(self._other, None)
        headers.pop(b"x-real-ip", None)
        proto = headers.get(_PROTO, b"").rpartition(b",")[2].strip(b" \t")
        chain = headers.get(self._field)
        if chain is not None:
            x.client, said_proto, host = walk(peer, self._hops(chain), self._networks.__contains__)
            proto = said_proto or proto
            if host and self._field == _FORWARDED:
                headers[_HOST] = host
        if proto.lower() in (b"http", b"https"):
            request.scheme = proto.lower()
        self._append(x, headers, peer, chain)

    def _append(self, x: Exchange, headers: Headers, peer: str, chain: bytes | None) -> None:
        if self._field == _FOR:
            headers[_FOR] = b", ".join(filter(None, (chain, peer.encode())))
        else:
            # What stands in Forwarded cannot be copied entry by entry; the origin gets the address that was found.
            headers[_FOR] = x.client.encode()
            if self._forwarded:
                element = forwarded_element(peer, x.request.scheme, headers.get(_HOST, x.request.authority))
                headers[_FORWARDED] = element if chain is None else chain + b", " + element
            else:
                headers.pop(_FORWARDED, None)
