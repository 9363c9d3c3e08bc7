"""The fields of an answer with a variant, or with the original in its place: values in, values out."""

from __future__ import annotations

import hashlib
from typing import Final

from edgeproxy.http.conditional import is_entity_tag
from edgeproxy.http.headers import Headers, tokens
from edgeproxy.http.message import Response
from edgeproxy.images.choice import vary
from edgeproxy.images.front import FIELD

# What tells of the source's own bytes, of one transfer of them, or of whom they were for.
_OF_THE_SOURCE: Final = frozenset(
    (
        *(b"accept-ranges", b"content-digest", b"content-disposition", b"content-encoding", b"content-length"),
        *(b"content-location", b"content-md5", b"content-range", b"content-type", b"digest", b"etag", b"repr-digest"),
        *(b"cache-status", b"server-timing", b"set-cookie", b"trailer", b"link", b"no-vary-search", b"vary"),
        *(b"use-as-dictionary", b"x-content-type-options"),
    )
)
_TAGS: Final = (b"surrogate-key", b"cache-tag")


def tag(validator: bytes, facet: bytes, craft: bytes) -> bytes:
    """The entity tag of a variant: of the source's ``validator``, what is made of it and how. Weak, for a better copy
    has the same (RFC 9110 §8.8.3)."""
    digest = hashlib.blake2b(b"\n".join((validator, facet, craft)), digest_size=12)
    return b'W/"%b"' % digest.hexdigest().encode()


def validator(source: Response) -> bytes:
    """What tells one state of the source from another, b"" if its fields do not."""
    etag = source.get(b"etag", b"") or b""
    return etag if is_entity_tag(etag) else b""


def variant_fields(source: Response, etag: bytes, content_type: bytes, settled: frozenset[bytes]) -> Headers:
    """Those of a variant: the source's terms, age and tags, and what scripts of others may do with it. It varies by
    the fields it was chosen by, ``settled``, and by nothing that the source does, for whoever asked for that was
    nobody."""
    told = source.headers()
    fields = {name: value for name, value in told.items() if name not in _OF_THE_SOURCE}
    if b"*" in tokens(told.get(b"vary")):
        fields[b"vary"] = b"*"
    elif settled:
        fields[b"vary"] = vary(settled)
    fields |= {b"content-type": content_type, b"etag": etag, b"x-content-type-options": b"nosniff"}
    return fields | _tags(source)


def passed_on(source: Response, reason: str = "") -> Response:
    """The source's answer as one of this exchange's own: what its look-up said of the cache is not for the client.
    ``reason``: why it stands in place of a variant."""
    headers = source.headers() | _tags(source)
    headers.pop(b"cache-status", None)
    if reason:
        headers[FIELD] = b"original; reason=" + reason.encode()
    passed = Response(source.status, headers, source.body)
    passed.filters = source.filters
    return passed


def _tags(source: Response) -> Headers:
    """What a purge finds the source by, where the cache has taken it out of the fields. (A cache group is a tag with a
    blank in it, and stands in a field of its own.)"""
    tags = [name for name in source.shared.tags if b" " not in name]
    told = any(source.get(name) is not None for name in _TAGS)
    return {b"surrogate-key": b" ".join(tags)} if tags and not told else {}
