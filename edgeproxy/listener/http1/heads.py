"""Response heads as HTTP/1.1 writes them (RFC 9112 §4)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from edgeproxy.http.headers import Headers, serialize
from edgeproxy.http.message import Request, Response
from edgeproxy.listener.answer_head import LENGTHS_KEPT, has_body, settle

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_STATUS_LINES: Final[list[bytes]] = [
    f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n".encode() for status in range(1000)
]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
COPIED: Final = 4096  # bytes of a body that cost less to copy than to hand over apart
_LENGTH_LINES: Final[dict[int, bytes]] = {}


def whole(
    request: Request, response: Response, body: bytes, wall: Callable[[], float], keep_alive: bool, line: bytes = b""
) -> tuple[bytes, bytes]:
    """An answer that is all here, in two parts to be written one after the other: the head with a small body behind it,
    and a body too large to be copied, else b"". ``wall`` tells wall time in seconds; ``line`` is a field line of the
    listener's own."""
    told = settle(response, wall)
    bodied = has_body(request, response.status)
    if bodied:
        length = _length_line(len(body))
    elif body or (told is not None and response.status != 204):  # what a GET would have had (RFC 9110 §8.6)
        length = b"content-length: %b\r\n" % (told or b"%d" % len(body))
    else:
        length = b""
    connection = _connection(request, keep_alive)
    copied = body if bodied and len(body) <= COPIED else b""
    head = b"%b%b%b%b%b%b%b\r\n%b" % (
        _status_line(response.status),
        response.shared.wire,
        response.stamp.wire,
        serialize(response.own),
        length,
        line,
        connection,
        copied,
    )
    return head, b"" if not bodied or copied else body


def streamed(
    request: Request,
    response: Response,
    length: int | None,
    wall: Callable[[], float],
    keep_alive: bool,
    own: bytes = b"",
) -> tuple[bytes, bool]:
    """The head of an answer whose body follows, and whether the body goes in chunks; ``own`` as ``line`` above."""
    chunked = length is None and request.version == b"1.1"
    settle(response, wall)
    framing = b"transfer-encoding: chunked\r\n" if chunked else b"" if length is None else _length_line(length)
    line, connection = _status_line(response.status), _connection(request, keep_alive)
    head = b"%b%b%b%b%b\r\n" % (line, response.wire(), own, connection, framing)
    return head, chunked


def interim(status: int, fields: Headers) -> bytes:
    """A 1xx answer before the final one (RFC 9110 §15.2)."""
    return b"%b%b\r\n" % (_status_line(status), serialize(fields))


def switching(response: Response) -> bytes:
    """The head of a 101 answer; its Connection and Upgrade are the origin's (RFC 9110 §15.2.2)."""
    return b"%b%b\r\n" % (_status_line(response.status), response.wire())


def _status_line(status: int) -> bytes:
    return _STATUS_LINES[status] if 0 <= status < 1000 else b"HTTP/1.1 %d \r\n" % status


def _length_line(length: int) -> bytes:
    line = _LENGTH_LINES.get(length)
    if line is None:
        line = b"content-length: %d\r\n" % length
        if len(_LENGTH_LINES) < LENGTHS_KEPT:
            _LENGTH_LINES[length] = line
    return line


def _connection(request: Request, keep_alive: bool) -> bytes:
    if not keep_alive:
        return b"connection: close\r\n"
    return b"" if request.version == b"1.1" else b"connection: keep-alive\r\n"
