"""Who the client is: the peer, or whom a trusted proxy names; and what the origin is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeproxy.http.addresses import AddressSet, canonical, network
from edgeproxy.http.forwarded import CLAIMS, forwarded_element, hops_forwarded, hops_x_forwarded_for, walk
from edgeproxy.http.headers import Headers
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"
_HOST: Final = b"x-forwarded-host"
_FORWARDED: Final = b"forwarded"
_READERS: Final = {_FOR: hops_x_forwarded_for, _FORWARDED: hops_forwarded}

# From a trusted peer: what it may only pass on, unread.
_UNREAD: Final = {_FOR: (_FORWARDED, b"x-real-ip"), _FORWARDED: (_FOR, b"x-real-ip")}


class _Peer:
    """A peer's address in canonical form, as text and for a field, and whether the peer is trusted."""

    __slots__ = ("client", "node", "trusted")

    def __init__(self, client: str, node: bytes, *, trusted: bool) -> None:
        self.client = client
        self.node = node
        self.trusted = trusted


class Callers:
    """``networks``: proxies that are believed, ``unix``: whether whoever connects to a Unix socket is too; ``field``:
    the one in which they name the client; ``forwarded``: whether the origin is also told in Forwarded (RFC 7239)."""

    def __init__(self, networks: AddressSet, field: bytes, *, unix: bool, forwarded: bool) -> None:
        self._networks = networks
        self._local = unix
        self._peers: Memo[str, _Peer] = Memo(self._judge, 16_384)
        self._field = field
        self._hops = _READERS[field]
        self._forwarded = forwarded

    def identify(self, x: Exchange) -> None:
        """Set the exchange's client, and the fields that tell the origin."""
        request = x.request
        headers = request.headers
        peer = self._peers[x.peer.address]
        x.client, node = peer.client, peer.node
        if peer.trusted:
            self._believe(x, headers)
            return
        if not request.plain and not CLAIMS.isdisjoint(headers):
            for name in CLAIMS.intersection(headers):
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
        return _Peer(text, text.encode(), trusted=peer in self._networks if peer else self._local)

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


class Networks:
    """The network a client is counted in, with so many bits of its address."""

    def __init__(self, ipv4_prefix: int, ipv6_prefix: int) -> None:
        self._known: Memo[str, bytes] = Memo(lambda text: network(text, ipv4_prefix, ipv6_prefix).encode(), 16_384)

    def key(self, x: Exchange) -> bytes:
        return self._known[x.client]
