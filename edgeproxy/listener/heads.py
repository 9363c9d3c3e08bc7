"""Response heads as HTTP/1.1 writes them (RFC 9112 §4)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from edgeproxy.http.dates import format_date
from edgeproxy.http.headers import serialize
from edgeproxy.http.message import Request, Response

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {phrase}\r\n".encode() for status, phrase in _REASONS.items()}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
COPIED = 4096  # bytes of a body that cost less to copy than to hand over apart
_NO_BODY = frozenset((204, 304))


def has_body(request: Request, status: int) -> bool:
    """Whether an answer with this status to this request has a body at all (RFC 9112 §6.3)."""
    return request.method != b"HEAD" and status not in _NO_BODY and status >= 200


def whole(
    request: Request, response: Response, body: bytes, wall: Callable[[], float], keep_alive: bool
) -> tuple[bytes, bytes]:
    """An answer that is all here, in two parts to be written one after the other: the head with a small body behind it,
    and a body too large to be copied, else b"". ``wall`` tells wall time in seconds."""
    status = response.status
    if request.method != b"HEAD" and status not in _NO_BODY:
        fields = _fields(response, wall)
        connection = b"\r\n" if keep_alive and request.version == b"1.1" else _connection(request, keep_alive) + b"\r\n"
        length = b"content-length: %d\r\n" % len(body)
        status_line = _STATUS_LINES.get(status) or _status_line(response)
        if len(body) > COPIED:
            return b"".join((status_line, response.shared.wire, fields, length, connection)), body
        return b"".join((status_line, response.shared.wire, fields, length, connection, body)), b""
    length = b""
    told = response.get(b"content-length")
    if body or (told is not None and status != 204):  # what a GET would have had (RFC 9110 §8.6)
        length = b"content-length: %b\r\n" % (told or b"%d" % len(body))
    fields = _fields(response, wall)
    connection = _connection(request, keep_alive)
    return b"".join((_status_line(response), response.shared.wire, fields, length, connection, b"\r\n")), b""


def streamed(
    request: Request, response: Response, length: int | None, wall: Callable[[], float], keep_alive: bool
) -> tuple[bytes, bool]:
    """The head of an answer whose body follows, and whether the body goes in chunks."""
    connection = _connection(request, keep_alive)
    if length is not None:
        framing = b"content-length: %d\r\n" % length
    elif request.version == b"1.1":
        framing = b"transfer-encoding: chunked\r\n"
    else:
        framing = b""
    fields = _fields(response, wall)
    head = b"".join((_status_line(response), response.shared.wire, fields, connection, framing, b"\r\n"))
    return head, length is None and request.version == b"1.1"


def switching(response: Response) -> bytes:
    """The head of a 101 answer; its Connection and Upgrade are the origin's (RFC 9110 §15.2.2)."""
    return b"%b%b\r\n" % (_status_line(response), response.wire())


def _status_line(response: Response) -> bytes:
    return _STATUS_LINES.get(response.status) or b"HTTP/1.1 %d \r\n" % response.status


def _fields(response: Response, wall: Callable[[], float]) -> bytes:
    """The answer's own field lines, with a Date if the shared ones have none (RFC 9110 §6.6.1), and without
    Content-Length, which the framing writes."""
    own, shared = response.own, response.shared.fields
    if b"content-length" in own or b"content-length" in shared:
        response.drop(b"content-length")
        own, shared = response.own, response.shared.fields
    if b"date" not in shared and b"date" not in own:
        own[b"date"] = format_date(wall())
    return serialize(own)


def _connection(request: Request, keep_alive: bool) -> bytes:
    if not keep_alive:
        return b"connection: close\r\n"
    return b"" if request.version == b"1.1" else b"connection: keep-alive\r\n"
