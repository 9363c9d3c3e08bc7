"""Tags: names an origin gives its answers, by which they are purged together.

``Surrogate-Key: a b`` (Fastly, Varnish) and ``Cache-Tag: a, b`` (Cloudflare, Akamai) say the same; both count. They are
for caches: unless configured otherwise they do not go on to clients.
"""

from __future__ import annotations

from edgeproxy.http.headers import Headers

FIELDS = (b"surrogate-key", b"cache-tag")

MOST = 1_000  # tags of one answer
LONGEST = 1_024  # bytes of one tag
OVERHEAD = 100  # bytes a tag costs beside itself: its place in an index

NONE: tuple[bytes, ...] = ()


def of(headers: Headers) -> tuple[bytes, ...] | None:
    """The tags of an answer, each once; None if they are past the bounds: no purge by them could be kept, so the answer
    is not stored."""
    surrogate, cache = headers.get(b"surrogate-key"), headers.get(b"cache-tag")
    if surrogate is None and cache is None:
        return NONE
    # Blanks and commas are no part of a tag in either notation, and field lines are joined with commas.
    found = dict.fromkeys((b"%b,%b" % (surrogate or b"", cache or b"")).replace(b",", b" ").split())
    if len(found) > MOST or max(map(len, found), default=0) > LONGEST:
        return None
    return tuple(found)


def without(headers: Headers) -> Headers:
    """The fields without those that carry tags."""
    return {name: value for name, value in headers.items() if name not in FIELDS}


def weight(tags: tuple[bytes, ...]) -> int:
    """Bytes of memory that tags take."""
    return sum(map(len, tags)) + OVERHEAD * len(tags)
