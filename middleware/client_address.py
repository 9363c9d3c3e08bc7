"""Finds out who the client is, and tells the origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from edgeproxy.config.units import Cidr
from edgeproxy.config.values import Many
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

# What says on whose behalf a request comes, or to where. From a peer that is not trusted it is forged.
_CLAIMS = frozenset(
    (
        _FOR,
        _PROTO,
        _HOST,
        _FORWARDED,
        b"client-ip",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-forwarded-by",
        b"x-forwarded-client-cert",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-host",
        b"x-original-forwarded-for",
        b"x-original-host",
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    )
)

# From a trusted peer: what it may only pass on, unread.
_UNREAD = {_FOR: (_FORWARDED, b"x-real-ip"), _FORWARDED: (_FOR, b"x-real-ip")}


class _Peer(NamedTuple):
    """A peer's address in canonical form, as text and for a field, and whether the peer is trusted."""

    client: str
    node: bytes
    trusted: bool


class ClientAddress(Middleware):
    """Take the client's address and scheme from trusted proxies, drop forged ones, and write `X-Forwarded-For`,
    `-Proto` and `-Host` (and `Forwarded`, if asked to) for the origin.

    Without `trusted` the client is whoever holds the connection. With it, the chain is read from its right end and
    the first address that is not trusted is the client; an entry that is no address ends the search at the hop before.
    """

    name = "client_address"
    default_on = True

    class Config(MiddlewareConfig):
        trusted: Annotated[tuple[Literal["unix"] | Cidr, ...], Many] = ()
        """Proxies that are believed: addresses, blocks, and `unix` for whoever connects to a Unix socket."""

        header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
        """The field in which trusted proxies name the client. Only this one is read; the other is dropped, since a
        proxy that does not write it passes on what the client wrote."""

        forwarded: bool = False
        """Also tell the origin in `Forwarded` (RFC 7239). It is told there anyway when that is the `header` read."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._networks = AddressSet(block for block in config.trusted if not isinstance(block, str))
        self._unix = "unix" in config.trusted
        self._peers: Memo[str, _Peer] = Memo(self._judge, 16_384)
        self._field = config.header.encode()
        self._hops = _READERS[self._field]
        self._forwarded = config.forwarded or config.header == "forwarded"

    def request(self, x: Exchange) -> None:
        request = x.request
        headers = request.headers
        x.client, node, trusted = self._peers[x.peer.address]
        if trusted:
            self._believe(x, headers)
            return
        if not headers.keys().isdisjoint(_CLAIMS):
            for name in _CLAIMS & headers.keys():
                del headers[name]
        # Here, not in the fetch phase: an origin's Vary may name them, and the headers stage may edit them.
        if node:
            headers[_FOR] = node
        headers[_PROTO] = request.scheme
        headers[_HOST] = request.authority
        if self._forwarded:
            headers[_FORWARDED] = forwarded_element(x.client, request.scheme, request.authority)

    def _judge(self, peer: str) -> _Peer:
        text = canonical(peer) or peer
        return _Peer(text, text.encode(), peer in self._networks if peer else self._unix)

    def _believe(self, x: Exchange, headers: Headers) -> None:
        """Read what the trusted peer says of the client, and add the peer to the chain the origin gets."""
        request = x.request
        peer = x.client
        for name in _UNREAD[self._field]:
            headers.pop(name, None)
        chain = headers.get(self._field, b"")
        proto = headers.get(_PROTO, b"").rpartition(b",")[2].strip(b" \t")
        host = headers.get(_HOST) or request.authority
        if chain:
            x.client, said_proto, said_host = walk(peer, self._hops(chain), self._networks.__contains__)
            proto, host = said_proto or proto, said_host or host
        if proto.lower() in (b"http", b"https"):
            request.scheme = proto.lower()
        headers[_PROTO] = request.scheme
        headers[_HOST] = host
        for name, element in self._told(x, peer, host):
            headers[name] = chain + b", " + element if chain and name == self._field else element

    def _told(self, x: Exchange, peer: str, host: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What each field gets to tell: the chain's own field the peer, the other the client that was found."""
        speaker = peer if self._field == _FOR else x.client
        if speaker:
            yield _FOR, speaker.encode()
        if self._forwarded:
            yield _FORWARDED, forwarded_element(peer if self._field == _FORWARDED else x.client, x.request.scheme, host)
