"""Response heads as HTTP/3 writes them (RFC 9114 §4.3.2): HEADERS frames; a stored answer's lines are encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http.headers import Headers, tokens
from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.http.pseudo import section
from edgeproxy.http3 import codes, qpack, varint
from edgeproxy.listener.answer_head import has_body, settle

_STATUSES: Final[list[bytes]] = [
    qpack.BEGINNING + qpack.line(b":status", b"%d" % status) if status >= 100 else b"" for status in range(1000)
]
_SWITCHED: Final = frozenset((b"connection", b"upgrade", b"sec-websocket-accept", b"content-length"))


def whole(request: Request, response: Response, body: bytes, wall: Callable[[], float]) -> bytes:
    """The head of an answer that is all here. ``wall`` tells wall time in seconds."""
    told = settle(response, wall)
    if has_body(request, response.status):
        length = b"%d" % len(body)
    elif body or (told is not None and response.status != 204):  # what a GET would have had (RFC 9110 §8.6)
        length = told or b"%d" % len(body)
    else:
        length = b""
    return _frame(response, qpack.line(b"content-length", length) if length else b"")


def streamed(response: Response, length: int | None, wall: Callable[[], float]) -> bytes:
    """The head of an answer whose body follows; ``length`` is None where its end will tell."""
    settle(response, wall)
    return _frame(response, b"" if length is None else qpack.line(b"content-length", b"%d" % length))


def answer(head: bytes, body: bytes) -> bytes:
    """A whole answer."""
    return b"%b\0%b%b" % (head, varint.encode(len(body)), body)


def beginning(head: bytes, size: int) -> bytes:
    """An answer, but for its body of ``size`` bytes."""
    return b"%b\0%b" % (head, varint.encode(size))


def interim(status: int, fields: Headers) -> bytes:
    """A 1xx answer before the final one (RFC 9114 §4.1)."""
    return frame(codes.HEADERS, _STATUSES[status] + _lines(fields))


def switching(response: Response) -> bytes:
    """The head that a WebSocket begins with: HTTP/3 has no 101 (RFC 9220 §3)."""
    unsaid = _SWITCHED | tokens(response.get(b"connection"))
    lines = [qpack.line(name, value) for name, value in section(response.headers(), unsaid)]
    return frame(codes.HEADERS, _STATUSES[200] + b"".join(lines))


def trailers(fields: Headers) -> bytes:
    return frame(codes.HEADERS, qpack.BEGINNING + _lines(fields))


def frame(kind: int, payload: bytes) -> bytes:
    """A frame of a kind below 64 (RFC 9114 §7.1)."""
    size = len(payload)
    if size < 0x40:
        return b"%c%c%b" % (kind, size, payload)
    return b"%c%b%b" % (kind, varint.encode(size), payload)


def _frame(response: Response, length: bytes) -> bytes:
    own = response.own
    block = b"%b%b%b%b%b" % (
        _STATUSES[response.status],
        _encoded(response.shared),
        _encoded(response.stamp),
        _lines(own) if own else b"",
        length,
    )
    return frame(codes.HEADERS, block)


def _encoded(block: FieldBlock) -> bytes:
    encoded = block.qpack
    if not encoded and block.fields:
        encoded = block.qpack = _lines(block.fields)
    return encoded


def _lines(fields: Headers) -> bytes:
    return b"".join([qpack.line(name, value) for name, value in section(fields)])
