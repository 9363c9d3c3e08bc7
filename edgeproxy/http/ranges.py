"""Range requests for bytes (RFC 9110 §14): which parts are asked for, and how they are sent."""

from __future__ import annotations

import re
import secrets
from enum import Enum
from typing import Final

from edgeproxy.http.headers import members

MAX_RANGES = 16  # a request for more is answered whole: many small ranges are an attack (RFC 9110 §17.15)

Range = tuple[int, int]

_RANGE_SPEC = re.compile(rb"(\d{1,18})-(\d{1,18})?|-(\d{1,18})")

_CONTENT_RANGE = re.compile(rb"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)


class Unsatisfiable(Enum):
    """What :func:`parse_range` returns when no range asked for exists: the answer is 416."""

    UNSATISFIABLE = "unsatisfiable"


UNSATISFIABLE: Final = Unsatisfiable.UNSATISFIABLE


def parse_range(value: bytes, length: int) -> list[Range] | Unsatisfiable | None:
    """The (first, last) positions, both inclusive, that a Range field asks for of ``length`` bytes.

    None: the field is to be ignored, because it is invalid, of another unit, has more than MAX_RANGES ranges, or asks
    for the end of nothing. Ranges stand in the order asked for; if any overlap or touch, they are merged and ascend.
    """
    unit, equals, specs = value.partition(b"=")
    if not equals or unit.lower() != b"bytes" or specs.count(b",") > 2 * MAX_RANGES:
        return None
    asked = members(specs)
    if not 1 <= len(asked) <= MAX_RANGES:
        return None
    ranges: list[Range] = []
    for spec in asked:
        match = _RANGE_SPEC.fullmatch(spec)
        if match is None:
            return None
        if match[3] is not None:
            suffix = int(match[3])
            if length == 0 and suffix:
                return None
            first, last = max(0, length - suffix), length - 1
        else:
            first = int(match[1])
            last = int(match[2]) if match[2] is not None else max(first, length - 1)
            if last < first:
                return None
            last = min(last, length - 1)
        if first < length:
            ranges.append((first, last))
    return _merged(ranges) if ranges else UNSATISFIABLE


def content_range(part: Range, length: int | None) -> bytes:
    """The Content-Range of a part; ``length`` of the whole, None if unknown."""
    return b"bytes %d-%d/%b" % (*part, b"*" if length is None else b"%d" % length)


def parse_content_range(value: bytes) -> tuple[Range, int] | None:
    """The part and the whole's length in bytes that a Content-Range tells; None if it is invalid (RFC 9110 §14.4), of
    another unit, or the length is unknown."""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        return None
    first, last, length = int(match[1]), int(match[2]), int(match[3])
    return ((first, last), length) if first <= last < length else None


def unsatisfied_range(length: int) -> bytes:
    """The Content-Range of a 416."""
    return b"bytes */%d" % length


def new_boundary() -> bytes:
    """A boundary that no body contains, but by a chance of 2**-128 or so."""
    return secrets.token_hex(16).encode()


def multipart_type(boundary: bytes) -> bytes:
    """The Content-Type of a multipart/byteranges body."""
    return b"multipart/byteranges; boundary=" + boundary


def part_head(part: Range, length: int, content_type: bytes | None, boundary: bytes) -> bytes:
    """What stands before a part's bytes."""
    kind = b"" if content_type is None else b"content-type: %b\r\n" % content_type
    return b"\r\n--%b\r\n%bcontent-range: %b\r\n\r\n" % (boundary, kind, content_range(part, length))


def multipart_end(boundary: bytes) -> bytes:
    """What stands behind the last part."""
    return b"\r\n--%b--\r\n" % boundary


def multipart_body(parts: list[tuple[Range, bytes]], length: int, content_type: bytes | None, boundary: bytes) -> bytes:
    """The multipart/byteranges body (RFC 9110 §14.6) with these parts of a body of ``length`` bytes, whose type is
    ``content_type``."""
    pieces: list[bytes] = []
    for part, data in parts:
        pieces += part_head(part, length, content_type, boundary), data
    pieces.append(multipart_end(boundary))
    return b"".join(pieces)


def _merged(ranges: list[Range]) -> list[Range]:
    """Without overlaps, so that no answer is longer than the whole plus its part heads."""
    ascending = sorted(ranges)
    merged = ascending[:1]
    for first, last in ascending[1:]:
        if first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return ranges if len(merged) == len(ranges) else merged
