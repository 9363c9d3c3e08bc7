"""Who asked, through how many proxies: Forwarded (RFC 7239) and X-Forwarded-For, read from the right.

The right end was written by the peer we talk to, everything further left by someone further away, down to the client,
who may write anything. So the walk starts at the peer and goes left only while trusted proxies speak; a hop that
cannot be read ends it, and no quoting trick on the left changes how the right is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from edgeproxy.http.addresses import canonical

MAX_HOPS = 32
_MAX_COMMAS = 8  # inside one element's quoted strings; more makes it unreadable, not slow

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_PAIR = re.compile(rb"(%b)=(%b|%b)" % (_TOKEN, _TOKEN, _QUOTED))
_ELEMENT = re.compile(rb"(?:%b)?(?:[ \t]*;[ \t]*(?:%b)?)*" % (_PAIR.pattern, _PAIR.pattern))
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}|_[A-Za-z0-9._-]+")  # RFC 7239 §6: node-port = port / obfport
_PLAIN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# What says on whose behalf a request comes, or to where. From a peer that is not trusted it is forged.
CLAIMS: frozenset[bytes] = frozenset(
    (
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"forwarded",
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


class Hop(NamedTuple):
    """One proxy's word about whom it talked to. ``node`` as written; ``proto`` and ``host`` b"" if not said."""

    node: bytes
    proto: bytes = b""
    host: bytes = b""


class Origin(NamedTuple):
    """Where a walk ended: the client's address in canonical form, and what its hop said of scheme and host."""

    client: str
    proto: bytes
    host: bytes


def address(node: bytes) -> str | None:
    """The address in a node identifier (RFC 7239 §6) or an X-Forwarded-For entry, without its port.

    None for ``unknown``, obfuscated identifiers (``_hidden``) and whatever is no address.
    """
    try:
        text = node.decode("ascii")
    except UnicodeDecodeError:
        return None
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in text or (port and not (port[0] == ":" and _PORT.fullmatch(port[1:]))):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _PORT.fullmatch(port):
            return None
    return canonical(text)


def hops_x_forwarded_for(value: bytes) -> Iterator[Hop]:
    """The entries of X-Forwarded-For, the nearest first."""
    for entry in reversed(value.rsplit(b",", MAX_HOPS)):
        if entry := entry.strip(b" \t"):
            yield Hop(entry)


def hops_forwarded(value: bytes) -> Iterator[Hop | None]:
    """The elements of Forwarded, the nearest first; None, and the end, at one that breaks the grammar.

    An element is the shortest piece from a comma to the end that is one by itself: the grammar pairs quotes, so in a
    well-formed field no comma inside a quoted string can pass for a separator.
    """
    rest: bytes | None = value
    for _ in range(MAX_HOPS):
        if rest is None:
            return
        piece, rest = _last_element(rest)
        if piece is None:
            yield None
            return
        if piece:
            yield _hop(piece)


def _last_element(value: bytes) -> tuple[bytes | None, bytes | None]:
    """The last element and what stands before its comma; (None, None) if it cannot be read."""
    end = len(value)
    for _ in range(_MAX_COMMAS + 1):
        comma = value.rfind(b",", 0, end)
        piece = value[comma + 1 :].strip(b" \t")
        if _ELEMENT.fullmatch(piece):
            return piece, value[:comma] if comma >= 0 else None
        if comma < 0:
            break
        end = comma
    return None, None


def _hop(element: bytes) -> Hop | None:
    pairs: dict[bytes, bytes] = {}
    for name, value in _PAIR.findall(element):
        name = name.lower()
        if name in pairs:  # RFC 7239 §4: a parameter must not occur more than once in an element
            return None
        pairs[name] = _ESCAPED.sub(rb"\1", value[1:-1]) if value[:1] == b'"' else value
    return Hop(pairs.get(b"for", b""), pairs.get(b"proto", b""), pairs.get(b"host", b""))


def walk(peer: str, hops: Iterator[Hop | None] | Iterator[Hop], trusted: Callable[[str], bool]) -> Origin:
    """From a trusted ``peer`` leftwards to the first address that is not trusted: the client.

    Ends at the last good hop where one is unreadable, hidden or unknown, and at the leftmost if all are trusted.
    """
    client, proto, host = peer, b"", b""
    for hop in hops:
        found = None if hop is None else address(hop.node)
        if hop is None or found is None:
            break
        client, proto, host = found, hop.proto, hop.host
        if not trusted(found):
            break
    return Origin(client, proto, host)


def forwarded_element(client: str, proto: bytes, host: bytes) -> bytes:
    """One element for Forwarded (RFC 7239 §4). An empty ``client`` is ``unknown``, an empty ``host`` is left out."""
    node = client.encode() or b"unknown"
    if b":" in node:
        node = b'"[%b]"' % node
    element = b"for=%b;proto=%b" % (node, proto)
    if not host:
        return element
    if _PLAIN.fullmatch(host):
        return element + b";host=" + host
    return element + b';host="' + re.sub(rb'(["\\])', rb"\\\1", host) + b'"'
