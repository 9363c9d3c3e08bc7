"""Requests as origins that speak HTTP/2 get them: one field section (RFC 9113 §8.3)."""

from __future__ import annotations

from typing import Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http import grpc
from edgeproxy.http.headers import Headers, lines
from edgeproxy.http2 import hpack
from edgeproxy.origin.wire import Call

# What a WebSocket's handshake needs over HTTP/1.1 alone (RFC 8441 §5).
_HANDSHAKE: Final = frozenset((b"sec-websocket-key", b"sec-websocket-accept"))


def head(call: Call, host: bytes, scheme: bytes, now: float) -> bytes:
    """The block for an origin that is called ``host``; ``now`` is the loop's time, by which a call's deadline has come
    nearer. A request that asks for an upgrade becomes an extended CONNECT (RFC 8441 §4).

    Raises EdgeError if a stage put into it what no field may hold: fields from the wire were checked there.
    """
    out = [(b":method", b"CONNECT"), (b":protocol", b"websocket")] if call.tunnel else [(b":method", call.method)]
    out += ((b":scheme", scheme), (b":authority", host), (b":path", call.target))
    fields = call.fields
    if call.tunnel:
        fields = {name: value for name, value in fields.items() if name not in _HANDSHAKE}
    elif call.rpc:
        fields = fields | {grpc.TIMEOUT: grpc.timeout(max(0.0, call.until - now))}
    out += lines(fields)
    out += ((b"via", call.via), (b"cdn-loop", call.cdn_loop))
    if call.takes_trailers:
        out.append((b"te", b"trailers"))
    if call.length is not None and not grpc.is_grpc(fields):
        out.append((b"content-length", b"%d" % call.length))
    text = b"".join([part for field in out for part in field])
    if len(text) != len(text.translate(None, b"\r\n\0")):
        raise EdgeError(Kind.INTERNAL, "edge", "a field of the request holds CR, LF or NUL")
    return hpack.encode(out)


def plain(method: bytes, scheme: bytes, host: bytes, path: bytes, fields: Headers) -> bytes:
    """The block of a request of our own."""
    target = [(b":method", method), (b":scheme", scheme), (b":authority", host), (b":path", path)]
    return hpack.encode([*target, *lines(fields)])


def trailers(fields: Headers) -> bytes:
    """The block of what stands behind a body."""
    return hpack.encode(list(lines(fields)))
