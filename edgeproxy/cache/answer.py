"""Answers made from stored entries: whole, not modified, or parts."""

from __future__ import annotations

from typing import Final

from edgeproxy.cache.entry import SAID, Entry
from edgeproxy.cache.fill import Slice
from edgeproxy.http import ranges
from edgeproxy.http.body import Body
from edgeproxy.http.conditional import evaluate, if_range_holds, is_strong
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.http.ranges import Range

HIT: Final = b"hit"
HIT_ON_DISK: Final = b"hit; detail=l2"  # RFC 9211 §2.8: which tier had it
STAMPS_KEPT: Final = 4096

_stamps: Final[dict[bytes, dict[int, FieldBlock]]] = {HIT: {}, HIT_ON_DISK: {}}


def from_entry(entry: Entry, request: Request, now: float, verdict: bytes) -> Response:
    """What the request is answered with; ``now`` is wall time in seconds, ``verdict`` what Cache-Status says.

    Conditions are evaluated first (RFC 9110 §13.2.2), then Range (§14.2). Where there is no Last-Modified, Date stands
    for it (RFC 9111 §4.3.2). An entry that has parts only is asked for what they cover.
    """
    headers = request.headers
    own: Headers = {}
    stamp = _stamp(entry.said, verdict, max(0, int(now - entry.base)))
    if (b"if-none-match" in headers or b"if-modified-since" in headers) and (
        evaluate(request.method, headers, entry.status, entry.etag, entry.modified) == "not_modified"
    ):
        return Response(304, own, b"", entry.not_modified, stamp)
    if b"range" in headers and entry.status == 200 and request.method == b"GET":
        part = _part(entry, request, own)
        if part is not None:
            part.stamp = stamp
            return part
    body = entry.body
    if body is None:
        if entry.source is not None and request.method == b"HEAD":
            own[b"content-length"] = b"%d" % entry.source.length
            return Response(entry.status, own, b"", entry.fields, stamp)
        return Response(entry.status, own, _streamed(entry), entry.fields, stamp)
    return Response(entry.status, own, body, entry.fields, stamp)


def _stamp(said: bytes, verdict: bytes, age: int) -> FieldBlock:
    """What an answer says of the cache: Age in seconds (RFC 9111 §5.1) and Cache-Status. Those of plain hits are
    remembered: under load many answers are equally old."""
    known = _stamps.get(verdict) if said == SAID else None
    block = None if known is None else known.get(age)
    if block is None:
        block = FieldBlock({b"age": b"%d" % age, b"cache-status": said + verdict})
        if known is not None:
            if len(known) >= STAMPS_KEPT:
                known.clear()
            known[age] = block
    return block


def covered(entry: Entry, request: Request) -> bool:
    """Whether an entry that has parts only has what a request is to be answered with."""
    headers, parts = request.headers, entry.parts
    condition = headers.get(b"if-range")
    if condition is not None and not _holds(condition, entry):
        return False  # the whole is asked for
    return parts is not None and request.method == b"GET" and parts.cover(headers)


def _holds(condition: bytes, entry: Entry) -> bool:
    """Whether what If-Range names is what is stored (RFC 9110 §13.1.5). A date does not name what was compressed here,
    or has a weak tag, and may by now be a better copy of other bytes: the validator is a weak one (§8.8.2.2)."""
    stored = entry.fields.fields
    dated = b"content-encoding" not in stored if entry.etag is None else is_strong(entry.etag)
    return if_range_holds(condition, entry.etag, entry.last_modified if dated else None, stored.get(b"date"))


def _streamed(entry: Entry) -> bytes | Body:
    """All of a body that is not in memory, or not yet."""
    if entry.source is not None:
        return entry.source.read(0, entry.source.length - 1)
    return b"" if entry.fill is None else entry.fill.reader()


def _part(entry: Entry, request: Request, own: Headers) -> Response | None:
    """A 206 or 416, or None where the Range field is to be ignored (RFC 9110 §14.2)."""
    condition = request.headers.get(b"if-range")
    stored = entry.fields.fields
    if condition is not None and not _holds(condition, entry):
        return None
    length = _length(entry)
    wanted = None if length is None else ranges.parse_range(request.headers[b"range"], length)
    if length is None or wanted is None:
        return None
    if isinstance(wanted, ranges.Unsatisfiable):
        return Response(416, own, b"", FieldBlock({b"content-range": ranges.unsatisfied_range(length)}))
    if len(wanted) == 1:
        body = _bytes(entry, wanted[0])
        if body is None:
            return None
        own[b"content-range"] = ranges.content_range(wanted[0], length)
        return Response(206, own, body, entry.fields)
    parts: list[tuple[Range, bytes]] = []
    for part in wanted:
        data = _bytes(entry, part)
        if not isinstance(data, bytes):  # still arriving, or on disk: the whole is sent
            if data is not None:
                data.close()
            return None
        parts.append((part, data))
    boundary = ranges.new_boundary()
    multipart = ranges.multipart_body(parts, length, stored.get(b"content-type"), boundary)
    return Response(206, own, multipart, FieldBlock(stored | {b"content-type": ranges.multipart_type(boundary)}))


def _length(entry: Entry) -> int | None:
    """The whole's length, None while it is not known."""
    if entry.body is not None:
        return len(entry.body)
    if entry.parts is not None:
        return entry.parts.length
    if entry.source is not None:
        return entry.source.length
    return None if entry.fill is None else entry.fill.length


def _bytes(entry: Entry, part: Range) -> bytes | Body | None:
    """A part of what is stored; None if it is not here."""
    if entry.body is not None:
        return entry.body[part[0] : part[1] + 1]
    if entry.parts is not None:
        return entry.parts.get(part)
    if entry.source is not None:
        return entry.source.read(*part)
    return None if entry.fill is None else Slice(entry.fill.reader(), part)
