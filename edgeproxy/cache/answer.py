"""Answers made from stored entries: whole, not modified, or parts."""

from __future__ import annotations

from edgeproxy.cache.entry import Entry
from edgeproxy.http import ranges
from edgeproxy.http.conditional import evaluate, if_range_holds
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response


def from_entry(entry: Entry, request: Request, now: float, verdict: bytes) -> Response:
    """What the request is answered with; ``now`` is wall time in seconds, ``verdict`` what Cache-Status says.

    Conditions are evaluated first (RFC 9110 §13.2.2), then Range (§14.2), on a whole body only.
    """
    headers = request.headers
    age = int(now - entry.base)
    own = {b"age": b"%d" % (max(0, age)), b"cache-status": entry.said + verdict}
    if (b"if-none-match" in headers or b"if-modified-since" in headers) and (
        evaluate(request.method, headers, entry.status, entry.etag, entry.last_modified) == "not_modified"
    ):
        return Response(304, own, b"", entry.not_modified)
    body = entry.body
    if body is None:
        fill = entry.fill
        return Response(entry.status, own, b"" if fill is None else fill.reader(), entry.fields)
    if b"range" in headers and entry.status == 200 and request.method == b"GET":
        part = _part(entry, request, body, own)
        if part is not None:
            return part
    return Response(entry.status, own, body, entry.fields)


def _part(entry: Entry, request: Request, body: bytes, own: Headers) -> Response | None:
    """A 206 or 416, or None where the Range field is to be ignored (RFC 9110 §14.2)."""
    condition = request.headers.get(b"if-range")
    stored = entry.fields.fields
    if condition is not None and not if_range_holds(condition, entry.etag, entry.last_modified, stored.get(b"date")):
        return None
    wanted = ranges.parse_range(request.headers[b"range"], len(body))
    if wanted is None:
        return None
    if isinstance(wanted, ranges.Unsatisfiable):
        return Response(416, own | {b"content-range": ranges.unsatisfied_range(len(body))}, b"")
    if len(wanted) == 1:
        own[b"content-range"] = ranges.content_range(wanted[0], len(body))
        first, last = wanted[0]
        return Response(206, own, body[first : last + 1], entry.fields)
    boundary = ranges.new_boundary()
    content_type = stored.get(b"content-type")
    response = Response(206, own, ranges.multipart_body(body, wanted, content_type, boundary), entry.fields)
    response.set(b"content-type", ranges.multipart_type(boundary))
    return response
