"""A stored answer's head as bytes and back: what L2 and L3 keep beside its body.

    4 schema · 16 checksum of all behind it · FIXED · the terms · N lengths · N strings · digests

Compact, versioned by what it holds, and checked: bytes that were damaged, cut off or written by another version are no
record. Nothing here does I/O.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final, NamedTuple

from blake3 import blake3

from edgeproxy.cache.entry import Entry
from edgeproxy.cache.policy import Terms
from edgeproxy.http.headers import Headers

VERSION: Final = 1
DIGEST: Final = 32  # bytes
LARGEST: Final = 1_048_576  # bytes of a head: far more than an origin's may have

# The annotations of a compiled class are the types themselves.
_KINDS: Final = tuple(getattr(kind, "__name__", kind) for kind in Terms.__annotations__.values())
_YES_OR_NO: Final = tuple(place for place, kind in enumerate(_KINDS) if kind == "bool")
_TERMS: Final = struct.Struct(f"<{len(_KINDS)}d")
_FIXED: Final = struct.Struct("<HdddQIHHHI")  # status, base, expired, began, length, chunk, vary, tags, fields, digests
_SCHEMA: Final = struct.pack("<I", zlib.crc32(repr((VERSION, Terms._fields, _KINDS)).encode()))
_CHECKED: Final = len(_SCHEMA) + 16
_STRINGS: Final = _CHECKED + _FIXED.size + _TERMS.size
_ALONE: Final = 3  # strings that stand for themselves: key, variant, said


class Record(NamedTuple):
    """The head of one variant.

    ``base`` is the wall time at which the answer was 0 seconds old, ``began`` the one at which it was asked for,
    ``expired`` the one at which its freshness was ended before its time, 0 if it was not. ``said`` is how its
    Cache-Status begins. ``length`` is the body's in bytes, ``digests`` those of its chunks, all of which but the
    last are ``chunk`` bytes long.
    """

    key: bytes
    vary: tuple[bytes, ...]
    variant: bytes
    status: int
    headers: Headers
    terms: Terms
    base: float
    expired: float
    said: bytes
    tags: tuple[bytes, ...]
    began: float
    length: int
    chunk: int
    digests: tuple[bytes, ...]


def of_entry(entry: Entry, began: float, length: int, chunk: int, digests: tuple[bytes, ...]) -> Record:
    """The head of an entry as it is now; its fields are shared, not copied."""
    return Record(
        entry.key,
        entry.vary,
        entry.variant,
        entry.status,
        entry.told,
        entry.terms,
        entry.base,
        0.0 if entry.told is entry.fields.fields else entry.fresh_until,
        entry.said,
        entry.tags,
        began,
        length,
        chunk,
        digests,
    )


def to_entry(record: Record, body: bytes | None, like: Entry | None = None) -> Entry:
    """The entry a head was made of, with its body, or without one where that is read elsewhere. ``like`` is one that
    this very record gave before."""
    if like is not None:
        return Entry(
            record.key,
            record.vary,
            record.variant,
            record.status,
            record.headers,
            like.terms,
            0.0,
            body=body,
            tags=record.tags,
            like=like,
        )
    terms = record.terms
    if record.expired:
        terms = terms._replace(lifetime=terms.lifetime + 1)  # it will be ended anew
    entry = Entry(
        record.key,
        record.vary,
        record.variant,
        record.status,
        record.headers,
        terms,
        record.base + terms.initial_age,
        body=body,
        tags=record.tags,
    )
    entry.said = record.said
    if record.expired:
        entry.expire(record.expired)
    return entry


def pack(record: Record) -> bytes:
    """Raises ValueError if the head is too large to be kept."""
    strings = [record.key, record.variant, record.said, *record.vary, *record.tags]
    for name, value in record.headers.items():
        strings += name, value
    try:
        fixed = _FIXED.pack(
            record.status,
            record.base,
            record.expired,
            record.began,
            record.length,
            record.chunk,
            len(record.vary),
            len(record.tags),
            len(record.headers),
            len(record.digests),
        )
        lengths = struct.pack(f"<{len(strings)}I", *map(len, strings))
    except struct.error as error:
        raise ValueError(f"no head that can be kept: {error}") from None
    content = b"".join((fixed, _TERMS.pack(*record.terms), lengths, *strings, *record.digests))
    if len(content) > LARGEST:
        raise ValueError(f"a head of {len(content)} bytes, more than {LARGEST}")
    return b"".join((_SCHEMA, blake3(content).digest(16), content))


def unpack(data: bytes) -> Record | None:
    """The head these bytes are; None if they are not one, whatever they are."""
    if not _STRINGS <= len(data) <= LARGEST + _CHECKED or data[:4] != _SCHEMA:
        return None
    if blake3(data[_CHECKED:]).digest(16) != data[4:_CHECKED]:
        return None
    fixed = _FIXED.unpack_from(data, _CHECKED)
    status, base, expired, began, length, chunk, n_vary, n_tags, n_fields, n_digests = fixed
    count = _ALONE + n_vary + n_tags + 2 * n_fields
    place = _STRINGS + 4 * count
    if place > len(data):
        return None
    strings: list[bytes] = []
    for size in struct.unpack_from(f"<{count}I", data, _STRINGS):
        strings.append(data[place : place + size])
        place += size
    if place + DIGEST * n_digests != len(data) or -(-length // chunk if chunk else 0) != n_digests:
        return None
    vary_end = _ALONE + n_vary
    tags_end = vary_end + n_tags
    fields = strings[tags_end:]
    start = place - sum(map(len, fields))
    for never in (b"\n", b"\r", b"\0"):  # nothing that was stored in this form can bring these
        if data.find(never, start, place) >= 0:
            return None
    terms: list[Any] = list(_TERMS.unpack_from(data, _CHECKED + _FIXED.size))
    for number in _YES_OR_NO:
        terms[number] = terms[number] != 0
    return Record(
        strings[0],
        tuple(strings[_ALONE:vary_end]),
        strings[1],
        status,
        dict(zip(fields[::2], fields[1::2], strict=True)),
        Terms(*terms),
        base,
        expired,
        strings[2],
        tuple(strings[vary_end:tags_end]),
        began,
        length,
        chunk,
        tuple([data[start : start + DIGEST] for start in range(place, len(data), DIGEST)]),
    )
