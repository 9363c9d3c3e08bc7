"""Cache groups (RFC 9875): answers of one origin that an unsafe request makes out of date together.

A group is kept as a tag that no Surrogate-Key can spell: with the origin it is of, and a blank between them.
"""

from __future__ import annotations

from edgeproxy.cache import key as cache_key
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request
from edgeproxy.http.structured import Item, parse_list

MOST = 64  # groups of one answer; RFC 9875 §2 asks for 32 at least
LONGEST = 256  # bytes of a name; it asks for 32


def of(headers: Headers, key: bytes) -> tuple[bytes, ...]:
    """The groups an answer belongs to, as tags; ``key`` is the one it is stored under."""
    names = _names(headers.get(b"cache-groups"))
    if not names:
        return ()
    target = cache_key.target_of(key)
    return _tags(names, cache_key.url_of(key).removesuffix(target))


def invalidated(headers: Headers, request: Request) -> tuple[bytes, ...]:
    """The tags of the groups that an answer to an unsafe request makes out of date."""
    names = _names(headers.get(b"cache-group-invalidation"))
    return _tags(names, b"%b://%b" % (request.scheme, request.authority))


def _tags(names: list[bytes], origin: bytes) -> tuple[bytes, ...]:
    return tuple([b"%b %b" % (origin, name) for name in names])


def _names(value: bytes | None) -> list[bytes]:
    """The strings of a list; members of another type count as not there (RFC 9875 §2)."""
    told = parse_list(value) if value else None
    names = [item.value.encode() for item in told or () if isinstance(item, Item) and isinstance(item.value, str)]
    return [name for name in dict.fromkeys(names[:MOST]) if len(name) <= LONGEST]
