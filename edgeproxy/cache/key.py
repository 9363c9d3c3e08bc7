"""Cache keys. A key names a resource; :mod:`edgeproxy.cache.vary` tells its variants apart."""

from __future__ import annotations

from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_authority, parse_target
from edgeproxy.pipeline.exchange import Exchange


def of_request(request: Request) -> bytes:
    """Scheme, authority and target as they were normalised on arrival."""
    return b"%b://%b%b" % (request.scheme, request.authority, request.target)


def of_exchange(x: Exchange) -> bytes:
    """The key of a request on its route: in the route's partition, if it has one of its own."""
    request = x.request
    key = b"%b://%b%b" % (request.scheme, request.authority, request.target)
    partition = x.route.partition
    return within(key, partition) if partition else key


def within(key: bytes, partition: bytes) -> bytes:
    """A key in a partition. A fragment is never part of a request's target, so nobody can ask for such a key."""
    return b"%b#%b" % (key, partition)


def of_url(url: str) -> bytes:
    """The key of an absolute URL. Raises ValueError with what is wrong."""
    scheme, separator, rest = url.encode("utf-8").partition(b"://")
    scheme = scheme.lower()
    if not separator or scheme not in {b"http", b"https"}:
        raise ValueError(f"{url!r} is no absolute http or https URL")
    slash = rest.find(b"/")
    authority, target = (rest, b"/") if slash < 0 else (rest[:slash], rest[slash:])
    try:
        return b"%b://%b%b" % (scheme, parse_authority(authority, scheme).authority, parse_target(target)[0])
    except EdgeError as error:
        raise ValueError(f"{url!r}: {error.detail}") from None
