"""Conditional requests (RFC 9110 §13), evaluated against the fields of the answer that would be sent.

If-Match and If-Unmodified-Since guard a change at the origin and do not apply to a cache (RFC 9111 §4.3.2); a caller
that answers from its store passes on requests that carry them, or evaluates them knowingly.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from edgeproxy.http.dates import parse_date
from edgeproxy.http.headers import Headers

Outcome = Literal["proceed", "not_modified", "precondition_failed"]

# RFC 9110 §8.8.3. A backslash is an ordinary character in an entity tag, and so is a comma.
_TAG: Final = rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ENTITY_TAG: Final = re.compile(_TAG)
_TAG_LIST: Final = re.compile(rb"[ \t,]*" + _TAG + rb"(?:[ \t]*,[ \t,]*" + _TAG + rb")*[ \t,]*")


def is_entity_tag(value: bytes) -> bool:
    """Whether ``value`` is one well-formed entity tag."""
    return _ENTITY_TAG.fullmatch(value) is not None


def is_strong(tag: bytes) -> bool:
    """Whether ``tag`` is a well-formed entity tag without ``W/``."""
    return tag[:1] == b'"' and is_entity_tag(tag)


def entity_tags(value: bytes) -> list[bytes]:
    """The entity tags of If-Match or If-None-Match; none at all if anything in the list is malformed."""
    return _ENTITY_TAG.findall(value) if _TAG_LIST.fullmatch(value) else []


def evaluate(
    method: bytes, request_headers: Headers, status: int, etag: bytes | None, last_modified: bytes | None
) -> Outcome:
    """What the request's conditions make of an answer with this status and these validators (RFC 9110 §13.2.2).

    ``etag`` and ``last_modified`` are the answer's field values. Conditions count for 2xx answers only; dates that
    are invalid, or have nothing to be compared with, are ignored.
    """
    if not 200 <= status < 300:
        return "proceed"
    wanted = request_headers.get(b"if-none-match")
    reading = method in {b"GET", b"HEAD"}
    if b"if-match" not in request_headers and b"if-unmodified-since" not in request_headers:
        # The two most frequent requests: no condition at all, and one tag sent back as it was given out.
        if wanted is None and b"if-modified-since" not in request_headers:
            return "proceed"
        if wanted is not None and wanted == etag and reading:
            return "not_modified"
    if not _unchanged(request_headers, etag, last_modified):
        return "precondition_failed"
    if wanted is not None:
        if _matches_weakly(wanted, etag):
            return "not_modified" if reading else "precondition_failed"
    elif reading and _not_modified_since(request_headers.get(b"if-modified-since"), last_modified):
        return "not_modified"
    return "proceed"


def if_range_holds(value: bytes, etag: bytes | None, last_modified: bytes | None, date: bytes | None) -> bool:
    """Whether a Range beside this If-Range may be answered with a part (RFC 9110 §13.1.5).

    All are field values: If-Range's own, and the answer's ETag, Last-Modified and Date. A date holds only if it is
    Last-Modified itself, and that a strong validator: at least a second older than Date (RFC 9110 §8.8.2.2).
    """
    if value[:1] == b'"':
        return value == etag and is_strong(value)
    if value != last_modified or date is None:
        return False
    modified, made = parse_date(value), parse_date(date)
    return modified is not None and made is not None and made >= modified + 1


def _unchanged(headers: Headers, etag: bytes | None, last_modified: bytes | None) -> bool:
    """If-Match by strong comparison, or without it If-Unmodified-Since."""
    wanted = headers.get(b"if-match")
    if wanted is not None:
        return wanted == b"*" or (etag is not None and is_strong(etag) and etag in entity_tags(wanted))
    limit, modified = _date(headers.get(b"if-unmodified-since")), _date(last_modified)
    return limit is None or modified is None or modified <= limit


def _matches_weakly(wanted: bytes, etag: bytes | None) -> bool:
    """Weak comparison (RFC 9110 §8.8.3.2): the opaque parts are equal, whichever is weak."""
    if wanted == b"*":
        return True
    if etag is None:
        return False
    if wanted == etag:
        return True
    opaque = etag.removeprefix(b"W/")
    return is_strong(opaque) and any(tag.removeprefix(b"W/") == opaque for tag in entity_tags(wanted))


def _not_modified_since(since: bytes | None, last_modified: bytes | None) -> bool:
    limit, modified = _date(since), _date(last_modified)
    return limit is not None and modified is not None and modified <= limit


def _date(value: bytes | None) -> float | None:
    return None if value is None else parse_date(value)
