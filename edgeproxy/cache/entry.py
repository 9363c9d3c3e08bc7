"""A stored answer, whole or still arriving."""

from __future__ import annotations

from edgeproxy.cache.fill import Fill
from edgeproxy.cache.policy import Terms
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import NO_FIELDS, FieldBlock

# Fields that belong to one transfer and not to the stored answer (RFC 9111 §3.1 and our own framing).
_NOT_STORED = (b"age", b"cache-status", b"content-length", b"proxy-authentication-info", b"proxy-authorization")

# What a 304 carries of the stored fields (RFC 9110 §15.4.5).
_NOT_MODIFIED = (b"cache-control", b"content-location", b"date", b"etag", b"expires", b"last-modified", b"vary")

OVERHEAD = 1024  # bytes an entry costs beside its body and fields: objects, keys, queue places


class Entry:
    """One variant of one resource.

    ``body`` is the whole body, or None while ``fill`` still brings it. ``base`` is the wall time at which the answer
    was 0 seconds old, ``fresh_until`` the wall time its freshness ends (0 if it must always be revalidated).
    ``said`` is how its
    Cache-Status begins, ``hits`` and ``main`` are the eviction's marks.
    """

    __slots__ = (
        "base",
        "body",
        "etag",
        "fields",
        "fill",
        "fresh_until",
        "hits",
        "key",
        "last_modified",
        "main",
        "not_modified",
        "said",
        "size",
        "status",
        "terms",
        "variant",
        "vary",
    )

    def __init__(
        self,
        key: bytes,
        vary: tuple[bytes, ...],
        variant: bytes,
        status: int,
        headers: Headers,
        terms: Terms,
        response_time: float,
        body: bytes | None = None,
        fill: Fill | None = None,
    ) -> None:
        self.key = key
        self.vary = vary
        self.variant = variant
        self.status = status
        self.body = body
        self.fill = fill
        self.hits = 0
        self.main = False
        self.fields = NO_FIELDS
        self.size = OVERHEAD + len(key) + len(variant) + len(body or b"")
        self.size += self.renew(headers, terms, response_time)

    def renew(self, headers: Headers, terms: Terms, response_time: float) -> int:
        """Take new fields and terms: when stored, and when a 304 freshened it (RFC 9111 §3.2, §4.3.4).

        Returns the bytes it has become larger by.
        """
        before = len(self.fields.wire)
        said = headers.get(b"cache-status")
        self.said = b"edgeproxy; " if said is None else said + b", edgeproxy; "  # RFC 9211 §2: each cache appends
        headers = {name: value for name, value in headers.items() if name not in _NOT_STORED}
        self.fields = FieldBlock(headers)
        self.not_modified = FieldBlock({name: headers[name] for name in _NOT_MODIFIED if name in headers})
        self.etag = headers.get(b"etag")
        self.last_modified = headers.get(b"last-modified")
        self.terms = terms
        self.base = response_time - terms.initial_age
        self.fresh_until = 0.0 if terms.validate else self.base + terms.lifetime
        return 2 * (len(self.fields.wire) - before)

    def age(self, now: float) -> float:
        """Seconds (RFC 9111 §4.2.3)."""
        return max(0.0, now - self.base)

    def __repr__(self) -> str:
        state = f"{len(self.body)} B" if self.body is not None else repr(self.fill)
        return f"<Entry {self.key.decode()} {self.variant.decode()} {self.status} {state}>"
