"""A stored answer, whole or still arriving."""

from __future__ import annotations

from typing import Final

from edgeproxy.cache import tags as cache_tags
from edgeproxy.cache.ended import ended
from edgeproxy.cache.fill import Fill
from edgeproxy.cache.parts import Parts
from edgeproxy.cache.policy import Terms
from edgeproxy.cache.source import Source
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import NO_FIELDS, FieldBlock

SAID: Final = b"edgeproxy; "  # what Cache-Status says of this cache begins with it

# Fields that belong to one transfer and not to the stored answer (RFC 9111 §3.1 and our own framing).
_NOT_STORED: Final = (b"age", b"cache-status", b"content-length", b"proxy-authentication-info", b"proxy-authorization")

# What a 304 carries of the stored fields (RFC 9110 §15.4.5).
_NOT_MODIFIED: Final = (b"cache-control", b"content-location", b"date", b"etag", b"expires", b"last-modified", b"vary")

OVERHEAD: Final = 1024  # bytes an entry costs beside its body and fields: objects, keys, queue places


class Entry:
    """One variant of one resource.

    ``body`` is the whole body, or None while ``fill`` still brings it, where it is read from ``source``, or where only
    ``parts`` of it are here. ``base`` is the wall time at which the answer was 0 seconds old, ``fresh_until`` the wall
    time its freshness ends (0 if it is never given without a closer look: it must be revalidated, or is not whole).
    ``modified`` is what If-Modified-Since is compared with. ``tags`` are the names it is purged by, ``told`` the fields
    as they were stored, also when :meth:`expire` has changed ``fields``. ``said`` is how its Cache-Status begins,
    ``hits`` and ``main`` are the eviction's marks.
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
        "modified",
        "not_modified",
        "parts",
        "said",
        "size",
        "source",
        "status",
        "tags",
        "terms",
        "told",
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
        tags: tuple[bytes, ...] = cache_tags.NONE,
        parts: Parts | None = None,
        like: Entry | None = None,
    ) -> None:
        """``like`` is one of the same key, fields, terms and tags, made before: what was computed of them is taken from
        it."""
        self.key = key
        self.vary = vary
        self.variant = variant
        self.status = status
        self.body = body
        self.fill = fill
        self.source: Source | None = None
        self.parts = parts
        self.hits = 0
        self.main = False
        self.fields = NO_FIELDS
        self.tags = tags
        if like is None:
            self.size = OVERHEAD + len(key) + len(variant) + len(body or b"") + cache_tags.weight(tags)
            self.size += 0 if parts is None else parts.size
            self.size += self.renew(headers, terms, response_time)
        else:
            self.size = like.size - len(like.body or b"") + len(body or b"")
            self._take(like)

    def renew(self, headers: Headers, terms: Terms, response_time: float) -> int:
        """Take new fields and terms: when stored, and when a 304 freshened it (RFC 9111 §3.2, §4.3.4).

        Returns the bytes it has become larger by.
        """
        before = len(self.fields.wire)
        said = headers.get(b"cache-status")
        self.said = SAID if said is None else said + b", " + SAID  # RFC 9211 §2: each cache appends
        self._tell(headers)
        self.terms = terms
        self.base = response_time - terms.initial_age
        self.fresh_until = 0.0 if terms.validate or self.parts is not None else self.base + terms.lifetime
        return 2 * (len(self.fields.wire) - before)

    def _tell(self, headers: Headers) -> None:
        """Have these fields, and what follows from them alone."""
        headers = {name: value for name, value in headers.items() if name not in _NOT_STORED}
        self.told = headers
        self.fields = FieldBlock(headers)
        self.fields.tags = self.tags
        self.not_modified = FieldBlock({name: headers[name] for name in _NOT_MODIFIED if name in headers})
        self.not_modified.content_type = self.fields.content_type
        self.etag = headers.get(b"etag")
        self.last_modified = headers.get(b"last-modified")
        self.modified = headers.get(b"last-modified") or headers.get(b"date")

    def _take(self, like: Entry) -> None:
        """What :meth:`renew` did for another entry."""
        self.said, self.told = like.said, like.told
        self.fields, self.not_modified = like.fields, like.not_modified
        self.etag, self.last_modified, self.modified = like.etag, like.last_modified, like.modified
        self.terms, self.base, self.fresh_until = like.terms, like.base, like.fresh_until

    def expire(self, now: float) -> int:
        """End its freshness at this wall time, and leave the rest of its terms alone: a soft purge.

        Its fields then say so too: whoever is answered with it, another cache among them, sees its true Age and no
        freshness left. Returns the bytes it has become larger by.
        """
        if self.terms.validate or now >= self.base + self.terms.lifetime:
            return 0
        before = len(self.fields.wire)
        age = self.age(now)
        self.terms = self.terms._replace(lifetime=age)
        self.fresh_until = 0.0 if self.parts is not None else now
        self._end()
        return 2 * (len(self.fields.wire) - before)

    def _end(self) -> None:
        """Have its fields say that its freshness is over."""
        age = int(self.terms.lifetime)
        self.fields = FieldBlock(ended(self.fields.fields, age))
        self.fields.tags = self.tags
        self.not_modified = FieldBlock(ended(self.not_modified.fields, age))
        self.not_modified.content_type = self.fields.content_type

    def improve(self, body: bytes, headers: Headers) -> int:
        """Take a better body and the fields that go with it; age, terms and marks stay, and so does a soft purge.

        Whoever is being sent the old body goes on with it. Returns the bytes it has become larger by.
        """
        before = len(self.body or b"") + 2 * len(self.fields.wire)
        expired = self.told is not self.fields.fields
        self.body = body
        self._tell(headers)
        if expired:
            self._end()
        return len(body) + 2 * len(self.fields.wire) - before

    def take_part(self, first: int, data: bytes, headers: Headers, terms: Terms, response_time: float) -> int:
        """Take another part of the body, with the fields it came with (RFC 9111 §3.4). It may be the last one missing.

        Returns the bytes it has become larger by.
        """
        parts = self.parts
        if parts is None:
            return 0
        before = parts.size
        parts.add(first, data)
        self.body = parts.whole()
        if self.body is not None:
            self.parts = None
        return parts.size - before + self.renew(self.told | headers, terms, response_time)

    def age(self, now: float) -> float:
        """Seconds (RFC 9111 §4.2.3)."""
        return max(0.0, now - self.base)

    def __repr__(self) -> str:
        state = f"{len(self.body)} B" if self.body is not None else repr(self.parts or self.fill)
        return f"<Entry {self.key.decode()} {self.variant.decode()} {self.status} {state}>"
