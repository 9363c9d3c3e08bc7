"""Cache keys. A key names a resource; :mod:`edgeproxy.cache.vary` tells its variants apart.

It is a URL, and behind ``#`` the route's partition and what else the route's recipe takes
(:mod:`edgeproxy.cache.recipe`).
"""

from __future__ import annotations

from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_authority, parse_target


def of_request(request: Request) -> bytes:
    """Scheme, authority and target as they were normalised on arrival."""
    return b"%b://%b%b" % (request.scheme, request.authority, request.target)


def within(key: bytes, partition: bytes) -> bytes:
    """A key in a partition. A fragment is never part of a request's target, so nobody can ask for such a key."""
    return b"%b#%b" % (key, partition)


def url_of(key: bytes) -> bytes:
    """The URL a key begins with."""
    return key.partition(b"#")[0]


def target_of(key: bytes) -> bytes:
    """The target of that URL: its path with its query."""
    return split(url_of(key))[1]


def split(url: bytes) -> tuple[bytes, bytes]:
    """A normalised URL in two: scheme and authority, ``https://www.example.com``, and the target."""
    slash = url.find(b"/", url.find(b"://") + 3)
    return (url, b"") if slash < 0 else (url[:slash], url[slash:])


def of_url(text: str) -> bytes:
    """The key of an absolute URL. Raises ValueError with what is wrong."""
    scheme, separator, rest = text.encode("utf-8").partition(b"://")
    scheme = scheme.lower()
    if not separator or scheme not in {b"http", b"https"}:
        raise ValueError(f"{text!r} is no absolute http or https URL")
    slash = rest.find(b"/")
    authority, path = (rest, b"/") if slash < 0 else (rest[:slash], rest[slash:])
    try:
        return b"%b://%b%b" % (scheme, parse_authority(authority, scheme).authority, parse_target(path)[0])
    except EdgeError as error:
        raise ValueError(f"{text!r}: {error.detail}") from None
